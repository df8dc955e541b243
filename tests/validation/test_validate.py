"""The whole of it: from clips to a card, as a library and as a command, with what people really have."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

import evalkit
from evalkit.api.validate import InterruptedValidation
from evalkit.cli import main
from evalkit.decisions.policy import load_policy
from evalkit.measuring.pool import BatchProgress
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.validation import faults

FEW = {"clipping": (0.3, 3, 10), "dropped": (5, 20, 40), "reencoded": (28,), "sound_reencoded": (64,)}


@pytest.fixture(autouse=True)
def few_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave most faults out: they take the time."""
    chosen = [replace(fault, doses=FEW[fault.name]) for fault in faults.FAULTS if fault.name in FEW]
    monkeypatch.setattr(faults, "FAULTS", tuple(chosen))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder: a clip, one without sound, one of a single second without a picture, and words."""
    folder = tmp_path_factory.mktemp("clips")
    size = {"width": 64, "height": 48}
    write_clip(
        folder / "good.mp4", moving_pattern(1, **size), sound=0.3 * tone(1, rate_hz=16_000), rate_hz=16_000
    )
    write_clip(folder / "mute.mp4", moving_pattern(1, **size))
    write_clip(folder / "only_sound.mp4", (), sound=0.3 * tone(1, rate_hz=16_000), rate_hz=16_000)
    (folder / "words.mp4").write_text("these are words")
    return folder


def test_what_is_missing_has_a_reason_and_the_rest_of_the_card_is_drawn(folder: Path, tmp_path: Path) -> None:
    progress: list[BatchProgress] = []
    found = evalkit.validate(
        folder, faults=["clipping", "dropped"], keep=tmp_path / "kept", on_progress=progress.append
    )
    assert isinstance(found, evalkit.Validation)
    assert found.unmeasured.keys() == {str(folder / "words.mp4")}
    clips = {Path(clip.clip).stem: clip for clip in found["clipping"].meant.clips}
    assert clips["good"].tau == 1.0
    assert clips["mute"].reason == "the file has no sound"
    clips = {Path(clip.clip).stem: clip for clip in found["dropped"].meant.clips}
    assert clips["only_sound"].reason == "the file has no picture"
    assert clips["good"].tau == pytest.approx(1.0)
    assert found["dropped"].meant.smallest_seen is not None
    assert found.is_complete
    assert [one.n_over for one in progress] == sorted(one.n_over for one in progress)
    assert progress[-1].n_over == progress[-1].n_clips
    kept = sorted(path.name for path in (tmp_path / "kept" / "good").iterdir())
    assert {"as_shown.mp4", "clipping-10.mp4", "dropped-40.mp4", "reencoded-28.mp4"} <= set(kept)


def test_python_and_the_command_give_one_card(folder: Path, tmp_path: Path) -> None:
    found = evalkit.validate([folder / "good.mp4", folder / "words.mp4"], faults=["clipping"])
    words = [
        "validate",
        str(folder / "good.mp4"),
        str(folder / "words.mp4"),
        "--faults",
        "clipping",
        "--json",
        str(tmp_path / "card.json"),
    ]
    words += ["--html", str(tmp_path / "card.html"), "--write-policy", str(tmp_path / "policy.yaml")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert max(map(len, done.output.splitlines()[:4])) <= 80
    assert "sound clipped" in done.output
    written = json.loads((tmp_path / "card.json").read_text("utf-8"))
    expected = json.loads(found.to_json())
    for card in (written, expected):
        card.pop("seconds")
        card.pop("kept")
    assert written == expected
    page = (tmp_path / "card.html").read_text("utf-8")
    assert "<svg" in page
    assert "words.mp4" in page
    assert load_policy(str(tmp_path / "policy.yaml")).name == "customer_service"
    assert yaml.safe_load((tmp_path / "policy.yaml").read_text("utf-8"))["rules"]


def test_the_first_interruption_leaves_what_was_measured(folder: Path) -> None:
    def interrupt(progress: BatchProgress) -> None:
        if progress.n_over >= 4:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedValidation, match=r"^4 of \d+ were measured") as caught:
        evalkit.validate(folder / "good.mp4", faults="clipping", on_progress=interrupt)
    validation = caught.value.validation
    assert not validation.is_complete
    assert json.loads(validation.to_json())["n_measured"] == 4


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
    done = CliRunner().invoke(main, ["validate", str(folder / "words.mp4"), "--faults", "clipping"])
    assert done.exit_code == 1
    assert "Nothing could be measured of 1 clip" in done.output
