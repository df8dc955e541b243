"""Every page, in light and dark, on a screen and on a phone, held to WCAG 2 and best practice by axe-core."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from evalkit.analysis.catalogue import known_metrics
from evalkit.api.verdicts import compare, signoff
from evalkit.decisions.policy import load_policy
from evalkit.errors import ClipError
from evalkit.measuring.results import ClipResult
from evalkit.reports.clips_page import render_clips
from evalkit.reports.compare_page import render_comparison
from evalkit.reports.run_report import write_report
from evalkit.reports.signoff_page import render_signoff
from evalkit.runs import Run
from evalkit.testing.runs import write_grid
from evalkit.types import Measurement, Moment, Reason
from evalkit.views.clips import clips_view
from evalkit.views.comparison import comparison_view
from evalkit.views.signoff import signoff_view
from evalkit.visuals.page import PageFrame, link_from

pytestmark = pytest.mark.browser

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NAMES = ("report", "report.zh", "compare", "signoff", "clips")


@pytest.fixture(scope="module")
def axe() -> str:
    package = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")
    return (files(package) / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def pages(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write every page once, of a run with a failure and a name that is a script."""
    folder = tmp_path_factory.mktemp("accessible")
    names = ("anna", "<script>window.hit = 1</script>")
    sizes, steps = ("384*256", "688*368"), (2, 4)
    run = write_grid(
        folder / "run",
        sizes=sizes,
        steps=steps,
        portraits=names,
        video=clip,
        failing=(4,),
        unfinished=(15,),
    )
    write_report(run, frame=PageFrame("zh-CN"))
    (run / "report.html").rename(run / "report.zh.html")
    write_report(run)
    assert Run.open(run).trials()
    comparison = comparison_view(compare(run, split={"sample_steps": (2, 4)}))
    decision = signoff_view(signoff(run, "customer_service", where={"sample_steps": 4, "size": "384*256"}))
    (run / "compare.html").write_text(render_comparison(comparison), "utf-8")
    (run / "signoff.html").write_text(render_signoff(decision), "utf-8")
    judged = clips_view(clip_results(next(run.glob("videos/*/video.mp4"))), load_policy("customer_service"))
    (run / "clips.html").write_text(render_clips(judged, frame=PageFrame(link=link_from(run))), "utf-8")
    return {name: run / f"{name}.html" for name in NAMES}


def clip_results(video: Path) -> list[ClipResult]:
    """Return what was measured of a clip that can be played, of one with a name that is a script, and of one that is none."""
    metrics = known_metrics()

    def measured(name: str, offset_ms: float) -> ClipResult:
        values = {"lip_sync.offset_ms": offset_ms, "lip_sync.error": 0.1, "expression.blink_per_min": None}
        found = [
            Measurement(
                metrics[metric],
                value,
                reason=Reason.NO_FACE if value is None else None,
                moments=(Moment(1.0, 2.5, value),) if metric == "lip_sync.offset_ms" and value else (),
            )
            for metric, value in values.items()
        ]
        return ClipResult(name, tuple(found))

    broken = ClipResult("broken.mp4", error=ClipError("not_media", "broken.mp4", "it is <b>no</b> video"))
    return [measured(str(video), -12.0), measured("<script>window.hit = 1</script>.mp4", 240.0), broken]


def violations(page: Any, axe: str) -> list[str]:
    """Run axe-core in a page; return each fault with where it is."""
    page.evaluate(axe)
    found = page.evaluate("(rules) => axe.run(document, { runOnly: rules })", RULES)
    return [
        f"{one['id']} ({one['help']}): {'; '.join(str(node['target']) + ' ' + node['failureSummary'] for node in one['nodes'][:3])}"
        for one in found["violations"]
    ]


@pytest.mark.parametrize("width_px", [1440, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_no_fault_that_axe_finds(
    chromium: Any, pages: dict[str, Path], axe: str, name: str, scheme: str, width_px: int
) -> None:
    size = {"width": width_px, "height": 900 if width_px > 1000 else 844}
    context = chromium.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(pages[name].as_uri())
    page.evaluate("document.querySelectorAll('details:not(.trial)').forEach((one) => { one.open = true; })")
    page.evaluate("document.querySelectorAll('details.trial').forEach((one, n) => { one.open = n === 0; })")
    assert violations(page, axe) == []
    assert errors == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width_px
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_switch_changes_light_to_dark_and_back_and_is_remembered(
    chromium: Any, pages: dict[str, Path], scheme: str
) -> None:
    context = chromium.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto(pages["compare"].as_uri())
    button = page.get_by_role("button", name="Dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    before, was_pressed = page.evaluate(ground), button.get_attribute("aria-pressed")
    assert was_pressed == str(scheme == "dark").lower()
    button.focus()
    page.keyboard.press("Enter")
    after = page.evaluate(ground)
    assert after != before
    assert button.get_attribute("aria-pressed") != was_pressed
    page.goto(pages["report"].as_uri())
    assert page.evaluate(ground) == after
    page.get_by_role("button", name="Dark").click()
    assert page.evaluate(ground) == before
    context.close()


def test_the_first_tab_leads_past_the_head_to_the_answer(chromium: Any, pages: dict[str, Path]) -> None:
    context = chromium.new_context()
    page = context.new_page()
    page.goto(pages["report"].as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the answer"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    assert page.evaluate("document.activeElement.id") == "main"
    context.close()
