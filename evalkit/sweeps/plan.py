"""Which trials a sweep consists of. Pure: files are known here by the hashes of their content."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from evalkit.execution.jobs import InputFile
from evalkit.runs.identity import video_id, with_contents

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalkit.runs import Input


@dataclass(frozen=True, slots=True)
class PlannedInput:
    """An input and what a request says of it.

    Parameters
    ----------
    input : Input
    request : dict
        Parameters of the request: ``image``, or ``audio``, or ``text`` with ``language`` and ``voice``.
    files : tuple of InputFile
        Files that `request` names.
    """

    input: Input
    request: dict[str, Any]
    files: tuple[InputFile, ...] = ()


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A trial before it is done.

    Parameters
    ----------
    id : str
        That of its video, see `evalkit.runs.identity.video_id`.
    params : dict
        What was asked beside inputs and seed; ``options.NAME`` for a generator's own.
    portrait, speech : Input or None
    seed : int or None
    request : dict
        Everything that goes to the generator.
    files : tuple of InputFile
        Files that `request` names.
    parameter_files : dict of str to str
        SHA-256 of those that `params` name, by path.
    """

    id: str
    params: dict[str, Any]
    portrait: Input | None
    speech: Input | None
    seed: int | None
    request: dict[str, Any]
    files: tuple[InputFile, ...] = ()
    parameter_files: dict[str, str] = field(default_factory=dict)


def expand_grid(grid: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """List every combination, the last parameter changing fastest; one empty one for an empty grid.

    >>> expand_grid({"size": ["a", "b"], "steps": [1, 2]})[1]
    {'size': 'a', 'steps': 2}
    """
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]


def plan_trials(
    params: Sequence[Mapping[str, Any]],
    portraits: Sequence[PlannedInput],
    speech: Sequence[PlannedInput],
    seeds: Sequence[int | None],
    *,
    generator: Mapping[str, Any],
    contents: Mapping[str, str],
) -> list[PlannedTrial]:
    """Cross configurations with inputs and seeds.

    Configurations change slowest: that is the order of tables. In which order trials are done, see
    `evalkit.sweeps.order.order_trials`.

    Parameters
    ----------
    params : sequence of mapping
        Configurations, see `expand_grid`.
    portraits, speech : sequence of PlannedInput
        None at all means one trial without.
    seeds : sequence of int or None
        None for the generator's own.
    generator : mapping
        ``name``, ``version``, ``settings``.
    contents : mapping of str to str
        Path to SHA-256 of files that parameters name.
    """
    nothing: list[PlannedInput | None] = [None]
    trials = []
    for given, portrait, said, seed in itertools.product(
        params, list(portraits) or nothing, list(speech) or nothing, seeds
    ):
        picture, sound = (planned.input if planned is not None else None for planned in (portrait, said))
        name = video_id(
            generator,
            with_contents(given, contents),
            portrait=picture.content if picture is not None else None,
            speech=sound.content if sound is not None else None,
            seed=seed,
        )
        files = [file for planned in (portrait, said) if planned is not None for file in planned.files]
        named = {
            value: contents[value] for value in given.values() if isinstance(value, str) and value in contents
        }
        files += [InputFile(path, content) for path, content in named.items()]
        request = make_request(given, portrait, said, seed)
        trials.append(PlannedTrial(name, dict(given), picture, sound, seed, request, tuple(files), named))
    return trials


def make_request(
    params: Mapping[str, Any], portrait: PlannedInput | None, speech: PlannedInput | None, seed: int | None
) -> dict[str, Any]:
    """Return what goes to the generator: ``options.NAME`` stands where a request has it."""
    request: dict[str, Any] = {}
    for name, value in params.items():
        group, dot, own = name.partition(".")
        if dot:
            request.setdefault(group, {})[own] = value
        else:
            request[name] = value
    for planned in (portrait, speech):
        request |= planned.request if planned is not None else {}
    if seed is not None:
        request["base_seed"] = seed
    return request
