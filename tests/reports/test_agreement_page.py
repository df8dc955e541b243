"""Agreement with people in sentences, as JSON, as a page and in a terminal: all say the same, and who was simulated."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from rich.console import Console

import evalkit
from evalkit.cli import main
from evalkit.errors import UsageError
from evalkit.reports.agreement_page import print_agreement, render_agreement
from evalkit.reports.agreement_plot import draw_agreement
from evalkit.runs.ratings.records import Origin
from evalkit.testing.rated_runs import ERROR, OFFSET, write_rated_run
from evalkit.testing.runs import make_trial, write_run
from evalkit.views.agreement import AgreementView


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rated_run(tmp_path_factory.mktemp("rated") / "run")


@pytest.fixture(scope="module")
def view(folder: Path) -> AgreementView:
    return evalkit.rate_agreement(folder)


def terminal(view: AgreementView) -> str:
    console = Console(width=80, record=True, file=io.StringIO(), highlight=False)
    print_agreement(console, view)
    return " ".join(console.export_text().split())


def test_the_first_sentence_says_what_agrees_and_what_costs(view: AgreementView) -> None:
    assert re.fullmatch(
        r"lip_sync\.error agrees best with 20 simulated raters \(0\.\d\d of at most 0\.\d\d\), "
        r"and lip_sync\.offset_ms beyond \d+(\.\d)? ms costs \d\.\d points\.",
        view.headline,
    )
    assert view.runs[0].headline == view.headline


def test_the_threshold_stands_beside_the_policys_limit(view: AgreementView) -> None:
    sentence = view.runs[0].details[0]
    assert sentence.startswith("Here, lip_sync.offset_ms beyond ")
    assert " of rating.mos; the policy allows -125 to 45 ms" in sentence
    one = next(one for one in view.runs[0].ratings[0].metrics if one.metric.name == OFFSET.name)
    assert one.limits == (45.0, 125.0)
    assert one.objections[0].limit == "-125 to 45 ms"


def test_a_policy_may_be_stricter_or_laxer_than_raters(folder: Path, tmp_path: Path) -> None:
    def sentence(limit: int) -> str:
        policy = tmp_path / f"{limit}.yaml"
        policy.write_text(
            "name: own\ntitle: Own\nquality: lip_sync.error\ncosts: [profile.total_s]\nrules:\n"
            f"  - {{metric: lip_sync.offset_ms, at_least: -{limit}, at_most: {limit}, why: asked}}\n"
        )
        return evalkit.rate_agreement([folder], policy=policy).runs[0].details[0]

    assert "so raters object later" in sentence(20)
    assert "so raters object sooner" in sentence(400)
    assert "so raters" not in sentence(90)


def test_simulated_raters_are_called_so_everywhere(view: AgreementView, tmp_path: Path) -> None:
    for text in (view.headline, terminal(view), render_agreement(view), view.to_json()):
        assert "20 simulated raters" in text
    people = write_rated_run(tmp_path / "run", origin=Origin.PERSON, n_raters=5)
    assert "simulated" not in evalkit.rate_agreement(people).headline


def test_the_view_is_json_and_the_page_shows_its_figures(view: AgreementView) -> None:
    plain = json.loads(view.to_json())
    page = render_agreement(view)
    for rating in plain["runs"][0]["ratings"]:
        for one in rating["metrics"]:
            assert one["metric"]["name"] in page.replace("<wbr>", "")
            if one["has_direction"]:
                assert f"{one['spearman']['value']:.2f}" in page
    assert plain["runs"][0]["ratings"][0]["n_simulated"] == 20


def test_drawings_are_whole_and_inside_their_frames(view: AgreementView) -> None:
    page = render_agreement(view)
    drawings = re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(drawings) == 8  # dots and clips of four metrics, then of two
    for drawing in drawings:
        root = ET.fromstring(drawing)  # noqa: S314 - our own
        width, height = map(float, root.attrib["viewBox"].split()[2:])
        for circle in root.iter("{http://www.w3.org/2000/svg}circle"):
            assert 0.0 <= float(circle.attrib["cx"]) <= width
            assert 0.0 <= float(circle.attrib["cy"]) <= height


def test_the_line_is_drawn_where_a_threshold_is_told_and_nowhere_else(view: AgreementView) -> None:
    pictures = draw_agreement(view.runs[0])
    for picture in pictures:
        assert [bool(one.fit) for one in picture.scatters] == [
            one.finding.startswith("beyond") for one in picture.scatters
        ]
    first = pictures[0].scatters[0]
    assert first.fit
    assert first.band is not None
    (_, y_flat), (x_place, y_place), (_, y_end) = (
        tuple(map(float, point.split())) for point in first.fit.lstrip("M").split("L")
    )
    assert y_flat == y_place < y_end  # downwards on a screen
    assert first.band[0] <= x_place <= first.band[1]
    assert [limit.text for limit in first.limits] == ["policy: 45", "policy: 125"]


def test_a_run_that_nobody_rated_says_so(tmp_path: Path) -> None:
    trial = make_trial(params={}, portrait="a", speech="b", seed=1, values={"lip_sync.error": 0.2})
    folder = write_run(tmp_path / "run", [trial], [ERROR])
    view = evalkit.rate_agreement(folder)
    assert view.headline.startswith("Nobody has rated")
    assert "Nobody has rated" in render_agreement(view)


def test_ratings_that_cannot_be_read_are_not_called_none(tmp_path: Path) -> None:
    folder = write_rated_run(tmp_path / "run", n_raters=2)
    (folder / "ratings" / "ratings.sqlite").write_bytes(b"no database" * 100)
    view = evalkit.rate_agreement(folder)
    assert view.headline.startswith("What people said of this run cannot be read: ")
    assert "Put back a copy" in terminal(view)


def test_two_portraits_say_why_nothing_is_sure(tmp_path: Path) -> None:
    folder = write_rated_run(tmp_path / "run", n_portraits=2, n_raters=6)
    view = evalkit.rate_agreement(folder)
    assert view.headline.startswith("No metric agrees for sure with 6 simulated raters: ")
    assert "2 portraits" in view.headline
    assert "costs" not in view.headline


# command line and library


def test_the_command_prints_and_writes_what_the_library_says(
    folder: Path, view: AgreementView, tmp_path: Path
) -> None:
    found = CliRunner().invoke(
        main,
        [
            "rate",
            "agreement",
            str(folder),
            "--json",
            str(tmp_path / "a.json"),
            "--html",
            str(tmp_path / "a.html"),
        ],
    )
    assert found.exit_code == 0, found.output
    assert view.headline in " ".join(found.output.split())
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == json.loads(view.to_json())
    assert (tmp_path / "a.html").read_text("utf-8") == render_agreement(view)


def test_several_runs_are_one_answer(folder: Path, tmp_path: Path) -> None:
    others = [write_rated_run(tmp_path / str(seed), seed=seed, n_raters=6) for seed in (1, 2)]
    found = evalkit.rate_agreement([folder, *others])
    assert re.match(
        r"Over 3 runs .*lip_sync\.\w+ .*rating\.\w+ by 32 simulated raters: 0\.\d\d", found.headline
    )
    page = render_agreement(found)
    assert all(run.headline.split(" (")[0] in page for run in found.runs)
    assert "3 of 3" in terminal(found)


@pytest.mark.parametrize(
    ("runs", "message"),
    [("nowhere", "there is no such folder"), ("twice", "given twice"), ("policy", "'nobodys'")],
)
def test_wrong_use_is_refused_with_exit_code_2(runs: str, message: str, folder: Path) -> None:
    arguments = {
        "nowhere": [str(folder / "nowhere")],
        "twice": [str(folder), str(folder)],
        "policy": [str(folder), "--policy", "nobodys"],
    }[runs]
    found = CliRunner().invoke(main, ["rate", "agreement", *arguments])
    assert found.exit_code == 2
    assert message in " ".join(found.output.split())


def test_what_is_no_run_is_refused() -> None:
    with pytest.raises(UsageError, match="runs is 3"):
        evalkit.rate_agreement(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no run is given"):
        evalkit.rate_agreement([])
