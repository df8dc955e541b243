"""Clips as a page, and the view behind it: the worst first, in words, in both languages, and safe."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from evalkit.analysis.catalogue import known_metrics
from evalkit.decisions.clip_verdicts import ClipDecision
from evalkit.decisions.policy import Policy, load_policy
from evalkit.errors import ClipError
from evalkit.measuring.evidence import clip_folder
from evalkit.measuring.results import ClipResult
from evalkit.reports.clips_page import range_bar, render_clips
from evalkit.types import Interval, Measurement, Moment, Reason
from evalkit.views.clips import ClipsView, Standout, clips_view
from evalkit.visuals.page import PageFrame, link_from
from evalkit.words.language import LANGUAGES

METRICS = known_metrics()
EVIL = "<script>window.hit = 1</script>.mp4"


def measured(name: str, **values: float | None) -> ClipResult:
    found = [
        Measurement(
            METRICS[metric.replace("__", ".")],
            value,
            reason=Reason.NO_FACE if value is None else None,
            moments=(Moment(1.0, 2.5, value),) if metric == "lip_sync__offset_ms" and value else (),
        )
        for metric, value in values.items()
    ]
    return ClipResult(name, tuple(found))


RESULTS = [
    measured("fine.mp4", lip_sync__error=0.1, lip_sync__offset_ms=-12.0, expression__blink_per_min=14.0),
    measured(EVIL, lip_sync__error=0.8, lip_sync__offset_ms=240.0, expression__blink_per_min=None),
    ClipResult("broken.mp4", error=ClipError("not_media", "broken.mp4", "it is <b>no</b> video")),
]


@pytest.fixture(scope="module")
def policy() -> Policy:
    whole = load_policy("customer_service")
    kept = {"lip_sync.error", "lip_sync.offset_ms"}
    return whole.model_copy(update={"rules": tuple(rule for rule in whole.rules if rule.name in kept)})


@pytest.fixture(scope="module")
def judged(policy: Policy) -> ClipsView:
    return clips_view(RESULTS, policy)


def test_the_worst_clip_is_first_and_counted(judged: ClipsView) -> None:
    assert [clip.name for clip in judged.clips] == ["broken.mp4", EVIL.rpartition("/")[2], "fine.mp4"]
    assert [clip.outcome for clip in judged.clips] == [
        ClipDecision.NOT_OPENED,
        ClipDecision.FAILS,
        ClipDecision.PASSES,
    ]
    assert judged.headline == "Of 3 clips, 1 could not be measured, 1 does not pass, 1 passes."


def test_without_a_policy_there_is_no_verdict() -> None:
    view = clips_view(RESULTS)
    assert [clip.outcome for clip in view.clips] == [
        Standout.NOT_OPENED,
        Standout.STANDS_OUT,
        Standout.AS_USUAL,
    ]
    assert view.policy is None
    assert all(clip.rules == () for clip in view.clips)
    assert "no verdict" in render_clips(view)


def test_of_a_single_clip_its_sentence_is_the_headline(policy: Policy) -> None:
    view = clips_view(RESULTS[:1], policy)
    assert (
        view.headline == view.clips[0].sentence == "Passes: all 2 gates that speak of a single clip are met."
    )


def test_it_is_plain_data(judged: ClipsView) -> None:
    plain = json.loads(judged.to_json())
    assert plain["clips"][1]["outcome"] == "does not pass"
    assert plain["clips"][1]["absent"] == [
        {"reason": Reason.NO_FACE.text, "metrics": {"expression.blink_per_min": "Blinks"}}
    ]
    assert plain["counts"] == {"could not be measured": 1, "does not pass": 1, "passes": 1}


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_name_of_a_metric_is_read_on_the_page(policy: Policy, language: str) -> None:
    """It is the tooltip of its name for people."""
    page = render_clips(clips_view(RESULTS, policy, language=language), frame=PageFrame(language))
    body = re.sub(r"<(style|script)>.*?</\1>", "", page, flags=re.DOTALL)
    read = re.sub(r"<[^>]*>", " ", body)
    assert [name for name in METRICS if name in read] == []
    assert 'title="lip_sync.offset_ms"' in page


def test_what_is_said_of_a_clip_is_said_in_chinese(policy: Policy) -> None:
    view = clips_view(RESULTS, policy, language="zh-CN")
    page = render_clips(view, frame=PageFrame("zh-CN"))
    assert '<html lang="zh-CN">' in page
    english = [
        text
        for clip in view.clips
        for text in (clip.sentence, *(rule.told for rule in clip.rules), *clip.moment_texts)
        if re.search(r"[a-z]{4,}", text.replace("it is <b>no</b> video", ""))
    ]
    assert english == []


def test_names_and_errors_are_never_markup(judged: ClipsView) -> None:
    page = render_clips(judged)
    assert "<script>window.hit" not in page
    assert "<b>no</b>" not in page
    assert "&lt;b&gt;no&lt;/b&gt;" in page


def test_a_video_that_may_not_be_shown_is_not(judged: ClipsView) -> None:
    page = render_clips(judged, frame=PageFrame(link=lambda path: None if path == "fine.mp4" else "/files/1"))
    assert page.count("<video ") == 1
    assert "The video cannot be shown here." in page


def test_a_bar_shows_value_interval_and_what_is_usual() -> None:
    metric = METRICS["lip_sync.offset_ms"]
    result = ClipResult("a.mp4", (Measurement(metric, 240.0, n=1, interval=Interval(200.0, 280.0)),))
    (value,) = clips_view([result]).clips[0].values
    bar = range_bar(value)
    assert bar is not None
    start, length = bar.usual
    assert bar.interval is not None
    assert 0 < start < start + length < bar.interval[0] < bar.value < sum(bar.interval) < 100
    (alone,) = clips_view([measured("a.mp4", technical__width=640.0)]).clips[0].values
    assert range_bar(alone) is None


def test_one_sided_ranges_go_on_to_the_edge() -> None:
    (value,) = clips_view([measured("a.mp4", lip_sync__error=0.1)]).clips[0].values
    bar = range_bar(value)
    assert bar is not None
    assert bar.usual[0] == 0
    assert 0 < sum(bar.usual) < 100


def test_pictures_are_shown_and_a_damaged_index_is_said(tmp_path: Path) -> None:
    own = clip_folder(tmp_path, "fine.mp4")
    for name, index in (("lip_sync", '{"captions": {"a.png": "lips seen"}}'), ("motion", "[")):
        (own / name).mkdir(parents=True)
        (own / name / "index.json").write_text(index)
        (own / name / "a.png").write_bytes(b"")
    (clip,) = clips_view(RESULTS[:1], evidence=tmp_path).clips
    assert [(one.caption, Path(one.path).parent.name) for one in clip.evidence] == [("lips seen", "lip_sync")]
    assert any("index.json cannot be read" in note for note in clip.notes)


def test_a_page_of_hundreds_of_clips_stays_small(policy: Policy) -> None:
    values = {name.replace(".", "__"): 0.5 for name, metric in METRICS.items() if metric.allows(0.5)}
    results = [measured(f"{n}.mp4", **values) for n in range(300)]
    page = render_clips(clips_view(results, policy))
    assert len(page) < 10e6
    assert page.count('preload="none"') == 300
    assert page.count("autoplay") == 0


def test_a_name_that_is_no_text_leads_to_its_file(tmp_path: Path) -> None:
    view = clips_view([measured(str(tmp_path / "caf\udce9 #1.mp4"), lip_sync__error=0.1)])
    page = render_clips(view, frame=PageFrame(link=link_from(tmp_path)))
    assert '<video src="caf%E9%20%231.mp4"' in page
