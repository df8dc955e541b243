"""Who is shown what: balanced, mixed, and the same for ever."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evalkit.errors import UsageError
from evalkit.rating.key import Key, commitment_of, fits, read_key
from evalkit.rating.study import Clip, Design, Item, make_items, presentations, rater_s, settle
from evalkit.runs.ratings import Role, StudyKind

MAIN = {Role.RATING, Role.REPEAT, Role.CHECK}
N_SLOTS = 12


def grid(
    n_configurations: int, n_inputs: int, n_seeds: int = 1, lost: frozenset[int] = frozenset()
) -> list[Clip]:
    """Return the clips of a grid, less some that were lost."""
    cells = itertools.product(range(n_configurations), range(n_inputs), range(n_seeds))
    return [
        Clip(f"t{c}-{i}-{s}", f"content {c}-{i}-{s}", f'{{"steps":{c}}}', f"block {i}-{s}", f"input {i}")
        for number, (c, i, s) in enumerate(cells)
        if number not in lost
    ]


@st.composite
def studies(draw: st.DrawFn, kind: StudyKind) -> tuple[Design, tuple[Item, ...]]:
    """Draw a design that is settled, and its items."""
    n_configurations = draw(st.integers(2, 6))
    n_inputs = draw(st.integers(1, 5))
    n_seeds = draw(st.integers(1, 2))
    lost = draw(st.frozensets(st.integers(0, 59), max_size=4))
    clips = grid(n_configurations, n_inputs, n_seeds, lost)
    design = Design(
        kind,
        seed=draw(st.integers(0, 2**31)),
        clips_per_rater=draw(st.integers(1, 30)),
        n_repeats=draw(st.integers(0, 3)),
        n_training=draw(st.integers(0, 3)),
        n_checks=draw(st.integers(0, 2)),
    )
    try:
        return settle(design, clips, 5.0), make_items(design, clips)
    except UsageError:  # everything that could be shown was lost
        clips = grid(2, 2)
        return settle(design, clips, 5.0), make_items(design, clips)


BOTH = st.sampled_from(StudyKind).flatmap(studies)


@given(BOTH)
@settings(max_examples=150, deadline=None)
def test_every_item_gets_its_share(study: tuple[Design, tuple[Item, ...]]) -> None:
    design, items = study
    counts = Counter({item.code: 0 for item in items if not item.is_check})
    for slot in range(N_SLOTS):
        shown = presentations(design, items, slot)
        rated = [one.item for one in shown if one.role is Role.RATING]
        assert 1 <= len(rated) == len(set(rated)) <= (design.clips_per_rater or 0)
        counts.update(rated)
        assert max(counts.values()) - min(counts.values()) <= 1


@given(studies(StudyKind.ACR))
@settings(max_examples=100, deadline=None)
def test_a_rater_sees_whole_blocks_as_far_as_they_fit(study: tuple[Design, tuple[Item, ...]]) -> None:
    design, items = study
    sizes = Counter(item.block for item in items if not item.is_check)
    block_of = {item.code: item.block for item in items}
    for slot in range(N_SLOTS):
        rated = [one.item for one in presentations(design, items, slot) if one.role is Role.RATING]
        for block, n in Counter(block_of[code] for code in rated).items():
            assert n == sizes[block] or sizes[block] > (design.clips_per_rater or 0)


@given(BOTH)
@settings(max_examples=100, deadline=None)
def test_training_comes_first_and_what_is_hidden_is_where_it_should_be(
    study: tuple[Design, tuple[Item, ...]],
) -> None:
    design, items = study
    n_items = sum(not item.is_check for item in items)
    for slot in range(N_SLOTS):
        shown = presentations(design, items, slot)
        n_training = sum(one.role is Role.TRAINING for one in shown)
        assert n_training == min(design.n_training, n_items)
        assert all(one.role is Role.TRAINING for one in shown[:n_training])
        rest = shown[n_training:]
        rated = [one for one in rest if one.role is Role.RATING]
        repeats = [place for place, one in enumerate(rest) if one.role is Role.REPEAT]
        assert len(repeats) == min(design.n_repeats, len(rated) // 3)
        for place in repeats:
            first = next(k for k, one in enumerate(rest) if one.item == rest[place].item)
            assert rest[first].role is Role.RATING
            assert place - first > len(rated) // 3
            assert rest[first].is_swapped != rest[place].is_swapped or design.kind is StudyKind.ACR
        checks = [place for place, one in enumerate(rest) if one.role is Role.CHECK]
        assert len(checks) == min(design.n_checks, n_items)
        for place in checks:
            assert len(rest) // 3 - 2 <= place <= len(rest) - len(rest) // 3 + 1


@given(st.integers(2, 6), st.integers(2, 5), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_neighbours_have_different_inputs_where_that_can_be(n: int, n_inputs: int, seed: int) -> None:
    clips = grid(n, n_inputs)
    design = Design(seed=seed, clips_per_rater=len(clips), n_repeats=0, n_checks=0)
    items = make_items(design, clips)
    input_of = {item.code: item.input for item in items}
    for slot in range(3):
        shown = [input_of[one.item] for one in presentations(design, items, slot) if one.role in MAIN]
        assert all(one != other for one, other in itertools.pairwise(shown))


def test_a_pair_changes_sides_from_one_showing_to_the_next() -> None:
    clips = grid(3, 4)
    design = settle(Design(StudyKind.PAIRS, clips_per_rater=5), clips, 5.0)
    items = make_items(design, clips)
    sides = defaultdict(list)
    for slot in range(24):  # 120 showings of 12 pairs
        for one in presentations(design, items, slot):
            if one.role is Role.RATING:
                sides[one.item].append(one.is_swapped)
    assert {len(shown) for shown in sides.values()} == {10}
    for shown in sides.values():
        assert all(one != other for one, other in itertools.pairwise(shown))
    assert sum(shown[0] for shown in sides.values()) == 6  # and half of them begin on the other side


@given(studies(StudyKind.PAIRS))
@settings(max_examples=60, deadline=None)
def test_a_rater_sees_half_of_the_pairs_the_other_way_round(study: tuple[Design, tuple[Item, ...]]) -> None:
    design, items = study
    for slot in range(N_SLOTS):
        sides = [one.is_swapped for one in presentations(design, items, slot) if one.role is Role.RATING]
        assert abs(2 * sum(sides) - len(sides)) <= 2


def test_pairs_are_of_two_configurations_on_the_same_input_and_seed() -> None:
    items = make_items(Design(StudyKind.PAIRS, n_checks=0), grid(3, 2, 2))
    assert len(items) == 3 * 2 * 2
    for item in items:
        first, second = (trial.split("-") for trial in item.trials)
        assert first[0] != second[0]
        assert first[1:] == second[1:]


def test_orders_differ_from_rater_to_rater() -> None:
    clips = grid(3, 4)
    design = settle(Design(), clips, 5.0)
    items = make_items(design, clips)
    assert len({presentations(design, items, slot) for slot in range(20)}) == 20


def test_a_configuration_is_anywhere_in_the_order_as_often_as_another() -> None:
    clips = grid(4, 6)
    design = settle(Design(n_repeats=0, n_checks=0, clips_per_rater=24), clips, 5.0)
    items = make_items(design, clips)
    places = defaultdict(list)
    for slot in range(200):
        shown = [one.item for one in presentations(design, items, slot) if one.role is Role.RATING]
        for place, code in enumerate(shown):
            configuration = next(item for item in items if item.code == code).trials[0].split("-")[0]
            places[configuration].append(place)
    for found in places.values():  # the mean of 1200 places from 0 to 23 scatters by 0.2
        assert abs(sum(found) / len(found) - 11.5) < 0.8


def test_a_rater_is_asked_for_a_quarter_of_an_hour() -> None:
    clips = grid(18, 8)
    for design in (Design(), Design(StudyKind.PAIRS), Design(questions=("overall",))):
        settled = settle(design, clips, 6.0)
        items = make_items(settled, clips)
        assert 10 * 60 < rater_s(settled, items, 6.0) <= 15 * 60 or settled.kind is StudyKind.ACR
        assert rater_s(settled, items, 6.0) <= 15 * 60
    assert settle(Design(), grid(2, 2), 6.0).clips_per_rater == 4  # no more than there are


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"questions": ("overall", "beauty")}, "questions are some of overall"),
        ({"questions": ()}, "not none"),
        ({"questions": ("overall", "overall")}, "each once"),
        ({"clips_per_rater": 0}, "one clip at least"),
        ({"n_repeats": -1}, "not negative"),
    ],
)
def test_a_design_that_nobody_could_be_asked_by_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Design(**wrong)  # type: ignore[arg-type]


def test_nothing_to_be_shown_is_said() -> None:
    with pytest.raises(UsageError, match="no video yet"):
        make_items(Design(), [])
    with pytest.raises(UsageError, match="no pairs to be compared"):
        make_items(Design(StudyKind.PAIRS), grid(1, 4))


def test_a_key_says_it_all_and_only_itself_fits_its_hash() -> None:
    clips = grid(3, 2)
    design = settle(Design(StudyKind.PAIRS, seed=7), clips, 5.0)
    key = Key(design, make_items(design, clips), "ab" * 16)
    again = read_key(key.text)
    assert again == key
    assert commitment_of(key.text) == key.commitment
    assert fits(again, 3, presentations(design, key.items, 3))
    assert not fits(again, 4, presentations(design, key.items, 3))
    for other in (replace(key, salt="cd" * 16), replace(key, design=replace(design, seed=8))):
        assert other.commitment != key.commitment
    for text in ("", "[]", "{}", '{"format": "other"}', key.text.replace("is_check", "check")):
        with pytest.raises(UsageError, match="key"):
            read_key(text)


def test_the_same_study_for_ever() -> None:
    """Pinned: a key that was sealed by an earlier version has to give the same presentations."""
    clips = grid(3, 2)
    design = settle(Design(seed=3), clips, 5.0)
    shown = presentations(design, make_items(design, clips), 1)
    assert " ".join(f"{one.item}{one.role.value[:2]}" for one in shown) == PINNED_CLIPS
    pairs = settle(Design(StudyKind.PAIRS, seed=3), clips, 5.0)
    shown = presentations(pairs, make_items(pairs, clips), 1)
    assert (
        " ".join(f"{one.item}{one.role.value[:2]}{'-' if one.is_swapped else '+'}" for one in shown)
        == PINNED_PAIRS
    )


PINNED_CLIPS = "i5tr i2tr i4ra i1ra i6ra i3ra i2ra i5ra i7ch i4re i1re"
PINNED_PAIRS = "i5tr+ i2tr+ i4ra+ i1ra- i6ra+ i3ra- i5ra+ i2ra- i7ch+ i4re- i1re+"
