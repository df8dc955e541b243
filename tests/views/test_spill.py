"""The alarm for spilled memory, as it is shown: of a trial's own steps, and beside the other trials of its configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from evalkit.analysis.run_analysis import RunAnalysis
from evalkit.profiling.costs import PEAK_VRAM_SHARE, RTF
from evalkit.reports.run_markdown import render_markdown
from evalkit.reports.run_page import render_run
from evalkit.runs import Run, Trial
from evalkit.runs.schema import SpillAlarm
from evalkit.testing.runs import make_trial, write_run
from evalkit.testing.tables import ERROR
from evalkit.views.run import RunView, run_view

ALARM = SpillAlarm(step=6, at_s=8.0, factor=8.0, gpu=1, fullness=0.99)


def trial(place: int, rtf: float, share: float, steps: int = 4, spill: SpillAlarm | None = None) -> Trial:
    made = make_trial(
        params={"steps": steps},
        portrait="p",
        speech=f"s{place}",
        seed=1,
        values={ERROR.name: 0.1, RTF.name: rtf, PEAK_VRAM_SHARE.name: share},
    )
    return replace(made, spill=spill)


def view_of(folder: Path, *trials: Trial) -> RunView:
    run = Run.open(write_run(folder / "run", trials, (ERROR, RTF, PEAK_VRAM_SHARE)))
    return run_view(RunAnalysis.of(run), None)


def test_an_alarm_is_stored_read_and_shown(tmp_path: Path) -> None:
    view = view_of(tmp_path, trial(0, 1.0, 0.99, spill=ALARM), trial(1, 1.0, 0.5))
    assert [one.spill for one in Run.open(tmp_path / "run").trials()] == [ALARM, None]
    first, second = (one.spill for one in view.trials)
    assert first is not None
    assert (first.factor, first.fullness, first.beside, first.at_s) == (8.0, 0.99, "earlier steps", 8.0)
    assert second is None
    assert view.to_dict()["trials"][0]["spill"]["factor"] == 8.0
    line = "1 trial became several-fold slower while a GPU was full: the driver may have moved part of it to the host"
    assert line in render_run(view)
    assert line in render_markdown(view)


def test_a_trial_that_is_slow_as_a_whole_is_found_beside_the_others(tmp_path: Path) -> None:
    others = [trial(place, 1.0 + place / 10, 0.98) for place in range(4)]
    slow = trial(4, 12.0, 0.985)
    not_full = trial(5, 12.0, 0.9)
    elsewhere = [trial(place, 20.0, 0.99, steps=8) for place in range(4)]  # slower, as its parameters are
    view = view_of(tmp_path, *others, slow, not_full, *elsewhere)
    found = [one for one in view.trials if one.spill is not None]
    assert [one.speech for one in found] == ["s4"]
    spill = found[0].spill
    assert spill is not None
    assert (spill.beside, spill.at_s) == ("other trials", None)
    assert spill.factor == pytest.approx(12.0 / 1.2)  # the median of 1, 1.1, 1.2, 1.3 and 12
    assert spill.text in found[0].notes
    assert spill.text.startswith(
        "warning: it took 10 times as long for a second of video as the other trials of its configuration while a GPU was at "
        "98 % of its memory"
    )
    assert spill.text in render_run(view)


def test_a_run_without_alarms_says_nothing(tmp_path: Path) -> None:
    view = view_of(tmp_path, *(trial(place, 1.0, 0.99) for place in range(5)))
    assert "several-fold" not in render_run(view)
