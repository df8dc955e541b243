"""Stills of videos: one a configuration, of the same input, made once, and none of what is no video."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from evalkit.analysis.run_analysis import RunAnalysis
from evalkit.reports import posters
from evalkit.reports.posters import write_posters
from evalkit.reports.run_report import write_report
from evalkit.runs import Run
from evalkit.testing.media import moving_pattern, write_clip
from evalkit.testing.runs import write_grid
from evalkit.views.trial import POSTERS_FOLDER


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    frames = moving_pattern(1.0, width=960, height=540)
    return write_clip(tmp_path_factory.mktemp("video") / "video.mp4", frames)


def stills(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in (folder / POSTERS_FOLDER).glob("*")}


def test_every_configuration_has_one_still_of_the_same_input(tmp_path: Path, video: Path) -> None:
    folder = write_grid(
        tmp_path / "run", steps=(2, 4), sizes=("384*256", "688*368"), video=video, failing=(0,)
    )
    view = write_report(folder)
    made = stills(folder)
    shown = [trial for trial in view.trials if trial.poster is not None]
    assert {trial.id for trial in shown} == made.keys()
    assert sorted(trial.configuration for trial in shown) == sorted(one.label for one in view.configurations)
    assert len({(trial.portrait, trial.speech, trial.seed) for trial in shown}) == 1
    with Image.open(next(iter(made.values()))) as still:
        assert still.format == "JPEG"
        assert still.size == (480, 270)
    page = (folder / "report.html").read_text("utf-8")
    assert page.count('class="thumb"') == len(view.configurations)
    assert all(f'src="{POSTERS_FOLDER}/{name}.jpg"' in page for name in made)


def test_a_still_is_made_once(tmp_path: Path, video: Path) -> None:
    folder = write_grid(tmp_path / "run", steps=(2,), sizes=("384*256",), video=video)
    write_posters(RunAnalysis.of(Run.open(folder)))
    ((_, path),) = stills(folder).items()
    first = path.stat().st_mtime_ns
    write_posters(RunAnalysis.of(Run.open(folder)))
    assert path.stat().st_mtime_ns == first


def test_what_is_no_video_has_no_still_and_costs_no_report(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    folder = write_grid(tmp_path / "run", steps=(2,), sizes=("384*256",), video=broken)
    view = write_report(folder)
    assert stills(folder) == {}
    assert all(trial.poster is None for trial in view.trials)


def test_no_more_stills_are_made_than_a_page_shows_at_once(
    tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posters, "N_AT_MOST", 2)
    folder = write_grid(tmp_path / "run", steps=(2, 3, 4), sizes=("384*256",), video=video)
    write_posters(RunAnalysis.of(Run.open(folder)))
    assert len(stills(folder)) == 2
