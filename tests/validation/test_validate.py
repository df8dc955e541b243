"""The whole of it: from clips to a card, as a library and as a command, with what people really have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import evalkit
from evalkit.api.validate import InterruptedValidation
from evalkit.cli import main
from evalkit.decisions.policy import load_policy
from evalkit.measuring.pool import BatchProgress
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.validation import faults
from evalkit.validation.run import Reading

FEW = {"clipping": (0.3, 3, 10), "sound_reencoded": (64,)}


@pytest.fixture(autouse=True)
def few_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave most faults out: they take the time."""
    chosen = [
        replace(fault, doses=FEW[fault.name], also=(), steady=())  # one evaluator, without models
        for fault in faults.FAULTS
        if fault.name in FEW
    ]
    monkeypatch.setattr(faults, "FAULTS", tuple(chosen))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder: a clip, one without sound, and words."""
    folder = tmp_path_factory.mktemp("clips")
    size = {"width": 64, "height": 48}
    write_clip(
        folder / "good.mp4", moving_pattern(1, **size), sound=0.3 * tone(1, rate_hz=16_000), rate_hz=16_000
    )
    write_clip(folder / "mute.mp4", moving_pattern(1, **size))
    (folder / "words.mp4").write_text("these are words")
    return folder


def test_what_is_missing_has_a_reason_and_the_rest_of_the_card_is_drawn(folder: Path, tmp_path: Path) -> None:
    progress: list[BatchProgress] = []
    found = evalkit.validate(
        folder, faults=["clipping"], keep=tmp_path / "kept", jobs=1, on_progress=progress.append
    )
    assert isinstance(found, evalkit.Validation)
    assert found.unmeasured.keys() == {str(folder / "words.mp4")}
    clips = {Path(clip.clip).stem: clip for clip in found["clipping"].meant.clips}
    assert clips["good"].tau == 1.0
    assert clips["mute"].reason == "the file has no sound"
    assert found["clipping"].meant.smallest_seen == 0.3
    assert found.is_complete
    assert [one.n_over for one in progress] == sorted(one.n_over for one in progress)
    assert progress[-1].n_over == progress[-1].n_clips
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "kept" / "good").iterdir()}
    assert kept["sound_reencoded-64.mp4"] < kept["clipping-0.3.mp4"]  # what is harmless comes first
    assert kept.keys() == {
        "as_shown.mp4",
        "as_recorded.mp4",
        *(f"clipping-{dose}.mp4" for dose in ("0.3", "3", "10")),
        "sound_reencoded-64.mp4",
    }


@pytest.fixture
def written_down(monkeypatch: pytest.MonkeyPatch) -> list[Reading | type[BaseException]]:
    """Return readings that are given instead of measured ones; an exception among them is raised."""
    given: list[Reading | type[BaseException]] = []

    def give(clips: list[str], *_: object, **__: object) -> Iterator[Reading]:
        for one in given:
            if not isinstance(one, Reading):
                raise one
            yield replace(one, clip=clips[0])

    monkeypatch.setattr("evalkit.api.validate.measure_faults", give)
    values = {"technical.clipping_ratio": 0.01, "lip_sync.offset_ms": 5.0}
    given += [Reading("", name, 0.0, values) for name in ("original", "as_shown", "as_recorded")]
    given.append(Reading("", "sound_reencoded", 64, {**values, "technical.clipping_ratio": 0.012}))
    given.extend(
        Reading("", "clipping", dose, {**values, "technical.clipping_ratio": 0.01 + dose / 100})
        for dose in FEW["clipping"]
    )
    return given


@pytest.mark.usefixtures("written_down")
def test_python_and_the_command_give_one_card(folder: Path, tmp_path: Path) -> None:
    found = evalkit.validate(folder / "good.mp4", faults=["clipping"])
    words = [
        "validate",
        str(folder / "good.mp4"),
        "--faults",
        "clipping",
        "--json",
        str(tmp_path / "card.json"),
    ]
    words += ["--html", str(tmp_path / "card.html"), "--write-policy", str(tmp_path / "policy.yaml")]
    done = CliRunner().invoke(main, words, env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert max(map(len, (line for line in lines if not line.startswith(("wrote", "not measured"))))) <= 80
    assert "1 of 1 planted fault is followed by the metric that is meant to see it" in done.output
    row = next(line for line in lines if line.startswith("sound clipped"))
    assert "technical.clipping_ratio ↑" in row
    # Harmless changes move it by 0.002, 0.3 % by 0.003, which is less than twice that, and 3 % by 0.03.
    assert re.search(r" 1\.00 +3 % of samples +7 %$", row.rstrip())
    written = json.loads((tmp_path / "card.json").read_text("utf-8"))
    assert written | {"seconds": 0} == json.loads(found.to_json()) | {"seconds": 0}
    page = (tmp_path / "card.html").read_text("utf-8")
    assert "<svg" in page
    assert "sound clipped: seen from 3 % of samples" in page
    assert load_policy(str(tmp_path / "policy.yaml")) == load_policy("customer_service")
    assert "no dead band of the policy has to be wider" in done.output


def test_an_interruption_leaves_what_was_measured(
    folder: Path, tmp_path: Path, written_down: list[Reading | type[BaseException]]
) -> None:
    written_down.insert(6, KeyboardInterrupt)
    with pytest.raises(InterruptedValidation, match=r"^6 of 7 were measured") as caught:
        evalkit.validate(folder / "good.mp4", faults="clipping")
    (clip,) = caught.value.validation["clipping"].meant.clips
    assert [point.reason for point in clip.points] == ["", "", "interrupted before it was measured"]
    words = ["validate", str(folder / "good.mp4"), "--faults", "clipping", "--json", str(tmp_path / "a.json")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 130
    assert "interrupted: 6 of 7 doses were measured" in done.output
    assert json.loads((tmp_path / "a.json").read_text("utf-8"))["n_measured"] == 6
    written_down.insert(3, KeyboardInterrupt)  # before the harmless change: what moves by itself is not known
    policy = tmp_path / "policy.yaml"
    done = CliRunner().invoke(main, [*words, "--write-policy", str(policy)])
    assert "of no clip all harmless changes were measured" in done.output
    assert load_policy(str(policy)) == load_policy("customer_service")
    written_down.insert(0, KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt) as nothing:
        evalkit.validate(folder / "good.mp4", faults="clipping")
    assert not isinstance(nothing.value, InterruptedValidation)


def test_a_fault_that_is_not_followed_is_exit_code_1(
    folder: Path, written_down: list[Reading | type[BaseException]]
) -> None:
    written_down[-1] = replace(written_down[-1], values={"technical.clipping_ratio": 0.0})
    done = CliRunner().invoke(main, ["validate", str(folder / "good.mp4"), "--faults", "clipping"])
    assert done.exit_code == 1
    assert "✗" in done.output


def test_a_clip_that_cannot_be_opened_is_exit_code_1_with_the_reason(
    folder: Path, written_down: list[Reading | type[BaseException]]
) -> None:
    written_down[:] = [Reading("", "original", 0.0, error="cannot be opened")]
    done = CliRunner().invoke(main, ["validate", str(folder / "words.mp4"), "--faults", "clipping"])
    assert done.exit_code == 1
    assert "Nothing could be measured of 1 clip" in done.output
    assert "words.mp4: cannot be opened" in done.output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"faults": ["lat"]}, "no fault is named 'lat'"),
        ({"faults": []}, "no fault is named; give at least one"),
        ({"jobs": 0}, "at least 1 core"),
        ({"keep": "/proc/nowhere"}, "cannot be made"),
        ({"script": "words"}, "a script needs a language"),
        ({"settings": {"brnd": {}}}, "brnd"),
    ],
)
def test_wrong_use_is_refused_before_any_work(folder: Path, options: dict, words: str) -> None:
    with pytest.raises(evalkit.UsageError, match=words):
        evalkit.validate(folder / "good.mp4", **options)


def test_the_command_refuses_wrong_use_with_exit_code_2(folder: Path) -> None:
    for words in (
        ["--faults", "lat"],
        ["--policy", "none", "--write-policy", "a.yaml"],
        ["--keep", "/proc/a/b"],
    ):
        done = CliRunner().invoke(main, ["validate", str(folder), *words])
        assert done.exit_code == 2, done.output
