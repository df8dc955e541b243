"""Trials beyond the first page: packed whole, in order, and as text that cannot become markup."""

from __future__ import annotations

import base64
import json
import re
import zlib
from html import unescape
from pathlib import Path

import pytest

from evalkit.decisions.analyse import analyse_run
from evalkit.decisions.policy import load_policy
from evalkit.formatting import three_digits
from evalkit.reports.run_page import render_run
from evalkit.reports.timelines import NO_TIMELINES
from evalkit.reports.trial_pages import N_SHOWN, draw_trials
from evalkit.runs import Run
from evalkit.testing.runs import write_grid
from evalkit.views.run import RunView, run_view
from evalkit.words.metrics import metric_words

NAME = "<script>hit()</script></table>"


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory) -> RunView:
    """Return a run of 108 trials, the last ones of a portrait whose name is markup."""
    folder = write_grid(tmp_path_factory.mktemp("many") / "run", portraits=("anna", NAME), seeds=(1, 2, 3))
    policy = load_policy("customer_service")
    return run_view(analyse_run(Run.open(folder), policy), policy)


@pytest.fixture(scope="module")
def page(view: RunView) -> str:
    return render_run(view)


def unpack(page: str) -> list[tuple[str, str]]:
    (packed,) = re.findall(r'id="more-trials">([^<]*)</script>', page)
    return [(row, details) for row, details in json.loads(zlib.decompress(base64.b64decode(packed)))]


def words(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", markup)).split())


def test_every_trial_is_there_once_and_in_order(view: RunView, page: str) -> None:
    shown = re.findall(r'<details class="trial" id="t-(\w+)"', page)
    more = [re.findall(r'id="t-(\w+)"', details) for _, details in unpack(page)]
    assert len(shown) == N_SHOWN
    assert [*shown, *(trial_id for (trial_id,) in more)] == [trial.id for trial in view.trials]
    rows = [re.findall(r'href="#t-(\w+)"', row) for row, _ in unpack(page)]
    assert rows == more


def test_what_is_packed_says_every_figure_of_its_trial(view: RunView, page: str) -> None:
    for trial, (row, details) in zip(view.trials[N_SHOWN:], unpack(page), strict=True):
        lines = re.findall(r'<tr><td title="([^"]+)">[^<]+<td>([\d.-]+)(.*)', details)
        found = {name: (value, rest) for name, value, rest in lines}
        assert list(found) == [figure.metric for figure in trial.measured]
        for figure in trial.measured:
            value, rest = found[figure.metric]
            assert value == three_digits(figure.value or 0.0)
            if figure.interval is not None:
                assert f"[{three_digits(figure.interval[0])}, {three_digits(figure.interval[1])}]" in rest
        for reason, names in trial.absent.items():
            assert f"Not measured, {reason}: {', '.join(map(metric_words('en').name, names))}" in words(
                details
            )
        for name in view.main:
            value = trial.figures[name].value
            assert value is None or f'data-v="{value}"' in row


def test_a_name_is_text_there_too(view: RunView, page: str) -> None:
    others = [(row, details) for row, details in unpack(page) if "hit()" in row]
    assert others
    assert view.trials[-1].portrait == NAME
    for part in (part for drawn in others for part in drawn):
        assert NAME in unescape(part)
        assert "<script" not in part
        assert part.count("</table>") == ("<table" in part)


def test_a_run_of_one_page_packs_nothing(tmp_path: Path) -> None:
    page = render_run(run_view(analyse_run(Run.open(write_grid(tmp_path / "run")), None), None))
    assert 'id="more-trials"' not in page
    assert 'class="controls script pager"' not in page


@pytest.mark.parametrize(
    ("tag", "words"), [("en", "within</span> at most 0.3"), ("zh-CN", "在限值内</span> 不超过 0.3")]
)
def test_limits_beside_a_clip_are_said_in_the_language_of_the_page(
    tmp_path: Path, tag: str, words: str
) -> None:
    policy = load_policy("customer_service")
    run = run_view(analyse_run(Run.open(write_grid(tmp_path / "run")), policy), policy)
    drawn = draw_trials(run, NO_TIMELINES, {}, (), language=tag)
    assert words in drawn.shown[0].details
