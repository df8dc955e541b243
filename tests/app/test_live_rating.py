"""Raters under the roof of the live pages: they see their study and nothing else, and nobody else sees it without the token."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from starlette.testclient import TestClient

from evalkit.app.live.server import LiveApp, Settings
from evalkit.rating.desk import Desk
from evalkit.runs.files import only_writer
from evalkit.runs.layout import RATINGS_FOLDER

TOKEN = "the-token"  # noqa: S105 - of a server of the tests
SITE = "http://localhost:8764"


@pytest.fixture
def folder(runs: dict[str, Path], tmp_path: Path) -> Path:
    """Return a folder of a run that asks people, and one that does not."""
    shutil.copytree(runs["acr"], tmp_path / "runs" / "asked")
    shutil.copytree(runs["acr"], tmp_path / "runs" / "other")
    shutil.rmtree(tmp_path / "runs" / "other" / RATINGS_FOLDER)
    return tmp_path / "runs"


@pytest.fixture
def app(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LiveApp]:
    monkeypatch.setenv("EVALKIT_CACHE_DIR", str(tmp_path / "cache"))
    app = LiveApp(Settings(folder, TOKEN, url=SITE))
    yield app
    app.close()


@pytest.fixture
def owner(app: LiveApp) -> TestClient:
    """Return the browser of whoever asks."""
    owner = TestClient(app, base_url=SITE)
    owner.get(f"/notes/asked/?token={TOKEN}")
    return owner


@pytest.fixture
def link(owner: TestClient) -> str:
    """Return a rater's link, less the site."""
    page = owner.post("/notes/asked/invite", data={"n": "1"}).text
    (found,) = re.findall(rf"<code>{SITE}(/rate/[^<]+)</code>", page)
    return str(found)


def test_a_rater_comes_in_and_answers(app: LiveApp, folder: Path, link: str) -> None:
    rater = TestClient(app, base_url=SITE)
    base = link.partition("/r/")[0]
    page = rater.get(link).text
    assert f'action="{base}/start"' in page
    assert "asked" not in base
    item = rater.post(f"{base}/start", data={"language": "en"}).text
    (clip,) = re.findall(r'<video[^>]* src="([^"]+)"', item)
    assert clip.startswith(f"{base}/clip/")
    assert rater.get(clip).headers["content-type"] == "video/mp4"
    for address in re.findall(r'(?:src|href)="(/[^"]+)"', item):
        assert rater.get(html.unescape(address)).status_code == 200
    nonce = re.findall(r'name="presentation" value="([^"]+)"', item)[0]
    scores = dict.fromkeys(set(re.findall(r'<input type="radio" name="([^"]+)"', item)), "4")
    answered = rater.post(f"{base}/answer", data={"presentation": nonce, **scores})
    assert answered.status_code == 409  # nobody can have watched it yet; it was heard, and looked at
    with Desk.open(folder / "asked") as desk:
        assert [one.n_assigned > 0 for one in desk.raters()] == [True]


@pytest.mark.parametrize(
    "path", ["/", "/runs/", "/runs/asked/", "/trend", "/notes/asked/", "/runs/asked/run.json"]
)
def test_a_rater_sees_nothing_else(app: LiveApp, link: str, path: str) -> None:
    rater = TestClient(app, base_url=SITE)
    rater.get(link)
    assert rater.get(path).status_code == 401
    assert rater.post("/notes/asked/add", data={"text": "x"}).status_code == 401


def test_cookies_of_a_rater_stay_with_the_study(app: LiveApp, link: str) -> None:
    base = link.partition("/r/")[0]
    cookie = TestClient(app, base_url=SITE).get(link, follow_redirects=False).headers["set-cookie"]
    assert f"Path={base};" in cookie
    assert "HttpOnly" in cookie


def test_a_stranger_learns_nothing_of_studies(app: LiveApp, link: str) -> None:
    base = link.partition("/r/")[0]
    stranger = TestClient(app, base_url=SITE)
    assert stranger.get(f"{base}/rate").status_code == 401
    assert stranger.get(f"{base}/results").status_code == 401
    assert stranger.get(f"{base}/r/no-such-token").status_code == 404
    assert stranger.get(f"{base}/a/{TOKEN}").status_code == 404
    assert stranger.get("/rate/000000000000/rate").status_code == 404
    assert stranger.get("/rate/asked/rate").status_code == 404


def test_whoever_asks_sees_how_far_raters_are(owner: TestClient) -> None:
    page = owner.get("/notes/asked/").text
    (results,) = re.findall(r'href="(/rate/[^"]+/a/[^"]+)"', page)
    shown = owner.get(results)
    assert shown.status_code == 200
    assert urlsplit(str(shown.url)).path.endswith("/results")
    opinions = re.findall(r'href="([^"]+/results/opinions)"', shown.text)[0]
    assert owner.get(opinions).status_code == 200


def test_a_run_that_asks_nobody_has_no_study(owner: TestClient) -> None:
    assert "/rate/" not in owner.get("/notes/other/").text
    assert owner.post("/notes/other/invite", data={"n": "1"}).status_code == 404


@pytest.mark.parametrize("n", ["0", "51", "x", "-1"])
def test_raters_are_invited_by_the_dozen_at_most(owner: TestClient, n: str) -> None:
    assert owner.post("/notes/asked/invite", data={"n": n}).status_code == 422


def test_a_study_that_another_process_serves_is_left_to_it(
    owner: TestClient, folder: Path, link: str
) -> None:
    with only_writer(folder / "asked" / RATINGS_FOLDER):
        assert owner.get(link).status_code == 404
    assert owner.get(link).status_code == 200
