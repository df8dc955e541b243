"""Every metric has a name for people in every language, and every value can be told."""

from __future__ import annotations

import math
import re
import string
from collections import Counter

import pytest

from evalkit.analysis.catalogue import known_metrics
from evalkit.decisions.baseline import RUN_BASELINE
from evalkit.decisions.waivers import RUN_DUPLICATES, RUN_LINES, RUN_MACHINE
from evalkit.words.language import LANGUAGES
from evalkit.words.metrics import SHARED, metric_words

MOST_LETTERS = {"en": 34, "zh-CN": 17}
RUN = (*RUN_LINES, RUN_DUPLICATES, RUN_MACHINE, RUN_BASELINE)
TOLD = ("value", "below", "above", "zero")


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("tag", LANGUAGES)
def test_everything_has_a_short_name_of_its_own(tag: str) -> None:
    words = metric_words(tag)
    names = {metric: words.name(metric) for metric in (*known_metrics(), *RUN)}
    assert [metric for metric in names if metric not in words.entries] == []
    assert [name for name, n in Counter(names.values()).items() if n > 1] == []
    assert [name for name in names.values() if len(name) > MOST_LETTERS[tag]] == []
    assert [name for name in names.values() if "_" in name or "." in name] == []


@pytest.mark.parametrize("tag", LANGUAGES)
def test_nothing_is_named_that_there_is_not(tag: str) -> None:
    assert metric_words(tag).entries.keys() - known_metrics().keys() == {*RUN, *SHARED}


@pytest.mark.parametrize("tag", LANGUAGES[1:])
def test_every_language_says_the_same_with_the_same_places(tag: str) -> None:
    first, other = metric_words(LANGUAGES[0]).entries, metric_words(tag).entries
    assert other.keys() == first.keys()
    for metric, entry in first.items():
        assert other[metric].keys() - {"value"} == entry.keys() - {"value"}, metric
        for key in other[metric].keys() & entry.keys():
            assert places(other[metric][key]) == places(entry[key]), (metric, key)


@pytest.mark.parametrize("tag", LANGUAGES)
@pytest.mark.parametrize("value", [-1.5, -0.25, 0.0, 0.25, 1.0, 1234.5])
@pytest.mark.parametrize("tone", ["good", "bad", None])
def test_every_value_is_told(tag: str, value: float, tone: str | None) -> None:
    words = metric_words(tag)
    for name, metric in known_metrics().items():
        told = words.value(name, value, metric.unit, tone)  # type: ignore[arg-type]
        assert told.strip()
        assert not {"{", "}"} & set(told)
        meant = words.entries[name].get(str(tone))
        assert meant is None or told.endswith(meant)


@pytest.mark.parametrize("tag", LANGUAGES)
def test_a_value_with_sides_has_words_for_each(tag: str) -> None:
    sided = {
        metric: entry.keys() & set(TOLD)
        for metric, entry in metric_words(tag).entries.items()
        if entry.keys() & {"below", "above", "zero"} and metric not in SHARED
    }
    assert sided
    assert all(sides == {"below", "above", "zero"} for sides in sided.values())


@pytest.mark.parametrize("tag", LANGUAGES)
def test_no_unit_of_the_files_is_shown_to_people(tag: str) -> None:
    units = {metric.unit for metric in known_metrics().values()} - {"1", "LUFS", "dBTP", "LU"}
    assert units <= metric_words(tag).entries["units"].keys()


@pytest.mark.parametrize(
    ("metric", "value", "unit", "tone", "expected"),
    [
        ("lip_sync.offset_ms", -12, "ms", "good", ("12 ms early, not noticeable", "早 12 毫秒，察觉不到")),
        ("lip_sync.offset_ms", 0, "ms", None, ("exactly in time", "完全同步")),
        ("lip_sync.error", 0.1234, "1", None, ("other words fit better in 12.3 %", "12.3 % 更像别的台词")),
        ("lip_sync.error.bad", 0.05, "1", None, ("5 % of clips", "5 % 的片段")),
        (
            "expression.blink_per_min",
            14,
            "1/min",
            "good",
            ("14 a minute, as people do", "每分钟 14 次，与真人一致"),
        ),
        ("profile.ttff_s", 1.82, "s", None, ("1.82 s", "1.82 秒")),
        ("profile.peak_rss_mib", 512, "MiB", None, ("537 MB", "537 MB")),
        ("profile.energy_j", 45000, "J", None, ("45 kJ", "45 kJ")),
        ("technical.av_duration_gap_ms", -7300, "ms", None, ("sound 7300 ms longer", "声音长 7300 毫秒")),
        ("my_own.weight_of_head", 2.5, "kg", None, ("2.5 kg", "2.5 kg")),
    ],
)
def test_values_for_people(
    metric: str, value: float, unit: str, tone: str | None, expected: tuple[str, str]
) -> None:
    told = tuple(metric_words(tag).value(metric, value, unit, tone) for tag in LANGUAGES)  # type: ignore[arg-type]
    assert told == expected


def test_limits_for_people() -> None:
    words = metric_words("en")
    assert words.limit("lip_sync.error", -math.inf, 0.1, "1", bad_beyond=0.5) == (
        "at most 10 % of clips worse than 50 %"
    )
    assert words.limit("lip_sync.error", -math.inf, 0.3, "1") == "at most 30 %"
    assert words.limit("motion.amount_deg_s", 2, 30, "deg/s") == "2 to 30° a second"
    assert words.limit("brand.fidelity", 0.85, math.inf, "1") == "at least 85 %"
    assert metric_words("zh-CN").limit("profile.ttff_s", -math.inf, 3, "s") == "不超过 3 秒"


def test_chinese_has_spaces_about_numbers_and_nowhere_else() -> None:
    words = metric_words("zh-CN")
    told = [
        text
        for name, metric in known_metrics().items()
        for text in (
            words.value(name, -1.5, metric.unit),
            words.limit(name, -1.5, 2.5, metric.unit),
            words.limit(name, -math.inf, 2.5, metric.unit, bad_beyond=0.5),
            words.limit(name, -math.inf, 2.5, metric.unit),
            words.limit(name, 2.5, math.inf, metric.unit),
        )
    ]
    assert [
        text
        for text in told
        if re.search("[\u4e00-\u9fff] +[\u4e00-\u9fff]|[\u4e00-\u9fff]-?\\d|\\d[\u4e00-\u9fff]", text)
    ] == []
    assert (
        words.limit("lip_sync.error", -math.inf, 0.1, "1", bad_beyond=0.5) == "不超过 10 % 的片段比 50 % 更差"
    )
