"""The table of many clips: a column or two a family, whoever's it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from evalkit.cli.table import show
from evalkit.decisions.policy import load_policy
from evalkit.measuring.results import ClipResult
from evalkit.types import Measurement, Metric, Moment, Reason
from evalkit.views.clips import clips_view

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST = Metric("fancy.plain", "1", "band", "…")
SECOND = Metric("fancy.main", "1", "band", "…", is_headline=True)
OTHER = Metric("simple.only", "1", "band", "…")


def show_all(results: Sequence[ClipResult]) -> None:
    show(results, clips_view(results))


def test_a_family_shows_its_headline_metrics_and_otherwise_its_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    measurements = tuple(Measurement(metric, 0.5) for metric in (FIRST, SECOND, OTHER))
    show_all([ClipResult(f"{n}.mp4", measurements) for n in range(5)])
    head = "".join(capsys.readouterr().out.splitlines()[:2])
    assert "main" in head
    assert "only" in head
    assert "plain" not in head


def test_a_wide_table_is_read_whole_in_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = [Metric(f"family_{n}.a_headline_of_it", "1", "lower", "…", is_headline=True) for n in range(6)]
    nowhere = Metric("brand.fidelity", "1", "higher", "…", is_headline=True)
    clips = [
        ClipResult(
            f"videos/recorded_in_the_studio_take_{n:02}.mp4",
            (
                *(Measurement(metric, 0.5 + n) for metric in metrics),
                Measurement(nowhere, None, reason=Reason.NO_AUDIO),
            ),
        )
        for n in range(5)
    ]
    show_all(clips)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert text.count("a_headline_of_it ↓") == 6
    assert "…" not in re.sub(r"recorded_in_…\w+\.mp4", "", text)
    assert all(text.count(f"take_{n:02}.mp4") == text.count("take_00.mp4") for n in range(5))
    assert f"not measured of any clip, {Reason.NO_AUDIO.text}: brand.fidelity" in " ".join(text.split())


def test_a_clip_that_stands_out_of_many_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    error = Metric("lip_sync.error", "1", "lower", "…", is_headline=True)
    show_all([ClipResult(f"{n}.mp4", (Measurement(error, 0.1 if n else 0.8),)) for n in range(5)])
    out = capsys.readouterr().out
    assert (
        "0.mp4: Stands out. Lips fit the words: other words fit better in 80 %; usual is at most 30 %." in out
    )
    assert out.count("Stands out") == 1
    assert out.splitlines()[-1] == "Of 5 clips, 1 has values that stand out, 4 have none that stand out."


def test_a_policy_gives_every_clip_a_sentence_the_worst_first(capsys: pytest.CaptureFixture[str]) -> None:
    policy = load_policy("customer_service")
    own = policy.model_copy(update={"rules": policy.rules[:1]})
    values = {"fine.mp4": 0.1, "bad.mp4": 0.9, "worse.mp4": 0.95}
    results = [ClipResult(name, (Measurement(own.quality, value),)) for name, value in values.items()]
    show(results, clips_view(results, own))
    lines = capsys.readouterr().out.splitlines()
    said = [line.split(":")[0] for line in lines if ": Does not pass." in line or ": Passes:" in line]
    assert said == ["worse.mp4", "bad.mp4", "fine.mp4"]
    assert lines[-1] == "Of 3 clips, 2 do not pass, 1 passes."


def test_clips_of_one_name_are_told_apart_by_their_folders(capsys: pytest.CaptureFixture[str]) -> None:
    error = Metric("lip_sync.error", "1", "lower", "…", is_headline=True)
    clips = ["a/1.mp4", "b/1.mp4", "b/2.mp4", "x/b/1.mp4", "1.mp4"]
    show_all([ClipResult(clip, (Measurement(error, 0.8),)) for clip in clips])
    lines = capsys.readouterr().out.splitlines()
    named = ["a/1.mp4", "b/1.mp4", "2.mp4", "x/b/1.mp4", "1.mp4"]
    assert [line.split()[0] for line in lines if line.endswith("0.8")] == named
    assert [line.split(":")[0] for line in lines if ": Stands out." in line] == named


def test_the_worst_moments_are_a_line_of_80_columns(capsys: pytest.CaptureFixture[str]) -> None:
    measured = Measurement(FIRST, 0.5, moments=(Moment(3.0, 6.0, 0.82), Moment(8.0, 9.0, 0.4)))
    others = tuple(
        Measurement(Metric(f"family.metric_{n}", "ms", "lower", "…"), 3.0, moments=(Moment(1.0, 2.0, 250.0),))
        for n in range(5)
    )
    show_all([ClipResult("clip.mp4", (measured, *others))])
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "worst: " in line]
    assert line == "  worst: fancy.plain 0.82, 3.0 s to 6.0 s (6 more)"
    show_all([ClipResult("clip.mp4", (Measurement(FIRST, 0.5),))])
    assert "worst" not in capsys.readouterr().out
