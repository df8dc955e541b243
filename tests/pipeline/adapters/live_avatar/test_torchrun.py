"""The driver with torch's own torchrun: that its tags and its endings are as the stand-in has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.errors import GenerationError

from .conftest import left_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.pipeline.adapters.live_avatar.conftest import Driver

pytestmark = pytest.mark.slow


def environment(folder: Path, faults: str = "") -> dict[str, str]:
    return {"STAND_IN": faults, "STAND_IN_MEETING": str(folder / "meeting"), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("n_gpus", [1, 5])
def test_ranks_are_told_apart(
    n_gpus: int, driver: Driver, portrait: Path, spoken: Path, out: Path, tmp_path: Path
) -> None:
    with driver(n_gpus=n_gpus, environment=environment(tmp_path)) as live:
        result = live.generate(live.request(image=portrait, audio=spoken, prompt="x"), out)
    names = [event.name for event in result.events if event.name != "warning"]
    # torchrun follows output and error output apart, a tenth of a second each: bars may come after marks
    made = ["loaded", "prepared", "first_block", "clip", "clip", "denoised"]
    assert names[0] == "speech"
    assert sorted(names[1:-2]) == sorted(made)
    assert names[-2:] == ["first_frame", "saved"]
    assert result.n_clips == 2
    assert list(out.parent.iterdir()) == [out]
    assert left_of(tmp_path) == []


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("oom:3", "out_of_memory", "rank 3 of 5: out of GPU memory"),
        ("oom_hang:3", "out_of_memory", "rank 3 of 5"),
        ("hang", "stalled", "printed nothing for 20 s"),
        ("crash", "crashed", r"ended with status 1: rank \d: KeyError: 'cond_shape'"),
    ],
)
def test_a_rank_that_fails(
    fault: str, kind: str, words: str, driver: Driver, portrait: Path, spoken: Path, out: Path, tmp_path: Path
) -> None:
    live = driver(n_gpus=5, environment=environment(tmp_path, fault), stall_limit_s=20.0)
    with live, pytest.raises(GenerationError, match=words) as caught:
        live.generate(live.request(image=portrait, audio=spoken, prompt="x"), out)
    assert caught.value.kind == kind
    assert list(out.parent.iterdir()) == []
    assert left_of(tmp_path) == []


def test_a_port_that_somebody_has(
    driver: Driver, portrait: Path, spoken: Path, out: Path, tmp_path: Path
) -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("", 0))
        listener.listen()
        port = listener.getsockname()[1]
        live = driver(master_port=port, environment=environment(tmp_path))
        with live, pytest.raises(GenerationError, match="master_port is taken") as caught:
            live.generate(live.request(image=portrait, audio=spoken, prompt="x"), out)
    assert caught.value.kind == "port_in_use"


def test_a_batch(driver: Driver, portrait: Path, spoken: Path, tmp_path: Path) -> None:
    from tests.pipeline.conftest import tone, write_wav

    short = write_wav(tmp_path / "short.wav", tone(1.0))
    # saving takes its time, as it does: what torchrun has not passed on by then would be counted to the next video
    variables = environment(tmp_path, "save_s:1")
    with driver(n_gpus=5, batch=True, fp8=False, environment=variables) as live:
        requests = [live.request(image=portrait, audio=sound, prompt="x") for sound in (spoken, short)]
        live.announce_upcoming(requests, tmp_path)
        results = [live.generate(request, tmp_path / f"{n}.mp4") for n, request in enumerate(requests)]
    assert [result.n_frames for result in results] == [50, 25]
    assert [result.n_clips for result in results] == [2, 1]
    began = [float(str(result.events[0].detail["monotonic_s"])) for result in results]
    saved_s = results[0].time_of("saved")
    assert saved_s is not None
    assert began[0] + saved_s <= began[1]
    assert not list(tmp_path.glob(".batch-*"))
    assert left_of(tmp_path) == []
