"""Words in which real programs run out of memory, and words in which they fail otherwise."""

from __future__ import annotations

import pytest

from evalkit.profiling.out_of_memory import is_out_of_memory


@pytest.mark.parametrize(
    "words",
    [
        "MemoryError",
        "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 7.45 GiB, out of memory",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.",
        "torch.cuda.OutOfMemoryError: HIP out of memory",
        "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "OSError: [Errno 12] Cannot allocate memory",
        "[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory",
    ],
)
def test_out_of_memory_is_known_by_its_words(words: str) -> None:
    assert is_out_of_memory(words)


@pytest.mark.parametrize(
    "words",
    ["", "ValueError: no luck", "crashed (signal SIGSEGV)", "crashed (signal SIGKILL)", "exit code 137"],
)
def test_other_failures_are_not(words: str) -> None:
    assert not is_out_of_memory(words, 0)


@pytest.mark.parametrize(
    ("words", "expected"),
    [("crashed (signal SIGKILL)", True), ("exit code 137", True), ("crashed (signal SIGSEGV)", False)],
)
def test_a_kill_counts_where_the_machine_ended_somebody(words: str, expected: bool) -> None:
    assert is_out_of_memory(words, n_oom_kills=1) is expected
