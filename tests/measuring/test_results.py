"""Results of clips as people handle them: by name, by place, as tables, as plain data."""

from __future__ import annotations

import json
import pickle

import pytest

from evalkit.errors import ClipError
from evalkit.measuring.results import ClipResult, Report
from evalkit.types import Interval, Measurement, Metric, Reason

RANK = Metric("lip_sync.error", "1", "lower", "rank", (0, 1))
RATE = Metric("technical.fps", "1/s", "band", "frames a second", (0, None))
SEEN = ClipResult(
    "<a>.mp4",
    (Measurement(RANK, 0.25, n=3, interval=Interval(0.1, 0.4)), Measurement.absent(RATE, Reason.NO_VIDEO)),
    evaluators={"lip_sync": "2"},
)
GONE = ClipResult("b.mp4", error=ClipError("missing_file", "b.mp4", "is <not> there"))


def test_a_result_is_read_by_name_by_place_and_in_a_loop() -> None:
    assert SEEN["lip_sync.error"].value == SEEN[0].value == 0.25
    assert SEEN[-1].reason == Reason.NO_VIDEO
    assert [measurement.metric.name for measurement in SEEN] == ["lip_sync.error", "technical.fps"]
    assert len(SEEN) == 2


def test_a_metric_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(KeyError, match=r"no metric is named 'technical.fpss'; did you mean 'technical.fps'"):
        SEEN["technical.fpss"]
    with pytest.raises(KeyError, match=r"measured are: lip_sync.error, technical.fps"):
        SEEN["zzz"]


@pytest.mark.parametrize("key", ["technical.fps", 0])
def test_a_clip_that_failed_raises_its_own_error(key: str | int) -> None:
    with pytest.raises(ClipError, match=r"b\.mp4: is <not> there"):
        GONE[key]
    assert len(GONE) == 0
    assert GONE  # there is a result, though nothing was measured


def test_a_report_is_a_sequence_of_clips() -> None:
    report = Report((SEEN, GONE))
    assert report[0] is SEEN
    assert list(report) == [SEEN, GONE]
    assert len(report[1:]) == 1
    assert isinstance(report[1:], Report)


def test_what_is_shown_is_short_and_escaped() -> None:
    report = Report((SEEN, GONE))
    assert repr(SEEN) == "ClipResult('<a>.mp4', 1 of 2 metrics measured)"
    assert repr(GONE) == "ClipResult('b.mp4', not measured: missing_file)"
    assert repr(report) == "Report(2 clips, 1 not measured)"
    for html in (SEEN._repr_html_(), GONE._repr_html_(), report._repr_html_()):
        assert "<a>" not in html
        assert "<not>" not in html
    assert "&lt;a&gt;.mp4" in SEEN._repr_html_()
    assert "the file has no picture" in SEEN._repr_html_()


def test_plain_data_and_tables() -> None:
    report = Report((SEEN, GONE))
    first, second = json.loads(report.to_json())
    assert first == json.loads(SEEN.to_json())
    assert first["metrics"]["lip_sync.error"]["ci95"] == [0.1, 0.4]
    assert first["evaluators"] == {"lip_sync": "2"}
    assert second["error"] == {"code": "missing_file", "text": "is <not> there"}
    table = report.frame()
    assert table["error"].tolist()[1] == "missing_file"
    assert SEEN.frame()["technical.fps.absent"].tolist() == ["no_video"]


def test_a_result_comes_back_from_another_process() -> None:
    assert pickle.loads(pickle.dumps(SEEN)) == SEEN  # noqa: S301 - our own bytes
    assert repr(pickle.loads(pickle.dumps(GONE))) == repr(GONE)  # noqa: S301 - as above
