"""Which trials there are, and what they are called."""

from __future__ import annotations

from dataclasses import replace

from evalkit.runs import Input
from evalkit.sweeps.plan import PlannedInput, TrialIdentity, expand_grid, plan_trials, trial_id

ANNA = Input("anna", "aa" * 32, path="anna.png")
HELLO = Input("hello", "bb" * 32, text="Hello.")
DECIDERS = TrialIdentity(
    {"name": "reference", "version": "1", "settings": {}},
    {"lip_sync": 1, "technical": 2},
    {"mark.png": "cc" * 32},
)
PARAMS = {"size": "384*256", "sample_steps": 3}


def test_ids_are_pinned() -> None:
    # If this fails, nobody's finished trials are found again: raise ID_FORMAT, and say so in the changelog.
    assert trial_id(PARAMS, ANNA, HELLO, 420, DECIDERS) == "c8ae49340d792542"
    assert trial_id({}, None, None, None, TrialIdentity({"name": "command"}, {}, {})) == "8237c24eda26cfee"


def test_everything_that_decides_the_outcome_changes_the_id() -> None:
    ids = {
        trial_id(PARAMS, ANNA, HELLO, 420, DECIDERS),
        trial_id({**PARAMS, "sample_steps": 4}, ANNA, HELLO, 420, DECIDERS),
        trial_id({**PARAMS, "fps": 25.0}, ANNA, HELLO, 420, DECIDERS),
        trial_id(PARAMS, replace(ANNA, content="ab" * 32), HELLO, 420, DECIDERS),
        trial_id(PARAMS, None, HELLO, 420, DECIDERS),
        trial_id(PARAMS, ANNA, replace(HELLO, content="ab" * 32), 420, DECIDERS),
        trial_id(PARAMS, ANNA, HELLO, 421, DECIDERS),
        trial_id(PARAMS, ANNA, HELLO, None, DECIDERS),
        trial_id(PARAMS, ANNA, HELLO, 420, replace(DECIDERS, evaluators={"lip_sync": 2, "technical": 2})),
        trial_id(PARAMS, ANNA, HELLO, 420, replace(DECIDERS, evaluators={"lip_sync": 1})),
        trial_id(
            PARAMS, ANNA, HELLO, 420, replace(DECIDERS, generator={**DECIDERS.generator, "version": "2"})
        ),
        trial_id(
            PARAMS,
            ANNA,
            HELLO,
            420,
            replace(DECIDERS, generator={**DECIDERS.generator, "settings": {"device": "cpu"}}),
        ),
    }
    assert len(ids) == 12


def test_names_places_and_order_change_nothing() -> None:
    same = trial_id(PARAMS, ANNA, HELLO, 420, DECIDERS)
    assert trial_id(dict(reversed(PARAMS.items())), ANNA, HELLO, 420, DECIDERS) == same
    elsewhere = replace(ANNA, name="<script>", path="elsewhere/anna.png")
    assert trial_id(PARAMS, elsewhere, HELLO, 420, DECIDERS) == same


def test_a_file_that_a_parameter_names_counts_by_its_content() -> None:
    marked = {**PARAMS, "brand_mark": "mark.png"}
    moved = replace(DECIDERS, contents={"moved.png": "cc" * 32})
    changed = replace(DECIDERS, contents={"mark.png": "dd" * 32})
    first = trial_id(marked, ANNA, HELLO, 420, DECIDERS)
    assert trial_id({**PARAMS, "brand_mark": "moved.png"}, ANNA, HELLO, 420, moved) == first
    assert trial_id(marked, ANNA, HELLO, 420, changed) != first


def test_a_grid_is_every_combination_the_last_changing_fastest() -> None:
    assert expand_grid({"size": ["s", "l"], "steps": [2, 3]}) == [
        {"size": "s", "steps": 2},
        {"size": "s", "steps": 3},
        {"size": "l", "steps": 2},
        {"size": "l", "steps": 3},
    ]
    assert expand_grid({}) == [{}]


def test_trials_are_configurations_by_inputs_by_seeds() -> None:
    portraits = [PlannedInput(replace(ANNA, content=letter * 64), {"image": letter}) for letter in "ab"]
    speech = [PlannedInput(HELLO, {"text": "Hello.", "language": "en"})]
    params = [{"sample_steps": 2, "options.style": "calm"}, {"sample_steps": 3, "options.style": "calm"}]
    trials = plan_trials(params, portraits, speech, [1, 2], DECIDERS)
    assert len({trial.id for trial in trials}) == len(trials) == 8
    assert [trial.params["sample_steps"] for trial in trials] == [2] * 4 + [3] * 4
    assert trials[0].request == {
        "sample_steps": 2,
        "options": {"style": "calm"},
        "image": "a",
        "text": "Hello.",
        "language": "en",
        "base_seed": 1,
    }


def test_without_inputs_and_seeds_a_configuration_is_one_trial() -> None:
    (trial,) = plan_trials([PARAMS], [], [], [None], DECIDERS)
    assert (trial.portrait, trial.speech, trial.seed) == (None, None, None)
    assert trial.request == PARAMS
