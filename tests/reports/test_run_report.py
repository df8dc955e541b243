"""The two files of a report: what must be in them, whatever the run is like."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from evalkit.cli import main
from evalkit.errors import UsageError
from evalkit.profiling.profile import Profile, Series
from evalkit.reports.run_markdown import escape
from evalkit.reports.run_report import write_report
from evalkit.runs import Run
from evalkit.runs.records import write_json
from evalkit.testing.runs import write_grid

GOLDEN = Path(__file__).parents[1] / "golden"
ADDRESS = re.compile(r"""(?:src|href|poster|data|action)\s*=\s*["']?\s*(?:https?:)?//""", re.IGNORECASE)


class Text(HTMLParser):
    """What a person reads, without styles and scripts; and the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tags: list[str] = []
        self._hidden = ""

    @property
    def text(self) -> str:
        """Everything in one line."""
        return " ".join(" ".join(self.parts).split())

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002, D102 - the parser's
        self.tags.append(tag)
        self._hidden = tag if tag in {"style", "script"} else self._hidden

    def handle_endtag(self, tag: str) -> None:  # noqa: D102 - as above
        self._hidden = "" if tag == self._hidden else self._hidden

    def handle_data(self, data: str) -> None:  # noqa: D102 - as above
        if not self._hidden:
            self.parts.append(data)


def read(folder: Path) -> Text:
    parser = Text()
    parser.feed((folder / "report.html").read_text("utf-8"))
    return parser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_grid(tmp_path_factory.mktemp("report") / "run", failing=(0,), unfinished=(35,))
    write_report(folder)
    return folder


def test_the_answer_stands_before_everything_else(folder: Path) -> None:
    text = read(folder).text
    sentence = "Nothing is recommended yet, as 5 things are not known, “Every planned clip is there” first."
    assert text.index("not measured") < text.index(sentence)
    assert text.index("Nothing is") < text.index("34 of 36 planned trials") < text.index("Evidence for")


def test_failures_and_what_is_missing_are_told(folder: Path) -> None:
    text = read(folder).text
    assert "1 of 35 attempted failed (out of memory: 1)." in text
    assert "CUDA out of memory. Tried to allocate 2 GiB" in text
    assert "1 planned trial without a result yet." in text
    assert "there is no NVIDIA GPU" in text


def test_markdown_has_the_answer_the_table_and_the_failures(folder: Path) -> None:
    text = (folder / "report.md").read_text("utf-8")
    lines = text.splitlines()
    assert lines[0].startswith("## ! not measured: Nothing is recommended yet, as")
    table = lines[lines.index("### 0 of 9 configurations pass, 7 fail, 2 cannot be told yet") + 2 :]
    n_columns = table[0].count("|")
    assert [line.count("|") for line in table[:11]] == [n_columns] * 11
    assert "### 1 trial failed" in lines


def test_there_is_no_address_outside_the_run(folder: Path) -> None:
    html = unescape((folder / "report.html").read_text("utf-8"))
    assert ADDRESS.findall(html) == []
    assert "default-src 'none'" in html


def test_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    name = """$\\frac$ <script>alert("x")</script>' onerror=`1` | **a** \\\\ ]]>"""
    folder = write_grid(tmp_path / "run", sizes=(name, "384*256"), steps=(2,), portraits=(name,))
    write_report(folder)
    page = read(folder)
    assert page.tags.count("script") == 2  # light and dark; the page's own
    assert '<script>alert("x")</script>' in page.text
    markdown = (folder / "report.md").read_text("utf-8")
    assert "<script" not in markdown.replace("\\<", "")


@pytest.mark.parametrize("text", ["a|b", "<b>", "*a*", "_a_", "`a`", "[a](b)", "@a", "#1"])
def test_markdown_shows_any_text_as_it_is(text: str) -> None:
    assert re.sub(r"\\(.)", r"\1", escape(text)) == text
    assert not re.search(r"(?<!\\)[|<*_`\[@#]", escape(text))


@pytest.mark.parametrize(
    "options",
    [
        {"sizes": ("384*256",)},
        {"sizes": ("384*256",), "steps": (2,)},
        {"sizes": ("384*256",), "steps": (2,), "portraits": ("anna",), "speech": ("welcome",)},
        {"failing": range(36)},
        {"policy": None},
    ],
    ids=["one swept", "none swept", "one trial", "all failed", "no policy"],
)
def test_every_kind_of_run_has_a_report(tmp_path: Path, options: dict[str, object]) -> None:
    folder = write_grid(tmp_path / "run", **options)  # type: ignore[arg-type]
    write_report(folder)
    text = read(folder).text
    assert "nan" not in text.lower().split()
    assert "Every trial" in text
    if "failing" in options:
        assert "36 of 36 attempted failed" in text
        assert "All 36 trials failed: there is nothing to judge." in text
    if "policy" in options:
        assert "No policy was named: judged by the bundled" in text


def test_a_run_without_any_result_says_so(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", unfinished=range(36))
    write_report(folder)
    assert "No trial of this run has a result yet." in read(folder).text
    assert "36 planned trials without a result yet." in read(folder).text


def test_a_policy_that_is_gone_judges_nothing(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", policy="gone.yaml")
    write_report(folder)
    text = read(folder).text
    assert "Nothing is recommended" in text
    assert "'gone.yaml', which cannot be used: no policy 'gone.yaml'" in text


def test_a_damaged_trial_is_told_and_the_rest_stays(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run")
    broken = min((folder / "videos").iterdir())
    (broken / "generation.json").write_text("{", "utf-8")
    write_report(folder)
    text = read(folder).text
    assert "35 of 36 planned trials" in text
    assert f"{broken.name}/generation.json cannot be read" in text


def test_a_run_of_schema_1_has_a_report(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GOLDEN / "run_schema_1", tmp_path / "run"))
    write_report(folder)
    text = read(folder).text
    assert "anna <script>" in text
    assert "CUDA out of memory" in text


def test_the_command_writes_both_files_again(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run")
    result = CliRunner().invoke(main, ["report", str(folder)])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == f"wrote {folder / 'report.html'}"
    assert read(folder).text


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Read every file of a folder, with the time of its last change."""
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def with_timelines(folder: Path, n: int) -> list[str]:
    """Give the first videos of a run a timeline, and return their ids."""
    times_s = np.arange(0, 5, 0.1)
    rss_mib = Series(times_s, 500 + 100 * times_s)
    alive = Series(times_s, np.ones(times_s.size))
    profile = Profile(5.0, 0.1, rss_mib=rss_mib, n_processes=alive, gpus=(), gpu_reason=None)
    ids = Run.open(folder).manifest.planned[:n]
    for video_id in ids:
        write_json(folder / "videos" / video_id / "timeline.json", {"profile": profile.to_dict()})
    return ids


def test_a_report_changes_nothing_that_was_measured(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run")
    drawn = with_timelines(folder, 2)
    before = contents(folder)
    write_report(folder)
    after = contents(folder)
    assert {path: after[path] for path in before} == before
    added = {path.relative_to(folder).as_posix() for path in after.keys() - before.keys()}
    pictures = {f"report/timelines/{video_id}.svg" for video_id in drawn}
    assert added == {"report.html", "report.md", "decisions/looks.jsonl", *pictures}
    html = (folder / "report.html").read_text("utf-8")
    assert all(f'src="{picture}"' in html for picture in pictures)


def test_a_timeline_is_drawn_once(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", sizes=("384*256",), steps=(2,))
    (video_id,) = with_timelines(folder, 1)
    picture = folder / "report" / "timelines" / f"{video_id}.svg"
    write_report(folder)
    first = picture.stat().st_mtime_ns
    write_report(folder)
    assert picture.stat().st_mtime_ns == first


def test_each_record_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_grid(tmp_path / "run")
    read: Counter[Path] = Counter()
    plain_open = Path.open

    def counted_open(path: Path, *arguments: Any, **options: Any) -> Any:
        read[path] += 1
        return plain_open(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", counted_open)
    write_report(folder)
    records = {
        path: n
        for path, n in read.items()
        if folder in path.parents and path.suffix == ".json" and not path.name.endswith(".samples.json")
    }
    assert len(records) > 36
    assert {path.name: n for path, n in records.items() if n > 1} == {}


def test_the_report_as_json_is_the_view(tmp_path: Path) -> None:
    folder = write_grid(tmp_path / "run", failing=(0,))
    path = tmp_path / "out" / "report.json"
    result = CliRunner().invoke(main, ["report", str(folder), "--json", str(path)])
    assert result.exit_code == 0, result.output
    assert f"wrote {path}" in result.output
    assert json.loads(path.read_text("utf-8")) == write_report(folder).to_dict()


def test_what_is_not_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a run folder: it has no run\.json"):
        write_report(tmp_path)
    result = CliRunner().invoke(main, ["report", str(tmp_path)])
    assert result.exit_code == 2
    assert "is not a run folder" in result.output
