"""The documentation as a site: it is built strictly, without a network, and agrees with the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from evalkit.analysis.catalogue import known_metrics
from evalkit.evaluators.load import evaluator_class
from evalkit.registry import EVALUATORS, names

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in (DOCS / "metrics").glob("*.md") if path.stem != "index")
TUTORIALS = sorted((DOCS / "tutorials").glob("*.md"))
LARGEST_PICTURE = 150_000
NO_NETWORK = (
    "import socket, sys\n"
    "def refuse(*_, **__): raise OSError('the site asked for the network')\n"
    "socket.socket.connect = socket.getaddrinfo = socket.create_connection = refuse\n"
    "from mkdocs.__main__ import cli\ncli()\n"
)
needs_mkdocs = pytest.mark.skipif(
    find_spec("material") is None or find_spec("mkdocstrings") is None,
    reason="the extra docs is not installed",
)


class _Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Sources(HTMLParser):
    """Collects what a page loads by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag loads."""
        given = dict(attrs)
        if tag in {"script", "img", "iframe", "video", "source"}:
            self.found.append(given.get("src") or "")
        if tag == "link" and given.get("rel") in {"stylesheet", "icon", "preconnect", "preload"}:
            self.found.append(given.get("href") or "")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-c", NO_NETWORK, "build", "--strict", "-d", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@needs_mkdocs
def test_every_metric_has_a_page_with_its_facts(site: Path) -> None:
    for name, metric in known_metrics().items():
        page = (site / "metrics" / f"{name}.html").read_text("utf-8")
        assert f"<code>{name}</code>" in page
        assert all(heading in page for heading in ("How it was proven", "Limits"))
        if metric.unit != "1":
            assert metric.unit in page


@needs_mkdocs
def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 90
    for page in pages:
        sources = Sources()
        sources.feed(page.read_text("utf-8"))
        assert [source for source in sources.found if re.match(r"(https?:)?//", source)] == [], page


@needs_mkdocs
def test_the_reference_has_every_public_name_and_command(site: Path) -> None:
    import evalkit

    api = (site / "api.html").read_text("utf-8")
    for name in evalkit.__all__:
        if not name.startswith("_"):
            assert f'id="evalkit.{name}"' in api, name
    commands = (site / "commands.html").read_text("utf-8")
    for called in ("evalkit signoff", "evalkit rate serve", "evalkit ledger verify"):
        assert f">{called}<" in commands or f">{called}" in commands


@needs_mkdocs
@pytest.mark.browser
def test_a_page_opened_from_a_folder_asks_for_nothing(site: Path, chromium: Any) -> None:
    page = chromium.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "metrics" / "lip_sync.error.html").as_uri())
    page.get_by_role("heading", name="How it was proven").wait_for()
    assert asked
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


@needs_mkdocs
@pytest.mark.browser
def test_the_search_finds_a_metric_and_asks_this_machine_alone(site: Path, chromium: Any) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(site)))
    Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_port}"
    page = chromium.new_page(viewport={"width": 1280, "height": 800})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(f"{home}/index.html")
        page.locator(".md-search__input").click()
        page.keyboard.type("drift")
        page.locator(".md-search-result__item").filter(has_text="drift").first.wait_for()
        assert [url for url in asked if not url.startswith((home, "data:", "blob:"))] == []
    finally:
        page.close()
        server.shutdown()
        server.server_close()


def test_there_is_a_page_for_each_metric_and_none_for_another() -> None:
    assert {path.stem for path in PAGES} == set(known_metrics())


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_what_a_page_cites_exists(path: Path) -> None:
    """Metrics, files and programs that a page names are there."""
    text = path.read_text("utf-8")
    families = "|".join(sorted({name.partition(".")[0] for name in known_metrics()}))
    named = set(re.findall(rf"`((?:{families})\.[a-z0-9_]+)`", text))
    assert named <= set(known_metrics())
    for cited in re.findall(r"`((?:tests|training|evalkit|docs)/[\w./]+)`", text):
        assert (ROOT / cited).exists(), cited
    for module in re.findall(r"python -m (tests[\w.]*)", text):
        place = ROOT / module.replace(".", "/")
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), module
    for script in re.findall(r"python (training/[\w/]+\.py)", text):
        assert (ROOT / script).is_file(), script
    blocks = [block for block in re.split(r"\n## .*\n", text) if block.strip()]
    assert len(blocks) == 3
    assert all(len(block.split()) >= 6 for block in blocks)


def test_every_evaluators_metrics_are_told() -> None:
    told = {path.stem for path in PAGES}
    for name in names(EVALUATORS):
        assert {metric.name for metric in evaluator_class(name).metrics} <= told


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_in_chinese_has_the_same_steps(path: Path) -> None:
    blocks = re.compile(r"```.*?```", re.DOTALL)
    chinese = (DOCS / "zh" / path.name).read_text("utf-8")
    english = path.read_text("utf-8")
    assert blocks.findall(chinese) == blocks.findall(english)
    assert chinese.count("\n## ") == english.count("\n## ")
    assert len(re.findall(r"[\u4e00-\u9fff]", chinese)) > 300


def test_pictures_are_small_and_used() -> None:
    used = "\n".join(path.read_text("utf-8") for path in DOCS.rglob("*.md"))
    for picture in (DOCS / "pictures").iterdir():
        assert picture.stat().st_size < LARGEST_PICTURE
        assert f"pictures/{picture.name}" in used
