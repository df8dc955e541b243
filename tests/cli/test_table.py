"""The table of many clips: a column or two a family, whoever's it is."""

from __future__ import annotations

import pytest

from evalkit.cli.table import show
from evalkit.measuring.results import ClipResult
from evalkit.types import Measurement, Metric

FIRST = Metric("fancy.plain", "1", "band", "…")
SECOND = Metric("fancy.main", "1", "band", "…", is_headline=True)
OTHER = Metric("simple.only", "1", "band", "…")


def test_a_family_shows_its_headline_metrics_and_otherwise_its_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    measurements = tuple(Measurement(metric, 0.5) for metric in (FIRST, SECOND, OTHER))
    show([ClipResult(f"{n}.mp4", measurements) for n in range(5)])
    head = "".join(capsys.readouterr().out.splitlines()[:2])
    assert "main" in head
    assert "only" in head
    assert "plain" not in head
