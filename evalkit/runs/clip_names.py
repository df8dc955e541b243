"""Which video of the run another tool's name is: an id, a part of an address, a blind copy, or what the video was made of."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from evalkit.formatting import label
from evalkit.runs.layout import VIDEO_FILE

if TYPE_CHECKING:
    from evalkit.runs.schema import Trial

ClipName: TypeAlias = str | Mapping[str, str]
"""A video as a file names it: one name, or values of parameters, portrait, speech and seed."""


class Shown(NamedTuple):
    """A video that a rater saw.

    Parameters
    ----------
    trial : str
    content : str or None
        SHA-256 of the video file as it is now.
    is_broken : bool
        Whether it was the copy that is broken on purpose.
    """

    trial: str
    content: str | None
    is_broken: bool = False


class ClipNames:
    """Finds videos of a run by their names elsewhere. No name is opened, as a file or as an address.

    Parameters
    ----------
    trials : list of Trial
    copies : mapping of str to (str, bool)
        File name of each blind copy, to the content that it is a copy of and whether it is broken.
    given : mapping of str to str
        Names that a person gave, to ids of trials.
    """

    def __init__(
        self, trials: list[Trial], copies: Mapping[str, tuple[str, bool]], given: Mapping[str, str]
    ) -> None:
        self._trials = {trial.id: trial for trial in trials if trial.status == "ok"}
        self._failed = {trial.id for trial in trials} - self._trials.keys()
        self._given = dict(given)
        by_content = {trial.content: trial.id for trial in self._trials.values() if trial.content}
        self._copies = {
            _stem(name): Shown(by_content[content], content, is_broken)
            for name, (content, is_broken) in copies.items()
            if content in by_content
        }

    def knows(self, name: str) -> bool:
        """Say whether a name is that of a video of the run."""
        try:
            self.find(name)
        except ValueError:
            return False
        return True

    def find(self, name: ClipName) -> Shown:
        """Return the video of a name.

        Raises
        ------
        ValueError
            With what is wrong, if it is none, or not one alone.
        """
        if isinstance(name, Mapping):
            return self._described(name)
        parts = _parts(name)
        keys = (name, *(key for part in reversed(parts) for key in (part, _stem(part))))
        wanted = [self._given[key] for key in keys if key in self._given]
        for part in [*wanted[:1], *([] if wanted else reversed(parts))]:
            stem = part if wanted else _stem(part)
            if stem in self._trials:
                return self._shown(stem)
            if stem in self._copies:
                return self._copies[stem]
        if failed := [part for part in [*wanted[:1], *map(_stem, parts)] if part in self._failed]:
            raise ValueError(f"trial {failed[0]} failed, and has no video that anything could be said of")
        if wanted:
            raise ValueError(
                f"`clips:` says that {label(name)!r} is {label(wanted[0])!r}, and the run has no such trial"
            )
        raise ValueError(
            f"{label(name)!r} is no video of this run: neither the id of a trial, nor a file or an address with one in it, "
            "nor a blind copy; `clips:` in the mapping says which trial it is"
        )

    def find_pair(self, first: ClipName, second: ClipName) -> tuple[Shown, Shown]:
        """Return two videos that were compared; raise as `find`, and where they are of different inputs, or one."""
        pair = self.find(first), self.find(second)
        if pair[0].trial == pair[1].trial:
            raise ValueError("both videos of the pair are of the same trial")
        inputs = [
            (
                None if trial.portrait is None else trial.portrait.content,
                None if trial.speech is None else trial.speech.content,
            )
            for trial in (self._trials[shown.trial] for shown in pair)
        ]
        if inputs[0] != inputs[1]:
            raise ValueError(
                "the videos of the pair are of different portraits or speech: that compares no configurations"
            )
        return pair

    def _described(self, wanted: Mapping[str, str]) -> Shown:
        fits = [
            trial.id
            for trial in self._trials.values()
            if all(_value_of(trial, name) == _plain(value) for name, value in wanted.items())
        ]
        if len(fits) == 1:
            return self._shown(fits[0])
        said = ", ".join(f"{label(name)} {label(value)}" for name, value in wanted.items())
        if not fits:
            raise ValueError(f"the run has no video with {said}")
        raise ValueError(f"the run has {len(fits)} videos with {said}; name what tells them apart in `clip:`")

    def _shown(self, trial: str) -> Shown:
        return Shown(trial, self._trials[trial].content)


def _parts(name: str) -> list[str]:
    """Return the parts of a path of either system's kind, or of an address, its query included, the last one last."""
    try:
        address = urlsplit(name)
        paths = [address.path, *(value for _, value in parse_qsl(address.query))]
    except ValueError:  # no valid address
        paths = [name]
    path = unquote("/".join(paths))
    parts = [part for part in path.replace("\\", "/").split("/") if part]
    return parts[:-1] if parts[-1:] == [VIDEO_FILE] else parts


def _stem(name: str) -> str:
    return os.path.splitext(name)[0] if not name.startswith(".") else name  # noqa: PTH122 - a name, not a path


def _value_of(trial: Trial, name: str) -> str | None:
    if name == "portrait":
        return None if trial.portrait is None else _plain(trial.portrait.name)
    if name == "speech":
        return None if trial.speech is None else _plain(trial.speech.name)
    if name == "seed":
        return None if trial.seed is None else _plain(str(trial.seed))
    parameter = name.removeprefix("params.")
    return _plain(str(trial.params[parameter])) if parameter in trial.params else None


def _plain(value: str) -> str:
    """Return a value as it compares: a number is the same however it is written."""
    text = value.strip()
    try:
        return f"{float(text):.12g}"
    except ValueError:
        return text.casefold()
