"""The speech evaluator: absences with their reasons, planted errors, and the recogniser that comes with the package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evalkit import registry
from evalkit.analysis.catalogue import known_metrics
from evalkit.errors import UsageError
from evalkit.evaluators.load import load_evaluators
from evalkit.evaluators.speech import (
    NO_QUALITY_MODELS,
    NO_RECOGNISER,
    NO_WORD_SPACES,
    PACKET_LOSS_QUALITY,
    QUALITY_OVERALL,
    QUALITY_SIGNAL,
    Speech,
    _opinion,
)
from evalkit.measuring import runner
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.testing.recogniser import FakeRecogniser
from evalkit.testing.speech import speak
from evalkit.tracks import speech_quality
from evalkit.types import ClipIntent, Measurement, Reason, Track
from pipeline.errors import RequestError

WER, CER = "speech.word_error_rate", "speech.char_error_rate"
SCRIPT = "Good morning and welcome back to our show. We have known each other since we were children."


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test find what another one heard."""
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def recogniser(monkeypatch: pytest.MonkeyPatch) -> FakeRecogniser:
    """Put a recogniser that says `SCRIPT` with one word wrong into the place of all."""
    fake = FakeRecogniser([SCRIPT.lower().replace("morning", "evening")] * 9)
    monkeypatch.setattr(registry, "load", lambda _group, _name: lambda **_: fake)
    return fake


@pytest.fixture(scope="module")
def voice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    samples, rate_hz = speak(SCRIPT)
    return write_clip(
        tmp_path_factory.mktemp("voice") / "voice.mp4", moving_pattern(1), sound=samples, rate_hz=rate_hz
    )


def measure(path: Path, intent: ClipIntent, evaluator: Speech | None = None) -> Mapping[str, Measurement]:
    result = runner.measure(str(path), [evaluator or Speech()], intent=intent)
    return {one.metric.name: one for one in result.measurements}


def rates(path: Path, intent: ClipIntent, evaluator: Speech | None = None) -> Mapping[str, Measurement]:
    """Return what depends on the script."""
    found = measure(path, intent, evaluator)
    return {name: found[name] for name in (WER, CER)}


def test_one_word_of_sixteen_is_heard_wrongly(voice: Path, recogniser: FakeRecogniser) -> None:
    found = measure(voice, ClipIntent(SCRIPT, "en"))
    assert found[WER].value == pytest.approx(1 / 17)
    assert (found[WER].n, found[WER].coverage) == (17, 1.0)
    assert found[WER].interval == pytest.approx((0.0253 / 17, 5.572 / 17), abs=1e-3)  # Garwood for one event
    # m-o-r-n and e-v-e-n: three letters, over the script without its full stops
    assert found[CER].value == pytest.approx(3 / len(SCRIPT.replace(".", "")))
    assert dict(found[WER].samples)["errors"].tolist() == [0, 1, *[0] * 15]
    assert len(recogniser.lengths_s) == 1


def test_without_any_error_the_interval_still_says_how_many_there_may_be(voice: Path, recogniser) -> None:
    recogniser._texts[:] = [SCRIPT]
    found = measure(voice, ClipIntent(SCRIPT, "en"))
    assert found[WER].value == 0
    assert found[WER].interval == pytest.approx((0, 3.689 / 17), abs=1e-3)  # Garwood: 3.689 for no event


def test_chinese_is_measured_by_the_character(voice: Path, recogniser: FakeRecogniser) -> None:
    recogniser._texts[:] = ["你 好 世 间"]
    found = measure(voice, ClipIntent("你好,世界!", "cmn"))
    assert found[WER].reason is NO_WORD_SPACES
    assert (found[CER].value, found[CER].n) == (0.25, 4)


@pytest.mark.parametrize(
    ("intent", "reason"),
    [
        (ClipIntent(), Reason.NO_SCRIPT),
        (ClipIntent("", "en"), Reason.NO_SCRIPT),
        (ClipIntent("… !", "en"), Reason.NO_SCRIPT),
        (ClipIntent(SCRIPT), Reason.NO_LANGUAGE),
        (ClipIntent("Hallo", "de"), NO_RECOGNISER),
    ],
)
def test_what_cannot_be_compared_is_absent_and_never_recognised(
    intent: ClipIntent, reason: Reason, voice: Path, recogniser: FakeRecogniser
) -> None:
    assert {one.reason for one in rates(voice, intent).values()} == {reason}
    assert recogniser.lengths_s == []


@pytest.mark.usefixtures("recogniser")
@pytest.mark.parametrize(
    ("sound", "reason"),
    [
        (None, Reason.NO_AUDIO),
        (np.zeros(44_100, np.float32), Reason.SILENT_AUDIO),
        (np.concatenate([tone(0.1, rate_hz=44_100), np.zeros(44_100, np.float32)]), Reason.NO_SPEECH),
    ],
)
def test_a_clip_in_which_nobody_speaks_has_a_reason(
    sound: np.ndarray | None, reason: Reason, tmp_path: Path
) -> None:
    options = {} if sound is None else {"sound": sound, "rate_hz": 44_100}
    clip = write_clip(tmp_path / "clip.mp4", moving_pattern(1), **options)
    assert {one.reason for one in measure(clip, ClipIntent(SCRIPT, "en")).values()} == {reason}


def test_speech_of_which_no_word_is_understood_is_all_wrong(voice: Path, recogniser: FakeRecogniser) -> None:
    recogniser._texts.clear()
    assert {one.value for one in rates(voice, ClipIntent(SCRIPT, "en")).values()} == {1.0}


def test_a_recogniser_that_fails_costs_its_metrics_alone(
    voice: Path, recogniser: FakeRecogniser, monkeypatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("out of breath")

    monkeypatch.setattr(recogniser, "recognise", fail)
    assert {one.reason for one in measure(voice, ClipIntent(SCRIPT, "en")).values()} == {
        Reason.EVALUATOR_FAILED
    }


def test_the_transcript_is_kept_for_another_script_but_not_for_another_recogniser(
    voice: Path, recogniser: FakeRecogniser
) -> None:
    for script in (SCRIPT, SCRIPT, "Something else."):
        measure(voice, ClipIntent(script, "en"))
    assert len(recogniser.lengths_s) == 1
    measure(voice, ClipIntent(SCRIPT, "en"), Speech(recogniser="fake", settings={"model": "large"}))
    assert len(recogniser.lengths_s) == 2


@pytest.mark.usefixtures("recogniser")
def test_results_say_who_heard_it(voice: Path) -> None:
    result = runner.measure(str(voice), [Speech()], intent=ClipIntent(SCRIPT, "en"))
    quality = "without" if speech_quality.find_obstacle() else "with"
    assert result.evaluators["speech"] == f"4 fake 1, {quality} quality"
    assert result.weights["fake model"] == "0" * 64
    assert "fake model" not in runner.measure(str(voice), [Speech()]).weights  # nothing was recognised
    large, small = (Speech(recogniser="fake", settings={"model": model}) for model in ("large", "small"))
    assert large.identity.startswith("fake 1 ")
    assert large.identity != small.identity


def test_the_best_recogniser_that_has_all_it_needs_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(_group: str, name: str) -> Any:
        def make(**_: object) -> FakeRecogniser:
            if name in lacking:
                raise RequestError("no weights are installed")
            fake = FakeRecogniser()
            fake.name = name
            return fake

        return make

    monkeypatch.setattr(registry, "load", load)
    lacking: set[str] = set()
    assert Speech().identity.startswith("faster_whisper 1")
    lacking = {"faster_whisper"}
    assert Speech().identity.startswith("pocketsphinx 1")
    lacking = {"faster_whisper", "pocketsphinx"}
    with pytest.raises(UsageError, match=r"'faster_whisper' .*no weights are installed; .*'pocketsphinx'"):
        Speech()


def test_settings_without_a_recogniser_are_refused() -> None:
    with pytest.raises(UsageError, match="settings belong to a recogniser"):
        Speech(settings={"model": "large"})


QUALITY = ("signal", "background", "overall")
PLCMOS = "speech.packet_loss_quality"


@pytest.mark.usefixtures("recogniser")
def test_how_the_voice_sounds_needs_no_script(voice: Path) -> None:
    if obstacle := speech_quality.find_obstacle():
        pytest.skip(obstacle)
    found = measure(voice, ClipIntent())
    opinions = [found[f"speech.quality_{name}"] for name in QUALITY] + [found[PLCMOS]]
    assert all(one.value is not None and 1 <= one.value <= 5 for one in opinions)
    assert {one.n for one in opinions} == {1}  # of a voice of 5 s, which is repeated
    assert runner.measure(str(voice), [Speech()]).weights == {
        "dnsmos": speech_quality.MODELS.files["dnsmos"].sha256,
        "plcmos": speech_quality.MODELS.files["plcmos"].sha256,
    }


@pytest.mark.usefixtures("recogniser")
def test_without_the_networks_only_the_quality_is_absent(
    voice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_quality, "find_obstacle", lambda: "speechmos is not installed")
    found = measure(voice, ClipIntent(SCRIPT, "en"))
    assert found[WER].value is not None
    assert {found[f"speech.quality_{name}"].reason for name in QUALITY} == {NO_QUALITY_MODELS}
    assert found[PLCMOS].reason is NO_QUALITY_MODELS


def test_windows_in_which_people_would_find_it_poor_are_moments() -> None:
    values = np.array([[3, 4, 3.0, 4], [3, 4, 2.2, 4], [3, 4, 1.5, 4], [3, 4, 3.0, 4]], np.float32)
    track = Track(
        "speech_quality",
        ("signal", "background", "overall", "packet_loss"),
        np.array([0.0, 9.0, 18.0, 27.0]),
        values,
        np.ones(4, bool),
        {"window_s": 9.01, "is_whole": False, "is_repeated": False},
    )
    overall, signal = (
        _opinion(metric, track, name)
        for metric, name in ((QUALITY_OVERALL, "overall"), (QUALITY_SIGNAL, "signal"))
    )
    (moment,) = overall.moments
    assert moment == pytest.approx((9.0, 27.01, 1.5))
    assert overall.value == pytest.approx(np.mean([3, 2.2, 1.5, 3]))
    assert signal.moments == ()


def test_windows_of_a_repeated_sound_are_no_places_in_the_clip() -> None:
    """A second of sound is asked about seven times over 15 s: those are one answer, and nothing of it is at 6 s."""
    columns = ("signal", "background", "overall", "packet_loss")
    facts = {"window_s": 9.01, "is_whole": True, "is_repeated": True}
    values = np.full((7, 4), 1.5, np.float32)
    track = Track("speech_quality", columns, np.arange(7.0), values, np.ones(7, bool), facts)
    for metric, name in ((QUALITY_OVERALL, "overall"), (PACKET_LOSS_QUALITY, "packet_loss")):
        opinion = _opinion(metric, track, name)
        assert (opinion.value, opinion.n, opinion.moments) == (1.5, 1, ())
        assert "window_start_s" not in dict(opinion.samples)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"recogniser": "pocketsfinks"},
            "no recogniser is named 'pocketsfinks'; did you mean 'pocketsphinx'",
        ),
        (
            {"recogniser": "pocketsphinx", "settings": {"modle": "a"}},
            "'pocketsphinx' refuses its settings: .*modle",
        ),
    ],
)
def test_a_wrong_recogniser_is_refused_before_anything_is_measured(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        load_evaluators(["speech"], {"speech": settings})


def test_policies_know_both_metrics() -> None:
    assert {WER, CER} <= known_metrics().keys()


def test_planted_errors_raise_the_rate_by_their_share(voice: Path) -> None:
    """Every replaced word of the script counts once more, unless the recogniser misses it anyway.

    With a floor of f, k of n words replaced must add k (1 - f) / n on average; the replaced ones are every other one.
    """
    words = SCRIPT.replace(".", "").split()
    planted = [word if place % 2 else "zebra" for place, word in enumerate(words)]
    pocketsphinx = Speech(recogniser="pocketsphinx")
    floor = measure(voice, ClipIntent(SCRIPT, "en"), pocketsphinx)[WER].value
    raised = measure(voice, ClipIntent(" ".join(planted), "en"), pocketsphinx)[WER].value
    assert floor is not None
    assert raised is not None
    assert floor < 0.5  # pocketsphinx on this voice
    share = sum(word == "zebra" for word in planted) / len(words)
    assert raised - floor == pytest.approx(share * (1 - floor), abs=0.15)


GRID = {  # command, colour, preposition, letter, digit, adverb, as the names of the files say
    "bbaf2n": "bin blue at f two now",
    "brbk7n": "bin red by k seven now",
    "lbax4n": "lay blue at x four now",
    "lbbc2a": "lay blue by c two again",
    "lrwp9a": "lay red with p nine again",
}


@pytest.mark.media
def test_real_speakers_fit_their_own_words_better_than_those_of_others(media_folder: Path) -> None:
    own, others = [], []
    for name in GRID:
        clip = media_folder / "talking_real" / f"lipnet_{name}.mpg"
        for said, script in GRID.items():
            rate = measure(clip, ClipIntent(script, "en"), Speech(recogniser="pocketsphinx"))[CER].value
            (own if said == name else others).append(rate)
    assert np.mean(own) < np.mean(others) - 0.1
