"""Closures of drawn faces that speak, and a reason for every clip of which nothing can be said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evalkit.errors import UsageError
from evalkit.evaluators import lip_sync
from evalkit.evaluators.lip_sync import (
    NO_ALIGNER,
    NO_MOUTH_MOTION,
    REFUSED_SCRIPT,
    SCRIPT_MISMATCH,
    TOO_FEW_CLOSURES,
    UNALIGNED_LANGUAGE,
    UNCLEAR_CLOSURES,
    LipSync,
    see_closures,
)
from evalkit.measuring.runner import make_tracks, measure, wanted_trackers
from evalkit.media import probe
from evalkit.testing.talking_face import ClosingFace, TalkingFace, write_closing_face
from evalkit.tracks.cache import TrackCache
from evalkit.types import ClipIntent, Measurement, Reason, Track
from pipeline.phonemes import Phoneme

TEXT = "Bob and Pam baked muffins, mixed pepper soup, and packed the blue bag by the maple tree."
MISSED = (1, 5, 9)
DELAY_MS = 90.0


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> ClosingFace:
    path = tmp_path_factory.mktemp("closing") / "face.mp4"
    return write_closing_face(path, text=TEXT, missed=MISSED, delay_ms=DELAY_MS)


def closures_of(
    path: Path, intent: ClipIntent, evaluator: LipSync | None = None
) -> tuple[Measurement, Measurement]:
    """Return the two measurements of closures."""
    result = measure(str(path), [evaluator or LipSync()], intent=intent)
    found = {one.metric.name: one for one in result.measurements}
    return found["lip_sync.closure_missed"], found["lip_sync.closure_offset_ms"]


@pytest.mark.parametrize("own_times", [True, False], ids=["voice", "script"])
def test_planted_misses_and_delay_come_back(face: ClosingFace, *, own_times: bool) -> None:
    intent = ClipIntent(TEXT, "en", phonemes=face.phonemes if own_times else ())
    missed, offset = closures_of(face.path, intent)
    n = face.closures.n
    assert offset.value == pytest.approx(DELAY_MS, abs=15)
    assert offset.interval is not None
    assert offset.interval.low < DELAY_MS < offset.interval.high
    assert missed.n == pytest.approx(n, abs=1)
    assert missed.value == pytest.approx(len(MISSED) / n, abs=1.01 / n)
    assert missed.interval is not None
    assert missed.interval.low < len(MISSED) / n < missed.interval.high
    begins_s = face.closures.starts_s[list(MISSED)] + DELAY_MS / 1000
    for moment in missed.moments:
        assert np.abs(begins_s - moment.start_s).min() < 0.04
        assert moment.value > 0.25
    assert len(missed.moments) == len(MISSED)


def test_the_voices_own_times_follow_the_sound(face: ClosingFace) -> None:
    """A sound that begins later than the voice says shifts neither misses nor offset."""
    early = tuple(Phoneme(one.symbol, one.start_s - 0.4, one.end_s - 0.4) for one in face.phonemes)
    _, offset = closures_of(face.path, ClipIntent(TEXT, "en", phonemes=early))
    assert offset.value == pytest.approx(DELAY_MS, abs=15)


@pytest.mark.parametrize(
    ("intent", "reason"),
    [
        (ClipIntent(), Reason.NO_SCRIPT),
        (ClipIntent("…", "en"), Reason.NO_SCRIPT),
        (ClipIntent(TEXT), Reason.NO_LANGUAGE),
        (ClipIntent(TEXT, "xx"), UNALIGNED_LANGUAGE),
        (ClipIntent("Боб печёт хлеб", "de"), REFUSED_SCRIPT),
        (ClipIntent("Der Bäcker bäckt am Morgen Brot, und bringt es mit dem Bus.", "de"), SCRIPT_MISMATCH),
        (ClipIntent("Five quick wizards jog north over seven long hills tonight", "en"), SCRIPT_MISMATCH),
        (
            ClipIntent(
                TEXT,
                "en",
                phonemes=tuple(Phoneme("a" if k % 2 else "", k / 2, k / 2 + 0.5) for k in range(9)),
            ),
            SCRIPT_MISMATCH,
        ),
    ],
)
def test_what_cannot_be_timed_has_a_reason(face: ClosingFace, intent: ClipIntent, reason: Reason) -> None:
    assert [one.reason for one in closures_of(face.path, intent)] == [reason, reason]


def test_without_the_extra_all_else_is_measured(face: ClosingFace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lip_sync, "find_obstacle", lambda _: "it is not installed")
    evaluator = LipSync()
    assert evaluator.identity == ""
    result = measure(str(face.path), [evaluator], intent=ClipIntent(TEXT, "en"))
    found = {one.metric.name: one for one in result.measurements}
    assert found["lip_sync.closure_missed"].reason == NO_ALIGNER
    assert "evalkit[speech]" in NO_ALIGNER.text
    assert found["lip_sync.offset_ms"].value is not None
    own = closures_of(face.path, ClipIntent(TEXT, "en", phonemes=face.phonemes), evaluator)
    assert own[1].value == pytest.approx(DELAY_MS, abs=15)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"aligner": "nobody"}, "nobody"),
        ({"aligner_settings": {"beam": 3}}, "refuses its settings"),
        (
            {"aligner": "openai", "aligner_settings": {"url": "http://127.0.0.1:1"}},
            "aligns no script|refuses",
        ),
    ],
)
def test_wrong_aligners_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LipSync(**settings)  # type: ignore[arg-type]


def test_a_script_is_heard_only_where_it_is_needed(face: ClosingFace) -> None:
    facts = replace(probe(str(face.path)), intent=ClipIntent(TEXT, "en"))
    assert len(LipSync().trackers(facts)) == 1
    told = replace(facts, intent=ClipIntent(TEXT, "en", phonemes=face.phonemes))
    assert LipSync().trackers(told) == {}
    assert LipSync().trackers(replace(facts, intent=ClipIntent())) == {}


@pytest.fixture(scope="module")
def lips(face: ClosingFace) -> Track:
    evaluator = LipSync()
    facts = probe(str(face.path))
    makers = {name: make() for name, make in wanted_trackers(evaluator, facts).items()}
    return make_tracks(facts, makers, TrackCache())[0]["face"]


def test_mouths_that_cannot_be_judged_have_a_reason(face: ClosingFace, lips: Track) -> None:
    every_third = replace(lips, times_s=lips.times_s[::3], values=lips.values[::3], valid=lips.valid[::3])
    still = replace(lips, values=np.zeros_like(lips.values))
    vowels = tuple(one for one in face.phonemes if one.symbol not in {"p", "b"})
    assert see_closures(every_third, face.phonemes) == Reason.LOW_FRAME_RATE
    assert see_closures(still, face.phonemes) == NO_MOUTH_MOTION
    assert see_closures(lips, vowels[:20]) == TOO_FEW_CLOSURES


def test_a_mouth_out_of_any_step_has_no_offset_and_misses(lips: Track) -> None:
    """Closures at random moments: the lips meet at some of them by chance."""
    rng = np.random.default_rng(4)
    random = tuple(
        Phoneme("b", start_s, start_s + 0.06) for start_s in np.sort(rng.uniform(0.5, 4.5, 14)).tolist()
    )
    seen = see_closures(lips, random)
    assert not isinstance(seen, Reason)
    offset = lip_sync._closure_offset(seen, 1.0)
    assert offset.reason == UNCLEAR_CLOSURES
    missed = lip_sync._missed(seen, 1.0)
    assert missed.value is not None
    assert missed.value > 0.3


def test_a_clip_of_a_second_is_too_short(tmp_path: Path) -> None:
    clip = write_closing_face(tmp_path / "short.mp4", text="Pop.")
    for one in closures_of(clip.path, ClipIntent("Pop.", "en", phonemes=clip.phonemes)):
        assert one.reason == Reason.TOO_SHORT


def test_a_mouth_that_follows_loudness_alone_is_told(talking_face: TalkingFace) -> None:
    """The portrait of other tests opens with the loudness: an m, which is loud, it does not close for."""
    from evalkit.testing.talking_face import SENTENCES

    missed, _ = closures_of(talking_face.path, ClipIntent(SENTENCES[0], "en"))
    assert missed.value is not None
    assert missed.value > 0.2
