"""Worst moments as WebVTT. Chromium's own parser reads them in `tests/browser`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from evalkit.measuring.evidence import MOMENTS_FILE, MOMENTS_TRACK_FILE, RESULT_FILE, write_result
from evalkit.measuring.results import ClipResult
from evalkit.measuring.webvtt import NamedMoment, webvtt
from evalkit.types import Measurement, Metric, Moment

BLOCK = re.compile(
    r"(\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d)\.(\d{3})\n([^\n]+)"
)


def read_cues(text: str) -> list[tuple[float, float, str]]:
    """Read a file as the specification says: a header, and blocks apart by a blank line."""
    header, *blocks = text.removesuffix("\n").split("\n\n")
    assert header == "WEBVTT"
    cues = []
    for block in blocks:
        found = BLOCK.fullmatch(block)
        assert found, block
        *clock, words = found.groups()
        first, last = (
            3600 * int(hours) + 60 * int(minutes) + int(seconds) + int(rest) / 1000
            for hours, minutes, seconds, rest in (clock[:4], clock[4:])
        )
        cues.append((first, last, words))
    return cues


def test_cues_stand_in_the_order_of_time() -> None:
    later, sooner = NamedMoment("a.b", "1", 7.0, 9.5, 0.4), NamedMoment("c.d", "ms", 0.04, 3725.5, 120.0)
    assert read_cues(webvtt([later, sooner])) == [
        (0.04, 3725.5, "c.d 120 ms, 0.0 s to 3725.5 s"),
        (7.0, 9.5, "a.b 0.4, 7.0 s to 9.5 s"),
    ]


@pytest.mark.parametrize(
    "name", ["a.b --> c", "<b>a.b</b>", "a&b.c", "a.b\n\n00:00:00.000 --> 00:00:01.000\nc", "a.\x85b"]
)
def test_names_of_plug_ins_break_no_cue(name: str) -> None:
    ((_, _, words),) = read_cues(webvtt([NamedMoment(name, "1", 1.0, 2.0, 0.5)]))
    assert "<" not in words
    assert ">" not in words
    assert re.sub(r"&(amp|lt|gt);", "", words).count("&") == 0


def test_a_cue_ends_after_it_begins_to_the_millisecond() -> None:
    ((first, last, _),) = read_cues(webvtt([NamedMoment("a.b", "1", 1.0, 1.0001, 0.5)]))
    assert last > first


def test_nothing_bad_is_a_file_without_cues() -> None:
    assert read_cues(webvtt([])) == []


def clip_with(*moments: Moment) -> ClipResult:
    metric = Metric("a.b", "1", "lower", "", (0, 1))
    return ClipResult("clip.mp4", (Measurement(metric, 0.5, moments=moments),))


def test_the_moments_of_a_clip_stand_in_its_folder(tmp_path: Path) -> None:
    write_result(tmp_path / "clip", clip_with(Moment(3.0, 6.0, 0.8), Moment(1.0, 2.0, 0.6)))
    assert json.loads((tmp_path / "clip" / MOMENTS_FILE).read_text("utf-8")) == [
        {"metric": "a.b", "unit": "1", "start_s": 1.0, "end_s": 2.0, "value": 0.6},
        {"metric": "a.b", "unit": "1", "start_s": 3.0, "end_s": 6.0, "value": 0.8},
    ]
    assert [cue[:2] for cue in read_cues((tmp_path / "clip" / MOMENTS_TRACK_FILE).read_text("utf-8"))] == [
        (1.0, 2.0),
        (3.0, 6.0),
    ]
    result = json.loads((tmp_path / "clip" / RESULT_FILE).read_text("utf-8"))
    assert result["metrics"]["a.b"]["moments"][0] == {"start_s": 3.0, "end_s": 6.0, "value": 0.8}


def test_moments_of_an_earlier_measurement_do_not_stay(tmp_path: Path) -> None:
    write_result(tmp_path, clip_with(Moment(3.0, 6.0, 0.8)))
    write_result(tmp_path, clip_with())
    assert [path.name for path in tmp_path.iterdir()] == [RESULT_FILE]
