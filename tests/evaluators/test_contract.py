"""Every evaluator that is shipped keeps the contract; an evaluator that does not is found out."""

# ruff: noqa: D101, D102 - a class of tests is named by its evaluator

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit.evaluators.base import Evaluator, Exhibit, MakeTracker, Measured
from evalkit.evaluators.brand import Brand
from evalkit.evaluators.expression import Expression
from evalkit.evaluators.lip_sync import LipSync
from evalkit.evaluators.motion import Motion
from evalkit.evaluators.speech import Speech
from evalkit.evaluators.stability import Stability
from evalkit.evaluators.technical import Technical
from evalkit.measuring.evidence import EvidenceWriter
from evalkit.measuring.runner import measure
from evalkit.media import probe
from evalkit.testing.evaluator import EvaluatorContract
from evalkit.testing.media import moving_pattern, write_clip
from evalkit.testing.talking_face import SENTENCES, TalkingFace
from evalkit.tracks.base import FrameTracker, TrackBuilder
from evalkit.types import ClipFacts, ClipIntent, FrameChunk, Measurement, Metric, Reason, Track

BRAND = Path(__file__).parents[2] / "notebooks" / "norrvik" / "brand.yaml"


class OfAFace(EvaluatorContract):
    @pytest.fixture
    def clip(self, talking_face: TalkingFace) -> Path:
        return talking_face.path


class TestLipSync(OfAFace):
    kind = LipSync


class TestMotion(OfAFace):
    kind = Motion


class TestExpression(OfAFace):
    kind = Expression


class TestTechnical(OfAFace):
    kind = Technical


class TestStability(OfAFace):
    kind = Stability


class TestSpeech(OfAFace):
    kind = Speech
    intent = ClipIntent(" ".join(SENTENCES), "en")


class TestBrand(OfAFace):
    kind = Brand

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        return {"file": str(BRAND)}


class TestBrandWithoutABrand(OfAFace):
    kind = Brand

    def test_every_metric_is_measured_or_absent_with_a_declared_reason(
        self, evaluator: Evaluator, facts: ClipFacts
    ) -> None:
        """Without a brand, nothing is measured."""
        self._check(evaluator.measure(facts, {}).measurements)


# --- a plug-in with a picture and a reason of its own is one small class

BRIGHTNESS = Metric("brightness.mean", "1", "band", "mean luma, 0 to 1", (0, 1))
NO_FRAMES = Reason("no_frames", "the video has no frames")


class Brightness(Evaluator):
    """The mean luma of a clip, with its curve."""

    name, version, metrics, reasons, tracks = "brightness", 1, (BRIGHTNESS,), (NO_FRAMES,), ("picture",)

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure the mean luma."""
        del facts
        if "picture" not in tracks or not len(tracks["picture"]):
            return self.absent(NO_FRAMES)
        luma = tracks["picture"]["luma_mean"] / 255
        return Measured(
            (Measurement(BRIGHTNESS, float(luma.mean()), n=luma.size, coverage=1.0),), details=luma
        )

    def evidence(self, details: np.ndarray) -> list[Exhibit]:
        """Draw the curve."""
        points = " ".join(f"{x},{1 - y:.3f}" for x, y in enumerate(details))
        svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {details.size} 1"><polyline points="{points}"/></svg>'
        return [Exhibit("brightness.svg", "brightness over time", svg, BRIGHTNESS)]


class TestAPlugIn(EvaluatorContract):
    kind = Brightness

    @pytest.fixture
    def clip(self, tmp_path: Path) -> Path:
        return write_clip(tmp_path / "pattern.mp4", moving_pattern(1))


def test_its_picture_and_its_reason_are_shown_like_our_own(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "pattern.mp4", moving_pattern(1))
    measure(str(clip), [Brightness()], observer=EvidenceWriter(tmp_path / "evidence"))
    index = json.loads((tmp_path / "evidence" / "brightness" / "index.json").read_text("utf-8"))
    assert index["captions"]["brightness.svg"] == "brightness over time"
    assert index["metrics"]["brightness.svg"] == "brightness.mean"
    assert (tmp_path / "evidence" / "brightness" / "brightness.svg").read_text("utf-8").startswith("<svg")
    sound = write_clip(tmp_path / "sound.wav", sound=np.zeros(16_000), rate_hz=16_000)
    (absent,) = measure(str(sound), [Brightness()])
    assert (str(absent.reason), absent.reason.text) == ("no_frames", "the video has no frames")


# --- what a contract is worth: each fault is found by one of its tests


class Undeclared(Brightness):
    """Gives a reason that it does not declare."""

    reasons = ()


class Forgetful(Brightness):
    """Leaves a metric out."""

    metrics = (BRIGHTNESS, Metric("brightness.spread", "1", "band", "spread of luma", (0, 1)))


class Stranger(Brightness):
    """Its metric is of another family."""

    metrics = (Metric("light.mean", "1", "band", "mean luma"),)


class Moody(Brightness):
    """Never says the same twice."""

    n_calls = 0

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure something else each time."""
        del facts, tracks
        type(self).n_calls += 1
        return Measured((Measurement(BRIGHTNESS, 1 / type(self).n_calls, n=1),))


class TwiceAtWork(Brightness):
    """Measures again to draw."""

    def evidence(self, details: object) -> list[Exhibit]:
        """Measure again."""
        del details
        self.measure(ClipFacts("gone.mp4", None, None, None), {})
        return []


class Wandering(Brightness):
    """Its identity changes by itself."""

    n_asked = 0

    @property
    def identity(self) -> str:
        """Something else each time."""
        type(self).n_asked += 1
        return str(type(self).n_asked)


class Demanding(Brightness):
    """A setting has no default."""

    def __init__(self, *, scale: float) -> None:
        self.scale = scale


class Fragile(Brightness):
    """Fails on a clip without a picture."""

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Take a track for granted."""
        return super().measure(facts, {"picture": tracks["picture"]})


class OutOfBounds(Brightness):
    """Gives luma from 0 to 255 where it declares 0 to 1."""

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Forget to divide."""
        measured = super().measure(facts, tracks)
        if measured.details is None:
            return measured
        return Measured((Measurement(BRIGHTNESS, 255 * float(measured.details.mean()), n=1),))


class Rambling(Brightness):
    """Gives a metric that it does not declare."""

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Measure something more."""
        extra = Measurement(Metric("brightness.extra", "1", "band", "undeclared"), 1.0, n=1)
        return Measured((*super().measure(facts, tracks).measurements, extra))


class ChunkCounter(FrameTracker):
    """Counts chunks where it should count frames."""

    name, version = "choppy", 1

    def __init__(self) -> None:
        self._rows = TrackBuilder(self.name, ("n",))

    def update(self, chunk: FrameChunk) -> list[None]:
        """Add one row a chunk."""
        self._rows.append(float(chunk.times_s[0]), np.ones(1, np.float32))
        return [None] * len(chunk.times_s)

    def finish(self) -> Track:
        """Return a row a chunk."""
        return self._rows.track()


class Choppy(Brightness):
    """Its value depends on how the clip is cut."""

    def trackers(self, facts: ClipFacts) -> Mapping[str, MakeTracker]:
        """Count chunks."""
        del facts
        return {"choppy": ChunkCounter}

    def measure(self, facts: ClipFacts, tracks: Mapping[str, Track]) -> Measured:
        """Return one over the number of chunks."""
        if "choppy" not in tracks or not len(tracks["choppy"]):
            return super().measure(facts, {})
        return Measured((Measurement(BRIGHTNESS, 1 / len(tracks["choppy"]), n=1),))


ON_A_CLIP = ("evaluator", "facts")
FAULTS: list[tuple[type[Evaluator], Callable[..., None], tuple[str, ...], str]] = [
    (Undeclared, EvaluatorContract.test_nothing_at_all_has_reasons, ("evaluator",), "no_frames is not declared"),
    (Forgetful, EvaluatorContract.test_every_metric_is_measured_or_absent_with_a_declared_reason, ON_A_CLIP, "brightness"),
    (OutOfBounds, EvaluatorContract.test_every_metric_is_measured_or_absent_with_a_declared_reason, ON_A_CLIP, "bounds"),
    (Rambling, EvaluatorContract.test_nothing_at_all_has_reasons, ("evaluator",), "brightness.extra"),
    (Choppy, EvaluatorContract.test_values_do_not_depend_on_how_the_clip_is_cut_into_chunks, ON_A_CLIP, "brightness"),
    (Stranger, EvaluatorContract.test_it_declares_what_it_is, (), "light"),
    (Moody, EvaluatorContract.test_the_same_clip_has_the_same_values, (*ON_A_CLIP, "settings"), ""),
    (TwiceAtWork, EvaluatorContract.test_evidence_is_made_from_the_details_that_were_kept, (*ON_A_CLIP, "monkeypatch"), "again"),
    (Wandering, EvaluatorContract.test_the_identity_is_stable, ("evaluator", "settings"), ""),
    (Demanding, EvaluatorContract.test_it_declares_what_it_is, (), ""),
    (Fragile, EvaluatorContract.test_nothing_at_all_has_reasons, ("evaluator",), "picture"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "check", "needs", "message"), FAULTS, ids=[case[0].__name__ for case in FAULTS]
)
def test_a_broken_evaluator_fails_the_contract(
    kind: type[Evaluator],
    check: Callable[..., None],
    needs: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contract = type("Contract", (EvaluatorContract,), {"kind": kind})()
    there: dict[str, Any] = {"settings": {}, "monkeypatch": monkeypatch}
    if "evaluator" in needs:
        there["evaluator"] = kind()
        there["facts"] = probe(str(write_clip(tmp_path / "pattern.mp4", moving_pattern(0.4))))
    with pytest.raises((AssertionError, KeyError, ValueError), match=message or None):
        check(contract, **{name: there[name] for name in needs})
