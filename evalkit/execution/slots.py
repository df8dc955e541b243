"""Slots: where a video at a time is made, on which device, with which cores, and who else is at work there."""

from __future__ import annotations

import os
from collections import Counter
from itertools import accumulate, pairwise, takewhile
from typing import TYPE_CHECKING

from evalkit.errors import UsageError
from evalkit.execution.jobs import Slot
from evalkit.formatting import count
from evalkit.measuring.cores import share_cores
from pipeline.gpus import read_gpus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
_MOST_AT_ONCE = 8
"""Videos that are measured at once in a slot: a round of them is not to take all day."""


def make_slots(
    wanted: Iterable[tuple[str, str, int | None]], *, own_device: bool = False
) -> tuple[Slot, ...]:
    """Make slots of names, devices and numbers of cores; cores are given out from the first on.

    An empty name becomes the device, with a number where several would be called the same.

    Parameters
    ----------
    wanted : iterable of tuple
    own_device : bool
        Whether the executor finds each a device of its own: then each counts its cores from the first one of its place,
        and an empty name always gets a number.

    Raises
    ------
    UsageError
        If two slots have one name.

    Examples
    --------
    >>> [(slot.name, slot.first_core) for slot in make_slots([("", "cpu", 2), ("", "cpu", 1)])]
    [('cpu-0', 0), ('cpu-1', 2)]
    """
    wanted = list(wanted)
    n_like = Counter(device for name, device, _ in wanted if not name)
    n_seen: Counter[str] = Counter()
    names = []
    for name, device, _ in wanted:
        is_only = n_like[device] == 1 and not own_device
        names.append(name or (device if is_only else f"{device}-{n_seen[device]}"))
        n_seen[device] += not name
    twice = [name for name, n in Counter(names).items() if n > 1]
    if twice:
        raise UsageError(f"two slots are called {twice[0]!r}; give each a name of its own")
    first_cores = accumulate((cores or 0 for _, _, cores in wanted), initial=0)
    return tuple(
        Slot(name, device, cores, first if cores is not None and not own_device else 0, own_device)
        for name, (_, device, cores), first in zip(names, wanted, first_cores, strict=False)
    )


def is_alone(slot: Slot, slots: Sequence[Slot]) -> bool:
    """Whether no other slot uses the same device: only then are times those of the work.

    A GPU is shared by slots that name it, or name none. The processor is shared by slots without cores of their own.
    A slot that has a device of its own, wherever the executor finds one, shares it with none.
    """
    return slot.own_device or not any(_share(slot, other) for other in slots if other.name != slot.name)


def _share(slot: Slot, other: Slot) -> bool:
    if slot.kind != other.kind:
        return False
    if slot.kind == "cpu":
        return slot.cores is None or other.cores is None
    return slot.gpu is None or other.gpu is None or slot.gpu == other.gpu


def count_gpus() -> int:
    """Return how many GPUs programs started here can use."""
    visible = os.environ.get(_VISIBLE_GPUS)
    return len(read_gpus()[0]) if visible is None else len(_split_visible(visible))


def _split_visible(visible: str) -> list[str]:
    """Return the GPUs that ``CUDA_VISIBLE_DEVICES`` shows: those before the first name of none, as -1.

    >>> _split_visible("6, GPU-3a"), _split_visible("1,-1,0"), _split_visible("NoDevFiles")
    (['6', 'GPU-3a'], ['1'], [])
    """
    names = (name.strip() for name in visible.split(","))
    return list(takewhile(lambda name: name.isdecimal() or name.startswith(("GPU-", "MIG-")), names))


def find_cores(slot: Slot) -> list[int] | None:
    """Return the cores of this machine that a slot is bound to; None where it is bound to none.

    Raises
    ------
    UsageError
        If the machine has not so many.
    """
    if slot.cores is None:
        return None
    there = sorted(os.sched_getaffinity(0))
    last = slot.first_core + slot.cores
    if last > len(there):
        raise UsageError(
            f"slot {slot.name!r} takes cores {slot.first_core + 1} to {last} and this machine gives {len(there)}: "
            f"give the slots fewer cores, or have fewer slots"
        )
    return there[slot.first_core : last]


def split_cores(slot: Slot) -> tuple[Slot, ...]:
    """Split a slot on the processor of this machine into slots with cores of their own, for a measuring process each.

    There are `_MOST_AT_ONCE` at most, and no more than memory is free for.

    Raises
    ------
    UsageError
        As `find_cores`.
    """
    n_cores = len(find_cores(slot) or os.sched_getaffinity(0))
    n_parts = len(share_cores(None, min(n_cores, _MOST_AT_ONCE)))
    edges = [slot.first_core + n_cores * part // n_parts for part in range(n_parts + 1)]
    return tuple(
        Slot(f"{slot.name}.{part}", slot.device, end - first, first)
        for part, (first, end) in enumerate(pairwise(edges))
    )


def choose_environment(slot: Slot) -> dict[str, str]:
    """Return the variables that show the processes of a slot its own GPU and no other.

    Raises
    ------
    UsageError
        If a variable of this process hides the GPU.
    """
    if slot.gpu is None:
        return {}
    visible = os.environ.get(_VISIBLE_GPUS)
    if visible is None:
        return {_VISIBLE_GPUS: str(slot.gpu), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # the driver's own order
    given = _split_visible(visible)
    if slot.gpu >= len(given):
        raise UsageError(
            f"slot {slot.name!r} is on {slot.device}, and {_VISIBLE_GPUS}={visible!r} shows {count(len(given), 'GPU')}"
        )
    return {_VISIBLE_GPUS: given[slot.gpu]}


def find_device(slot: Slot) -> str:
    """Return what the device of a slot is called in this process: the only GPU that is visible is the first."""
    if slot.gpu is not None and len(os.environ.get(_VISIBLE_GPUS, ",").split(",")) == 1:
        return "cuda:0"
    return slot.device


def find_gpu(slot: Slot, environment: Mapping[str, str] | None = None) -> int | None:
    """Return the index that the driver gives the GPU of a slot; None where it has none of its own, or no index.

    Parameters
    ----------
    slot : Slot
    environment : mapping, optional
        Of the process at work; of this one unless given.
    """
    if slot.gpu is None:
        return None
    visible = (os.environ if environment is None else environment).get(_VISIBLE_GPUS)
    if visible is None:
        return slot.gpu
    given = visible.split(",")
    name = given[0 if len(given) == 1 else slot.gpu] if slot.gpu < len(given) or len(given) == 1 else ""
    return int(name) if name.strip().isdecimal() else None
