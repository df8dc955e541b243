"""Nothing that a rater is sent tells A from B: all served bytes are searched, and held to each other."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from base64 import b64decode
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import httpx2
import numpy as np
import pytest

from evalkit.rating.blind import find_leaks
from evalkit.runs import Run
from evalkit.runs.ratings import Role
from evalkit.testing.opened_key import OpenedKey, StoredPresentation
from evalkit.testing.opinions import Truth
from evalkit.testing.raters import Diary, rate_all
from evalkit.testing.rating_server import RatingServer
from tests.road.conftest import NAMES, configuration

N_RATERS = 8
_MAKERS = ("libx264", "made up")
_ABOUT_A_BODY = {"content-length", "content-range", "date", "set-cookie"}
"""Headers that say how long a body is, when it was sent, and to whom."""


@dataclass
class Served:
    """A run that was rated by programs, and everything that they were sent."""

    run: Path
    diaries: list[Diary]
    responses: list[httpx2.Response] = field(default_factory=list)

    @property
    def presentations(self) -> list[StoredPresentation]:
        """What is behind the codes."""
        return OpenedKey(self.run).presentations()


@pytest.fixture(scope="module", params=["scores", "one", "step"])
def served(request: pytest.FixtureRequest, contest: Path, tmp_path_factory: pytest.TempPathFactory) -> Served:
    """Let raters rate a run of two configurations: scores, pairs one after the other, pairs in step."""
    run = Path(shutil.copytree(contest, tmp_path_factory.mktemp("served") / "run"))
    pairs = [] if request.param == "scores" else ["--pairs", request.param]
    found = Served(run, [])
    with RatingServer(run, ["--simulated", "--raters", str(N_RATERS), *pairs]) as server:
        links = server.links
        found.diaries += rate_all(links, Truth(3.0), OpenedKey(run), on_response=found.responses.append)
    assert all(diary.is_done for diary in found.diaries)
    return found


def secret_words(run: Path) -> list[str]:
    """Name everything of a run by which a clip could be known: what is in its records, in its names and its contents."""
    trials = Run.open(run).trials()
    records = {
        word
        for trial in trials
        for word in (trial.id, trial.content, trial.portrait.content, trial.speech.content)
    }
    names = {name for trial in trials for name in (trial.portrait.name, trial.speech.name, *trial.params)}
    folders = {name for name in run.parts[2:-1] if len(name) >= 4}  # shorter ones turn up by chance
    return sorted({*NAMES, *_MAKERS, *names, *(word for word in records if word), str(run), *folders})


def test_the_search_would_find_them(served: Served) -> None:
    words = secret_words(served.run)
    assert {
        "wombat",
        "herons 0",
        "ibexes",
        "73190641",
        *(trial.id for trial in Run.open(served.run).trials()),
    } <= set(words)
    video = next((served.run / "videos").glob("*/video.mp4")).read_bytes()
    assert len(find_leaks(video, words)) >= 2  # its trial's id, and its encoder


def test_no_served_byte_names_anything_of_the_run(served: Served) -> None:
    words = secret_words(served.run)
    assert len(served.responses) > 100
    found = {
        (str(response.url), word)
        for response in served.responses
        for part in (response.content, repr(response.headers.raw).encode(), str(response.url).encode())
        for word in find_leaks(part, words)
    }
    assert found == set()


def test_no_offline_page_names_anything_of_the_run(contest: Path, tmp_path: Path) -> None:
    """The page, and the videos in it as they are when they are taken out."""
    run = Path(shutil.copytree(contest, tmp_path / "run"))
    command = [
        sys.executable,
        "-m",
        "evalkit",
        "rate",
        "export",
        run,
        "--offline",
        "--simulated",
        "--raters",
        "2",
        "--out",
        tmp_path / "pages",
    ]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = [page.read_bytes() for page in (tmp_path / "pages").rglob("*.html")]
    assert len(pages) == 2
    words = secret_words(run)
    for page in pages:
        videos = [b64decode(text) for text in re.findall(rb"[A-Za-z0-9+/=]{2000,}", page)]
        assert len(videos) >= 12
        assert {video[4:8] for video in videos} == {b"ftyp"}
        assert {word for part in (page, *videos) for word in find_leaks(part, words)} == set()


def neutral(response: httpx2.Response) -> str:
    """Return a page without its random codes."""
    text = re.sub(r"/clip/[\w-]+", "/clip/CODE", response.text)
    return re.sub(
        r'(name="presentation"\s+value=")[^"]+|(value=")[^"]+("\s+name="presentation")', r"\1\2NONCE\3", text
    )


def test_a_page_is_the_same_whatever_is_shown(served: Served) -> None:
    """Repeats, checks and each configuration: at one place of one language there is one page."""
    pages = defaultdict(set)
    roles = defaultdict(set)
    place_of = {one.nonce: one for one in served.presentations}
    for response in served.responses:
        nonce = (
            re.search(
                r'name="presentation"\s+value="([^"]+)"|value="([^"]+)"\s+name="presentation"', response.text
            )
            if _is_page(response)
            else None
        )
        if nonce is None:
            continue
        one = place_of[nonce[1] or nonce[2]]
        language = re.search(r'<html[^>]*lang="([\w-]+)"', response.text)
        assert language is not None
        pages[language[1], one.position].add(neutral(response))
        roles[language[1], one.position].add((one.role, one.shown))
    assert {len(found) for found in pages.values()} == {1}
    assert max(len(found) for found in roles.values()) > 1  # though different things were shown there
    assert len(pages) > 10


def _is_page(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").startswith("text/html")


def test_headers_are_the_same_whatever_is_shown(served: Served) -> None:
    headers = defaultdict(set)
    for response in served.responses:
        kind = (
            response.request.method,
            re.sub(r"(/clip/|/r/).+", r"\1", response.url.path),
            response.status_code,
        )
        headers[kind].add(
            tuple((name, value) for name, value in response.headers.items() if name not in _ABOUT_A_BODY)
        )
    assert {kind: found for kind, found in headers.items() if len(found) > 1} == {}
    said = {name for response in served.responses for name in response.headers}
    assert said & {"last-modified", "etag", "server", "content-disposition", "x-powered-by"} == set()
    kept = {
        response.headers["cache-control"]
        for response in served.responses
        if response.url.path.startswith("/clip/")
    }
    assert kept == {"private, no-store"}


def test_codes_are_random_and_never_come_again(served: Served) -> None:
    presentations = served.presentations
    codes = [code for one in presentations for code in one.codes] + [one.nonce for one in presentations]
    assert len(set(codes)) == len(codes)
    assert len({len(code) for one in presentations for code in one.codes}) == 1
    assert min(map(len, codes)) >= 16
    for one in presentations:  # a hash of what is behind it would be the same in front of others
        assert not any(
            code[:4] in "".join(shown.trial for shown in one.shown)
            for code in one.codes
            if code[:4].isdigit()
        )
    assert len({code[:3] for code in codes}) > 0.9 * len(codes)


def test_repeats_are_under_other_addresses(served: Served) -> None:
    by_rater = defaultdict(list)
    for one in served.presentations:
        by_rater[one.rater].append(one)
    n_repeats = 0
    for presentations in by_rater.values():
        first = {frozenset(one.shown): one for one in presentations if one.role is Role.RATING}
        for one in presentations:
            if one.role is Role.REPEAT:
                n_repeats += 1
                assert set(one.codes).isdisjoint(first[frozenset(one.shown)].codes)
    assert n_repeats >= N_RATERS


def test_files_are_alike_on_the_outside(served: Served) -> None:
    """They differ by their picture and sound, not by their boxes, and nothing is put between those."""
    boxes = {
        tuple(_boxes(response.content))
        for response in served.responses
        if response.url.path.startswith("/clip/")
    }
    assert len(boxes) == 1
    assert set(*boxes) <= {("ftyp", 32), ("moov", 0), ("free", 8), ("mdat", 0)}


def _boxes(data: bytes) -> list[tuple[str, int]]:
    """Name the boxes of an MP4 file, in order, with the size of those that need not hold anything of the clip."""
    found: list[tuple[str, int]] = []
    place = 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        name = data[place + 4 : place + 8].decode("ascii")
        found.append((name, 0 if name in {"moov", "mdat"} else size))
        place += size
    assert place == len(data)
    return found


def test_sides_and_places_are_balanced_between_the_configurations(served: Served) -> None:
    level_of = {trial.id: configuration(trial) for trial in Run.open(served.run).trials()}
    rated = [one for one in served.presentations if one.role is Role.RATING]
    counts = Counter(level_of[one.shown[0].trial] for one in rated)
    assert counts.keys() == {73190641, 84230517}
    n_shown = Counter(shown.trial for one in rated for shown in one.shown)
    assert max(n_shown.values()) - min(n_shown.values()) <= 1
    assert abs(counts[73190641] - counts[84230517]) <= len(
        {one.item for one in rated}
    )  # each item's sides in turn
    if len(rated[0].shown) == 1:
        places = {
            level: [one.position for one in rated if level_of[one.shown[0].trial] == level]
            for level in counts
        }
        spread = np.std([one.position for one in rated]) * np.sqrt(2 / counts[73190641])
        assert abs(np.mean(places[73190641]) - np.mean(places[84230517])) < 4 * spread


def test_no_two_neighbours_are_of_one_input_more_often_than_they_must(served: Served) -> None:
    trials = {trial.id: trial for trial in Run.open(served.run).trials()}
    by_rater = defaultdict(list)
    for one in served.presentations:
        if one.role is Role.RATING:
            by_rater[one.rater].append(trials[one.shown[0].trial].speech.name)
    n_same = sum(a == b for names in by_rater.values() for a, b in pairwise(names))
    assert n_same <= len(by_rater)
