"""Files as people break them: every message names the file, the line, the mistake and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from evalkit.cli import main
from evalkit.samples import KINDS
from evalkit.testing.runs import write_grid

COMMANDS = {
    "sweep": ("sweep", "FILE", "--dry-run"),
    "policy": ("policy", "check", "FILE"),
    "brand": ("evaluate", "clip.mp4", "--brand", "FILE", "--only", "brand"),
    "conversation": (
        *("generate", "--generator", "reference", "--conversation", "FILE"),
        *("--question", "When do you open?", "--out", "answer.mp4", "--dry-run"),
    ),
    "prompts": ("prompts", "check", "FILE"),
    "waivers": (
        *("signoff", "run", "--where", "size=384*256", "--where", "sample_steps=4"),
        *("--policy", "customer_service", "--waivers", "FILE"),
    ),
}
TEXTS = {
    **{name: kind.text() for name, kind in KINDS.items()},
    "prompts": "parameters:\n  prompt: a woman in an office, smiling, soft light\n",
    "waivers": (
        "waivers:\n  - metric: rating.mos\n    run: run\n    policy: 0123456789ab\n    value: null\n"
        "    name: Anna\n    reason: no raters yet\n    expires: 2026-12-20\n"
    ),
}
DOCUMENTS = "  - {name: documents} "
BROKEN = [
    ("sweep", "  sample_steps: [1, 4]", "\tsample_steps: [1, 4]", "with spaces, not with tabs"),
    ("sweep", "[1, 4]", "[1, 4", "is not closed"),
    ("sweep", 'help you today?"', "help you today?", "is not closed, or a text"),
    ("sweep", '"Good morning, and', 'Good: morning"', "needs quotes"),
    ("sweep", "seeds: [420]", "seeds: [420]\nseeds: [1]", "'seeds' is there twice, first in line"),
    ("sweep", "  size: 256*256", "  size 256*256", "parameters is 'size 256*256'"),
    ("sweep", "generator:\n  name: reference", "generator: reference", "as in generator: {name: reference}"),
    ("sweep", "parameters:", "paramters:", "did you mean 'parameters'?"),
    ("sweep", "name: reference", "nam: reference", "did you mean 'name'?"),
    ("sweep", "name: reference", "name: referense", "did you mean 'reference'?"),
    ("sweep", "name: reference", "name: reference\n  settings: {devise: cpu}", "did you mean 'device'?"),
    ("sweep", "size: 256*256", "sizee: 256*256", "did you mean 'size'?"),
    ("sweep", "256*256", "256x256", '"W*H" in pixels'),
    ("sweep", "[1, 4]", "4", "lists of at least one value"),
    ("sweep", "[1, 4]", "[1, four]", "grid: sample_steps is 'four'; allowed: a whole number"),
    ("sweep", "[1, 4]", "[0, 4]", "grid: sample_steps is 0"),
    ("sweep", "[420]", "[4.5]", "seeds.0 is 4.5"),
    ("sweep", "[420]", "420", "a list of whole numbers"),
    ("sweep", "speech:  ", "speech:\n    - gone.wav #", "there is no file gone.wav"),
    ("sweep", "language: en}", "language: en, path: a.wav}", "one of them"),
    ("sweep", "language: en}", "language: no}", "in quotes for the text"),
    ("sweep", "256*256", "16:9", "in base 60"),
    ("sweep", "seeds: [420]", "evaluators: [lipsync]", "did you mean 'lip_sync'?"),
    ("sweep", "seeds: [420]", "measuring: {brand: {fyle: a}}", "did you mean 'file'?"),
    ("sweep", "seeds: [420]", "measuring: {brand: {file: gone.yaml}}", "there is no file /"),
    ("sweep", "policy: customer_service", "policy: costumer_service", "did you mean 'customer_service'?"),
    ("sweep", "seeds: [420]", "execution: {executor: prozesses}", "did you mean 'processes'?"),
    ("sweep", "seeds: [420]", "execution: {retries: -1}", "retries is -1"),
    ("sweep", "  sample_steps: [1, 4]", "", "grid is empty"),
    ("policy", "    at_most: 0.3", "    atmost: 0.3", "did you mean 'at_most'?"),
    ("policy", "metric: lip_sync.error", "metric: lipsync.error", "did you mean 'lip_sync.error'?"),
    ("policy", "at_most: 0.3", 'at_most: "0.3"', "allowed: a number"),
    ("policy", "at_most: 0.3", "at_most: 0,3", "a number with a point: 0.3"),
    ("policy", "at_most: 0.3", "at_most: .inf", "rules.0.at_most is inf; numbers must be finite"),
    ("policy", "at_most: 0.3", "at_least: 0.3", "only the bad pass; write at_most"),
    ("policy", "at_most: 0.10", "at_most: 10%", "allowed: a number"),
    ("policy", "kind: soft", "kind: mild", "allowed: hard or soft"),
    ("policy", "    per: clip\n    judged_by", "    per: video\n    judged_by", "allowed: run or clip"),
    ("policy", "    judged_by: interval", "    judged_by: luck", "allowed: interval or value"),
    ("policy", "rules:\n", "rules: 5\nrule:\n", "rules is 5; allowed: a list"),
    ("policy", "rules:\n", "rules:\n  - lip_sync.error\n", "allowed: a group of options (metric, at_most"),
    ("policy", "min_coverage: 0.95", "min_coverage: 95", "allowed: at most 1"),
    ("policy", "speech: 20", "speach: 20", "did you mean 'speech'?"),
    ("policy", "speech: 20", "speech: 2.5", "allowed: a whole number"),
    ("policy", "reach: {", "given: portrait\nreach: {", "given is 'portrait'; allowed: a list"),
    ("policy", "reach: {", "given: [voice]\nreach: {", "allowed: portrait, speech or seed"),
    ("policy", "reach: {", "max_age_days: 0\nreach: {", "allowed: at least 1"),
    ("policy", "costs: [", "costs: [profile.price, ", "unknown metric 'profile.price'"),
    ("policy", "primary: [lip_sync.error]", "primary: lip_sync.error", "allowed: a list"),
    ("policy", "    judged_by", "   judged_by", "begins in the same column"),
    ("policy", "  - metric", "  -metric", "a dash a space behind it"),
    ("policy", "name: policy", "name: 5", "allowed: text"),
    ("policy", "reach: {", "version: 2\nreach: {", "there is no option 'version'"),
    ("policy", "reach: {", "reach: 20\nreech: {", "reach is 20"),
    ("brand", "logos:", "logo:", "did you mean 'logos'?"),
    ("brand", '- "#ffb000"', "- #ffb000", "put it in quotes"),
    ("brand", "#ffb000", "#ffb00", "a colour in quotes"),
    ("brand", '"#ffb000"', "red", "a colour in quotes"),
    ("brand", '"#ffb000"', "123456", "allowed: a group of options (hex, name, tolerance)"),
    ("brand", '"#ffb000"', '{color: "#ffb000"}', "there is no option 'colors.1.color'"),
    ("brand", "#ffb000", "#0b5fff", "#0b5fff is there twice"),
    ("brand", "tolerance: 5", "tolerance: 0", "ΔE00, above 0"),
    ("brand", "colors:", "place: upper left\ncolors:", "allowed: top left, top, top right"),
    ("brand", "colors:", "place: {left: 1, top: 0, right: 0, bottom: 1}\ncolors:", "the box is empty"),
    ("brand", "colors:", "place: {left: 0, top: 0}\ncolors:", "place.right is missing"),
    ("brand", "colors:", "words: Sample\ncolors:", "words is 'Sample'"),
    ("brand", "colors:", "words: [A]\ncolors:", "fewer than 2 letters"),
    ("brand", "colors:", "worn: yes\ncolors:", "yes is true in YAML"),
    ("brand", "colors:", 'worn: "true"\ncolors:', "worn is 'true'; allowed: true or false"),
    ("brand", "name: Sample Brand", 'name: ""', "name is ''"),
    ("brand", "colors:", "colours:", "did you mean 'colors'?"),
    ("brand", "- logo.svg", "- gone.svg", "there is no file gone.svg"),
    ("conversation", "documents: faq", "document: faq", "did you mean 'documents'?"),
    ("conversation", "documents: faq", "documents: fag", "there is no such folder"),
    ("conversation", "n_passages: 3", "n_passages: 0", "a whole number from 1 to 20"),
    ("conversation", "n_passages: 3", "n_passages: three", "a whole number from 1 to 20"),
    ("conversation", DOCUMENTS, "  - documents ", "as in {name: documents}"),
    ("conversation", DOCUMENTS, "  - {name: docs} ", "did you mean 'documents'?"),
    ("conversation", DOCUMENTS, "  - {nam: documents} ", "did you mean 'name'?"),
    ("conversation", DOCUMENTS, "  - {name: documents, settings: {min_scor: 1}} ", "did you mean 'min_score'?"),
    ("conversation", DOCUMENTS, "  - {name: documents, settings: {min_score: 5}} ", "a share, above 0"),
    ("conversation", DOCUMENTS, "  - {name: documents, time_limit_s: 0} ", "seconds, above 0"),
    ("conversation", DOCUMENTS, "  - {name: documents, retries: 99} ", "from 0 to 10"),
    ("conversation", DOCUMENTS, "  - {name: openai, settings: {model: a}} ", "base_url is missing"),
    ("conversation", DOCUMENTS, "  - {name: documents ", "is not closed"),
    ("conversation", "{name: espeak-ng}", "{name: espeak}", "did you mean 'espeak-ng'?"),
    ("conversation", "emotion: true", "emotion: yes", "yes is true in YAML"),
    ("conversation", "emotion: true", 'emotion: "true"', "allowed: true or false"),
    ("conversation", "emotion: true", "words: never.txt", "allowed: path, action"),
    ("conversation", "emotion: true", "words: {path: never.txt}", "there is no such file"),
    ("conversation", "emotion: true", "words: {path: faq, action: delete}", "mask, replace or refuse"),
    ("conversation", "emotion: true", "words: {action: mask}", "words.path is missing"),
    ("conversation", "emotion: true", "emotion: true\nn_passages: 4", "is there twice, first in line"),
    ("conversation", "emotion: true", "emotion: true\n5: a", "5 is not a name"),
    ("conversation", "emotion: true", "generator_settings: {devise: cpu}", "did you mean 'device'?"),
    ("conversation", "voices:", "voices:\nvoice:", "voices is empty"),
    ("prompts", "parameters:", "paramters:", "did you mean 'parameters'?"),
    ("prompts", "prompt: a woman", "prompt: [a woman", "is not closed"),
    ("waivers", "waivers:", "waiver:", "did you mean 'waivers'?"),
    ("waivers", "0123456789ab", "xyz", "the hash that sign-off shows"),
    ("waivers", "0123456789ab", "12345678", "in quotes"),
    ("waivers", "value: null", "value: none", "allowed: a number"),
    ("waivers", "    value: null\n", "", "waivers.0.value is missing"),
    ("waivers", "2026-12-20", "20.12.2026", "a date, as in 2026-11-30"),
    ("waivers", "2026-12-20", "2026-13-40", "month must be in 1..12"),
    ("waivers", "Anna", '""', "must not be blank"),
    ("waivers", "no raters yet", "", "waivers.0.reason is empty"),
    ("waivers", "    reason", "    why: a\n    reason", "there is no option 'waivers.0.why'"),
    ("waivers", "    run", "\trun", "not with tabs"),
]  # fmt: skip
WITHOUT_LINE = {"there is no file gone.svg"}
"""Found when the drawing is read; its place in the list is named."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("user")
    made = CliRunner().invoke(main, ["init", str(folder)])
    assert made.exit_code == 0, made.output
    write_grid(folder / "run")
    return folder


@pytest.mark.parametrize(
    ("kind", "before", "after", "said"), BROKEN, ids=[f"{one[0]} {one[2].strip()[:40]}" for one in BROKEN]
)
def test_a_mistake_is_told_with_file_line_and_cure(
    kind: str, before: str, after: str, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert before in TEXTS[kind]
    broken = TEXTS[kind].replace(before, after, 1)
    Path("broken.yaml").write_text(broken, "utf-8")
    told = CliRunner().invoke(main, [word.replace("FILE", "broken.yaml") for word in COMMANDS[kind]])
    assert told.exit_code == 2, told.output
    lines = [line for line in told.stderr.splitlines() if "broken.yaml" in line]
    (line,) = [line for line in lines if said in line][:1] or [told.stderr]
    assert said in line
    assert re.search(r"broken\.yaml(: | is not valid YAML)", line)
    if said not in WITHOUT_LINE:
        number = re.search(r"\(line ([0-9]+)\)|, line ([0-9]+):", line)
        assert number, line
        assert 1 <= int(number[1] or number[2]) <= broken.count("\n") + 1


def test_the_line_is_that_of_the_mistake(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    text = TEXTS["sweep"].replace("[1, 4]", "[1, four]")
    Path("broken.yaml").write_text(text, "utf-8")
    number = next(place for place, line in enumerate(text.splitlines(), start=1) if "four" in line)
    told = CliRunner().invoke(main, ["sweep", "broken.yaml", "--dry-run"])
    assert f"(line {number})" in told.stderr


def test_what_a_flag_says_is_no_mistake_of_the_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    told = CliRunner().invoke(main, ["sweep", "sweep.yaml", "--set", "sample_steps=four", "--dry-run"])
    assert told.exit_code == 2
    assert "sample_steps is 'four'" in told.stderr
    assert "(line" not in told.stderr
    words = ["--out", "a.mp4", "--question", "When?", "--dry-run", "--conversation", "conversation.yaml"]
    told = CliRunner().invoke(main, ["generate", "--generator", "referense", *words])
    assert "did you mean 'reference'?" in told.stderr
    assert "(line" not in told.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [("", "is empty"), ("- a\n", "not a list"), ("sweep\n", "not 'sweep'"), ("\x00", "U+0000")],
)
@pytest.mark.parametrize("kind", COMMANDS)
def test_what_is_no_mapping_is_called_what_it_is(
    kind: str, text: str, said: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    Path("broken.yaml").write_text(text, "utf-8")
    told = CliRunner().invoke(main, [word.replace("FILE", "broken.yaml") for word in COMMANDS[kind]])
    assert told.exit_code == 2
    assert "broken.yaml" in told.stderr
    assert said in told.stderr
