"""Which trials there are, and what they are called."""

from __future__ import annotations

from dataclasses import replace

from evalkit.execution.jobs import InputFile
from evalkit.runs import Input
from evalkit.runs.identity import video_id
from evalkit.sweeps.plan import PlannedInput, expand_grid, plan_trials

ANNA = Input("anna", "aa" * 32, path="anna.png")
HELLO = Input("hello", "bb" * 32, text="Hello.")
GENERATOR = {"name": "reference", "version": "1", "settings": {}}
CONTENTS = {"mark.png": "cc" * 32}
PARAMS = {"size": "384*256", "sample_steps": 3}


def the_id(params: dict[str, object], contents: dict[str, str]) -> str:
    (trial,) = plan_trials(
        [params],
        [PlannedInput(ANNA, {})],
        [PlannedInput(HELLO, {})],
        [420],
        generator=GENERATOR,
        contents=contents,
    )
    return trial.id


def test_a_trial_has_the_name_of_its_video() -> None:
    expected = video_id(GENERATOR, PARAMS, portrait=ANNA.content, speech=HELLO.content, seed=420)
    assert the_id(PARAMS, CONTENTS) == expected


def test_a_file_that_a_parameter_names_counts_by_its_content() -> None:
    marked = {**PARAMS, "brand_mark": "mark.png"}
    moved, changed = {"moved.png": "cc" * 32}, {"mark.png": "dd" * 32}
    assert the_id({**PARAMS, "brand_mark": "moved.png"}, moved) == the_id(marked, CONTENTS)
    assert the_id(marked, changed) != the_id(marked, CONTENTS)


def test_a_trial_names_every_file_that_its_request_names() -> None:
    picture, sound = InputFile("anna.png", ANNA.content), InputFile("hi.wav", "ee" * 32)
    (trial,) = plan_trials(
        [{**PARAMS, "brand_mark": "mark.png", "prompt": "mark"}],
        [PlannedInput(ANNA, {"image": "anna.png"}, (picture,))],
        [PlannedInput(HELLO, {"audio": "hi.wav"}, (sound,))],
        [None],
        generator=GENERATOR,
        contents=CONTENTS,
    )
    assert trial.files == (picture, sound, InputFile("mark.png", "cc" * 32))


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
    trials = plan_trials(params, portraits, speech, [1, 2], generator=GENERATOR, contents=CONTENTS)
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
    (trial,) = plan_trials([PARAMS], [], [], [None], generator=GENERATOR, contents=CONTENTS)
    assert (trial.portrait, trial.speech, trial.seed) == (None, None, None)
    assert trial.request == PARAMS
