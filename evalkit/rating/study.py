"""Who is shown what, in which order and on which side: a pure function of a design, its items and a rater's slot.

Nothing here is drawn from a generator of random numbers: every choice follows from a SHA-256 of the seed and of what is
chosen, so any version of Python gives the same study for ever, and a sealed key that is opened years later can be checked.

Clips. A rater gets whole blocks (one input and seed, across all configurations) as far as they fit, so that how severe a
rater is cancels between configurations. The blocks are dealt out in turn: over the slots from the first one, no clip is
shown more than once more often than another.

Pairs. All pairs of configurations of all blocks are dealt out in turn, one of each block after the other, every second one
with its sides changed; a pair changes sides whenever its turn comes again.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.runs.ratings.records import QUESTIONS, Role, StudyKind
from pipeline.options import canonical_json, hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from evalkit.runs.schema import Trial

    _Dealer = Callable[[int], list["PlannedPresentation"]]

INSTRUCTION_S = 60.0
"""For reading what is to be done."""
ANSWER_S = 3.0
"""For each question about a clip, when it has ended."""
_BUDGET_S = 15 * 60.0
"""A rater is asked for so much time, unless the design says how many clips."""


@dataclass(frozen=True, slots=True)
class Design:
    """What a study asks.

    Parameters
    ----------
    kind : StudyKind
    questions : tuple of str
        Of `QUESTIONS`; pairs are asked for ``overall`` alone.
    seed : int
        Everything that is drawn follows from it.
    clips_per_rater : int or None
        Clips, or pairs, less training, repeats and checks. None: as many as fit into a quarter of an hour.
    n_repeats, n_training, n_checks : int
        Shown again without a word; shown first, to learn; shown with an obviously broken clip.
    in_step : bool
        Of pairs, whether both clips play at once; else one after the other.
    """

    kind: StudyKind = StudyKind.ACR
    questions: tuple[str, ...] = QUESTIONS
    seed: int = 0
    clips_per_rater: int | None = None
    n_repeats: int = 2
    n_training: int = 2
    n_checks: int = 1
    in_step: bool = False

    def __post_init__(self) -> None:
        """Refuse a design that nobody could be asked by."""
        if self.kind is StudyKind.PAIRS and self.questions != ("overall",):
            object.__setattr__(self, "questions", ("overall",))
        unknown = [question for question in self.questions if question not in QUESTIONS]
        if unknown or not self.questions or len(set(self.questions)) < len(self.questions):
            raise UsageError(
                f"questions are some of {', '.join(QUESTIONS)}, each once; not {', '.join(self.questions) or 'none'}"
            )
        if self.clips_per_rater is not None and self.clips_per_rater < 1:
            raise UsageError(f"a rater is shown one clip at least, not {self.clips_per_rater}")
        if min(self.n_repeats, self.n_training, self.n_checks) < 0:
            raise UsageError("numbers of repeats, training items and checks are not negative")

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, as the sealed key has it."""
        return {
            "kind": self.kind.value,
            "questions": list(self.questions),
            "seed": self.seed,
            "clips_per_rater": self.clips_per_rater,
            "n_repeats": self.n_repeats,
            "n_training": self.n_training,
            "n_checks": self.n_checks,
            "in_step": self.in_step,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Design:
        """Return what `to_dict` was made of."""
        return cls(**{**plain, "kind": StudyKind(plain["kind"]), "questions": tuple(plain["questions"])})


@dataclass(frozen=True, slots=True)
class Clip:
    """A video of the run that people may be asked about.

    Parameters
    ----------
    trial : str
    content : str
        SHA-256 of the video.
    configuration : str
        Canonical JSON of the swept parameters.
    block : str
        Same for clips of the same input and seed: hash of them.
    input : str
        Same for clips of the same portrait and speech: hash of them.
    """

    trial: str
    content: str
    configuration: str
    block: str
    input: str


@dataclass(frozen=True, slots=True)
class Item:
    """What is shown at once: a clip, or a pair of clips of the same block.

    Parameters
    ----------
    code : str
        Unique in the study.
    trials, contents : tuple of str
        One each, or two of a pair.
    block, input : str
        As of `Clip`.
    is_check : bool
        Whether its last clip is shown broken.
    """

    code: str
    trials: tuple[str, ...]
    contents: tuple[str, ...]
    block: str
    input: str
    is_check: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, as the sealed key has it."""
        return {
            "code": self.code,
            "trials": list(self.trials),
            "contents": list(self.contents),
            "block": self.block,
            "input": self.input,
            "is_check": self.is_check,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Item:
        """Return what `to_dict` was made of."""
        return cls(**{**plain, "trials": tuple(plain["trials"]), "contents": tuple(plain["contents"])})


@dataclass(frozen=True, slots=True)
class PlannedPresentation:
    """One item as one rater will see it.

    Parameters
    ----------
    item : str
        Code.
    role : Role
    is_swapped : bool
        Whether the second clip of a pair is shown first.
    """

    item: str
    role: Role
    is_swapped: bool = False


def clips_of(trials: Iterable[Trial], swept: Sequence[str], contents: Mapping[str, str]) -> tuple[Clip, ...]:
    """Return what people may be asked about: the trials whose video's content is known, in the order of the plan.

    Parameters
    ----------
    trials : iterable of Trial
    swept : sequence of str
        Parameters that make a configuration.
    contents : mapping of str to str
        SHA-256 of the video, by trial.
    """
    clips = []
    for trial in trials:
        if trial.status != "ok" or trial.id not in contents:
            continue
        given = [None if one is None else one.content for one in (trial.portrait, trial.speech)]
        clips.append(
            Clip(
                trial=trial.id,
                content=contents[trial.id],
                configuration=canonical_json({name: trial.params.get(name) for name in swept}),
                block=hash_of([*given, trial.seed])[:16],
                input=hash_of(given)[:16],
            )
        )
    return tuple(clips)


def make_items(design: Design, clips: Sequence[Clip]) -> tuple[Item, ...]:
    """Return all that can be shown in a study, the checks last.

    Raises
    ------
    UsageError
        If there is nothing to be shown: no clip, or no two configurations of the same input.
    """
    if not clips:
        raise UsageError("the run has no video yet: there is nothing to be rated (evalkit sweep makes them)")
    shown = [(clip,) for clip in clips] if design.kind is StudyKind.ACR else _pairs(clips)
    if not shown:
        raise UsageError(
            "no two configurations of the run have a video of the same input and seed: there are no pairs to be compared"
        )
    broken = sorted(shown, key=lambda one: _draw(design, "check", [clip.trial for clip in one]))
    together = [(one, False) for one in shown] + [(one, True) for one in broken[: design.n_checks]]
    width = len(str(len(together)))
    return tuple(
        Item(
            code=f"i{number:0{width}d}",
            trials=tuple(clip.trial for clip in one),
            contents=tuple(clip.content for clip in one),
            block=one[0].block,
            input=one[0].input,
            is_check=is_check,
        )
        for number, (one, is_check) in enumerate(together, 1)
    )


def settle(design: Design, clips: Sequence[Clip], clip_s: float) -> Design:
    """Return a design that says how many clips a rater is shown.

    Parameters
    ----------
    design : Design
    clips : sequence of Clip
    clip_s : float
        Mean length of a clip, in seconds.
    """
    n_items = len(clips) if design.kind is StudyKind.ACR else len(_pairs(clips))
    n = design.clips_per_rater
    if n is None:
        others = design.n_training + design.n_repeats + design.n_checks
        n = int((_BUDGET_S - INSTRUCTION_S) / presentation_s(design, clip_s)) - others
    return replace(design, clips_per_rater=max(1, min(n, n_items)))


def presentation_s(design: Design, clip_s: float) -> float:
    """Return how long a rater sits over one presentation, in seconds, with clips of such a length."""
    n_clips = 1 if design.kind is StudyKind.ACR else 2
    return n_clips * clip_s + ANSWER_S * len(design.questions)


def rater_s(design: Design, items: Sequence[Item], clip_s: float) -> float:
    """Return what a study costs a rater in seconds, reading the instruction included."""
    return INSTRUCTION_S + len(presentations(design, items, 0)) * presentation_s(design, clip_s)


def presentations(design: Design, items: Sequence[Item], slot: int) -> tuple[PlannedPresentation, ...]:
    """Return everything that the rater of a slot is shown, in order: training, then all the rest.

    Parameters
    ----------
    design : Design
        Settled: it says how many clips a rater is shown, see `settle`.
    items : sequence of Item
        Of `make_items`, in its order.
    slot : int
        Of the rater, from 0.
    """
    return Plan(design, items).presentations(slot)


class Plan:
    """Who is shown what, with all that is the same for every rater worked out once.

    Parameters
    ----------
    design, items
        As of `presentations`.
    """

    def __init__(self, design: Design, items: Sequence[Item]) -> None:
        shown = [item for item in items if not item.is_check]
        self._design = design
        self._inputs = {item.code: item.input for item in items}
        self._checks = [item.code for item in items if item.is_check]
        self._training = _training(design, shown)
        self._deal = (_clip_dealer if design.kind is StudyKind.ACR else _pair_dealer)(design, shown)

    def presentations(self, slot: int) -> tuple[PlannedPresentation, ...]:
        """Return everything that the rater of a slot is shown, in order."""
        design = self._design

        def draw(*what: Any) -> int:
            return _draw(design, "slot", slot, *what)

        rated = _mix(self._deal(slot), self._input_of, draw)
        n = len(rated)
        rest = list(rated)
        early = sorted(rated[: math.ceil(n / 3)], key=lambda one: draw("repeat", one.item))
        for one in early[: min(design.n_repeats, n // 3)]:
            again = replace(one, role=Role.REPEAT, is_swapped=_other_side(design, one))
            _put_in(rest, again, range(len(rest) - n // 3, len(rest) + 1), self._input_of, draw)
        for code in self._checks:
            is_swapped = design.kind is StudyKind.PAIRS and draw("side", code) % 2 == 1
            check = PlannedPresentation(code, Role.CHECK, is_swapped)
            third = len(rest) // 3
            _put_in(rest, check, range(third, len(rest) - third + 1), self._input_of, draw)
        return (*self._training, *rest)

    def _input_of(self, one: PlannedPresentation) -> str:
        return self._inputs[one.item]


def _pairs(clips: Sequence[Clip]) -> list[tuple[Clip, ...]]:
    """Return all pairs of configurations of the same block."""
    blocks: dict[str, list[Clip]] = {}
    for clip in clips:
        blocks.setdefault(clip.block, []).append(clip)
    return [
        pair
        for block in blocks.values()
        for pair in itertools.combinations(block, 2)
        if pair[0].configuration != pair[1].configuration
    ]


def _clip_dealer(design: Design, items: Sequence[Item]) -> _Dealer:
    """Deal out whole blocks in turn; one that is too large for a rater is cut in equal parts, other ones in each round."""
    n = _settled(design)
    parts = []
    size = 1
    for block in _blocks(design, items):
        n_parts = math.ceil(len(block) / n)
        size = max(size, math.ceil(len(block) / n_parts))
        parts += [(block, part, n_parts) for part in range(n_parts)]
    n_at_once = min(len(parts), n // size)

    def deal(slot: int) -> list[PlannedPresentation]:
        dealt: list[Item] = []
        for turn in range(slot * n_at_once, (slot + 1) * n_at_once):
            turn_round, place = divmod(turn, len(parts))
            block, part, n_parts = parts[place]
            mixed = _shuffled(design, block, "round", turn_round) if n_parts > 1 else block
            dealt += mixed[part::n_parts]
        return [PlannedPresentation(item.code, Role.RATING) for item in dealt]

    return deal


def _pair_dealer(design: Design, items: Sequence[Item]) -> _Dealer:
    """Deal out pairs in turn, one of each block after the other."""
    turned = [
        [*block[turn % len(block) :], *block[: turn % len(block)]]
        for turn, block in enumerate(_blocks(design, items))
    ]
    order = [item for row in itertools.zip_longest(*turned) for item in row if item is not None]
    n = min(_settled(design), len(order))
    first_side = _draw(design, "side")

    def deal(slot: int) -> list[PlannedPresentation]:
        dealt = []
        for turn in range(slot * n, (slot + 1) * n):
            turn_round, place = divmod(turn, len(order))
            is_swapped = (first_side + place + turn_round) % 2 == 1
            dealt.append(PlannedPresentation(order[place].code, Role.RATING, is_swapped))
        return dealt

    return deal


def _training(design: Design, items: Sequence[Item]) -> list[PlannedPresentation]:
    """Return what everybody learns by, the same for all: of different inputs where there are."""
    drawn = _shuffled(design, items, "training")
    seen: Counter[str] = Counter()
    turns = []
    for item in drawn:
        turns.append(seen[item.input])
        seen[item.input] += 1
    first = sorted(zip(turns, range(len(drawn)), strict=True))[: design.n_training]
    return [PlannedPresentation(drawn[place].code, Role.TRAINING) for _, place in first]


def _mix(
    dealt: Sequence[PlannedPresentation],
    input_of: Callable[[PlannedPresentation], str],
    draw: Callable[..., int],
) -> list[PlannedPresentation]:
    """Put presentations in an order that is drawn, no two neighbours of the same input where that can be."""
    left = sorted(dealt, key=lambda one: draw("order", one.item), reverse=True)
    counts = Counter(map(input_of, left))
    order: list[PlannedPresentation] = []
    while left:
        last = input_of(order[-1]) if order else None
        must = next((name for name, n in counts.items() if n > len(left) // 2 and name != last), None)
        fits = [
            one for one in left if (input_of(one) != last if must is None else input_of(one) == must)
        ] or left
        chosen = fits[-1]
        left.remove(chosen)
        counts[input_of(chosen)] -= 1
        order.append(chosen)
    return order


def _put_in(
    order: list[PlannedPresentation],
    one: PlannedPresentation,
    places: range,
    input_of: Callable[[PlannedPresentation], str],
    draw: Callable[..., int],
) -> None:
    """Put one more into an order at one of some places, beside another input where that can be."""

    def cost(place: int) -> tuple[bool, int]:
        beside = order[max(0, place - 1) : place + 1]
        return any(input_of(other) == input_of(one) for other in beside), draw("place", one.item, place)

    order.insert(min(places, key=cost), one)


def _other_side(design: Design, one: PlannedPresentation) -> bool:
    """Return the side of a repeat: of a pair the other one, so that who always takes the first is found."""
    return design.kind is StudyKind.PAIRS and not one.is_swapped


def _blocks(design: Design, items: Sequence[Item]) -> list[list[Item]]:
    """Return the items by block, the blocks in an order that is drawn."""
    blocks: dict[str, list[Item]] = {}
    for item in items:
        blocks.setdefault(item.block, []).append(item)
    return [blocks[name] for name in sorted(blocks, key=lambda name: _draw(design, "block", name))]


def _shuffled(design: Design, items: Sequence[Item], *what: Any) -> list[Item]:
    return sorted(items, key=lambda item: _draw(design, *what, item.code))


def _settled(design: Design) -> int:
    if design.clips_per_rater is None:
        raise ValueError("this design is not settled: it does not say how many clips a rater is shown")
    return design.clips_per_rater


def _draw(design: Design, *what: Any) -> int:
    """Return a number that nobody could foretell without the seed, the same for the same things for ever."""
    return int(hash_of([design.seed, *what]), 16)
