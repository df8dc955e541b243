"""A page with everything in it: how large it becomes, what it leaves out, and that it says so."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from evalkit.errors import UsageError
from evalkit.reports import bundle
from evalkit.reports.bundle import bundle_page, write_archive
from evalkit.reports.run_report import write_report
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.testing.runs import write_grid
from evalkit.visuals.page import quote_path

NOT_HERE = ">This video is in the run&#x27;s folder, and not in this file.<"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of 18 trials with a report."""
    clip = write_clip(
        tmp_path_factory.mktemp("clip") / "clip.mp4",
        moving_pattern(2.0, width=320, height=240),
        sound=tone(2.0),
    )
    folder = write_grid(tmp_path_factory.mktemp("runs") / "run", portraits=("anna",), video=clip)
    write_report(folder)
    return folder


def text_of(run: Path) -> str:
    return (run / "report.html").read_text("utf-8")


def videos_of(run: Path) -> list[Path]:
    return sorted((run / "videos").glob("*/video.mp4"))


def test_all_videos_are_in_it_where_there_is_room(run: Path) -> None:
    made = bundle_page(text_of(run), run, [run])
    assert made.n_clips == len(videos_of(run)) == 18
    assert made.n_elsewhere == 0
    assert "data-clip=" in made.page
    assert "video.mp4" not in made.page.partition("<script")[0]
    assert ' src="videos/' not in made.page


def test_it_keeps_its_size_and_says_what_is_not_in_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = text_of(run)
    room = 200_000
    monkeypatch.setattr(bundle, "_AIMED_BYTES", len(page.encode()) + room)
    chosen = videos_of(run)[7]
    made = bundle_page(page, run, [run], first=[chosen])
    assert 0 < made.n_clips < 18
    assert made.n_clips + made.n_elsewhere == 18
    assert len(made.page.encode()) < len(page.encode()) + 1.1 * room
    assert made.page.count(NOT_HERE) >= made.n_elsewhere
    of_chosen = made.page.partition(f'id="t-{chosen.parent.name}"')[2].partition(">")[0]
    assert 'data-clip="0"' in of_chosen


def test_a_page_that_is_too_large_by_itself_is_refused(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundle, "_AIMED_BYTES", 1000)
    with pytest.raises(UsageError, match="--zip"):
        bundle_page(text_of(run), run, [run])


def test_a_video_that_cannot_be_read_is_said_not_to_be_there(run: Path, tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(b"no video")
    page = '<!DOCTYPE html><html lang="en"><body><main><video src="video.mp4"></video></main></body></html>'
    made = bundle_page(page, tmp_path, [tmp_path])
    assert (made.n_clips, made.n_elsewhere) == (0, 1)
    assert NOT_HERE in made.page
    assert run.is_dir()


@pytest.mark.parametrize(
    "link",
    [
        "../secret.mp4",
        "%2e%2e/secret.mp4",
        "..%2fsecret.mp4",
        "file:///etc/passwd",
        "/etc/passwd",
        "http://x/y.mp4",
        "a%00.mp4",
        "link.mp4",
    ],
)
def test_what_lies_elsewhere_is_not_taken(tmp_path: Path, link: str) -> None:
    inside = tmp_path / "run"
    inside.mkdir()
    write_clip(tmp_path / "secret.mp4", moving_pattern(0.4))
    (inside / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    page = inside / "report.html"
    page.write_text(
        f'<!DOCTYPE html><html lang="en"><body><main><video src="{link}"></video></main></body></html>'
    )
    assert bundle_page(page.read_text("utf-8"), inside, [inside]).n_clips == 0
    assert write_archive(page, inside, tmp_path / "made.zip") == 1
    with zipfile.ZipFile(tmp_path / "made.zip") as archive:
        assert archive.namelist() == ["run/report.html"]


def test_names_stay_escaped(tmp_path: Path) -> None:
    page = (
        '<!DOCTYPE html><html lang="en"><head></head><body><main>'
        '<a href="x.csv" title="&lt;script&gt;&quot;">&lt;b&gt; &amp;amp; &#39;</a></main></body></html>'
    )
    made = bundle_page(page, tmp_path, [tmp_path]).page
    assert "&lt;script&gt;" not in made  # the title gives way to where the file is
    assert "&lt;b&gt; &amp;amp; &#39;" in made
    assert "href" not in made


def test_the_archive_holds_what_the_page_leads_to(run: Path, tmp_path: Path) -> None:
    n_files = write_archive(run / "report.html", run, tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        names = archive.namelist()
        assert len(names) == n_files
        assert archive.testzip() is None
        for video in videos_of(run):
            assert archive.read(f"run/{video.relative_to(run)}") == video.read_bytes()
    assert "run/report.html" in names
    assert not any("ledger" in name or "ratings" in name for name in names)
    assert not list(tmp_path.glob(".*part"))


def test_a_name_that_is_no_utf_8_is_found_and_said_not_to_go_into_an_archive(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"run\xe9")
    folder.mkdir()
    video = write_clip(tmp_path / "clip.mp4", moving_pattern(0.4)).rename(
        folder / os.fsdecode(b"caf\xe9.mp4")
    )
    page = folder / "report.html"
    page.write_text(
        f'<!DOCTYPE html><html lang="en"><body><main><video src="{quote_path(video.name)}"></video></main></body></html>'
    )
    assert bundle_page(page.read_text("utf-8"), folder, [folder]).n_clips == 1
    with pytest.raises(UsageError, match=r"caf\\udce9\.mp4 has a name that is no UTF-8"):
        write_archive(page, folder, tmp_path / "made.zip")
    video.rename(folder / "clip.mp4")
    page.write_text(
        '<!DOCTYPE html><html lang="en"><body><main><video src="clip.mp4"></video></main></body></html>'
    )
    assert write_archive(page, folder, tmp_path / "made.zip") == 2
    with zipfile.ZipFile(tmp_path / "made.zip") as archive:
        assert archive.namelist() == ["run\ufffd/report.html", "run\ufffd/clip.mp4"]
