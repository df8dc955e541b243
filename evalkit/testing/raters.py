"""Simulated raters, who go the way of the pages of ``evalkit rate serve`` over HTTP and wait as long as a clip plays.

They know nothing that a browser does not know, except what they think: that is planted, and found by the sealed key, which
they may read as they are no people. By hand, while ``evalkit rate serve RUN --simulated`` runs and its output is in a file::

    python -m evalkit.testing.raters RUN --links OUTPUT --truth truth.json
"""

from __future__ import annotations

import asyncio
import functools
import io
import re
import ssl
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

import click

from evalkit.formatting import count
from evalkit.testing.opened_key import OpenedKey
from evalkit.testing.opinions import Truth
from evalkit.testing.rater_pages import Form, Page, read_page

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx2

    from evalkit.testing.opinions import Shown, SimulatedOpinion

LANGUAGES = ("en", "zh-CN")
_LINK = re.compile(r"https?://\S+/r/[\w-]+")


class Request(NamedTuple):
    """One request: what was asked for, how it ended, and how long until its first byte of content."""

    method: str
    path: str
    status: int
    took_s: float

    @property
    def is_video(self) -> bool:
        """Whether the bytes are a video's."""
        return self.path.startswith("/clip/")


@dataclass
class Diary:
    """What a simulated rater did.

    Parameters
    ----------
    link : str
    acknowledged : dict of str to (dict of str to str)
        By nonce of the presentation: the answer that the server said it has.
    sent : dict of str to (dict of str to str)
        The same for everything that was sent, acknowledged or not.
    requests : list of Request
    n_interrupted : int
        How often the server was gone.
    languages : set of str
        Of the pages.
    is_done : bool
        Whether the page of thanks was reached.
    """

    link: str
    acknowledged: dict[str, dict[str, str]] = field(default_factory=dict)
    sent: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    n_interrupted: int = 0
    languages: set[str] = field(default_factory=set)
    is_done: bool = False


class RoadBlockedError(Exception):
    """A page was not what it has to be, or the server refused what a browser would have sent."""


class SimulatedRater:
    """One rater with an own browser.

    Parameters
    ----------
    link : str
        The invitation.
    opinion : SimulatedOpinion
    key : OpenedKey
    language : str
    patience_s : float
        How long a server may be gone; 0 for not at all.
    think_s : float
        Mean time, exponentially distributed, before the link is opened, and between the end of a clip and the answer.
    on_response : callable, optional
        Is given every response with its content.
    """

    def __init__(
        self,
        link: str,
        opinion: SimulatedOpinion,
        key: OpenedKey,
        *,
        language: str = "en",
        patience_s: float = 0.0,
        think_s: float = 0.0,
        on_response: Callable[[httpx2.Response], None] | None = None,
    ) -> None:
        import httpx2

        self.diary = Diary(link)
        self._opinion = opinion
        self._key = key
        self._language = language
        self._patience_s = patience_s
        self._think_s = think_s
        self._on_response = on_response
        self._client = httpx2.AsyncClient(
            base_url=link.partition("/r/")[0],
            timeout=30,
            headers={"Accept-Language": language, "Accept": "text/html", "Origin": link.partition("/r/")[0]},
            trust_env=False,
            verify=_certificates(),
        )
        self._fetched: set[str] = set()

    async def rate(self) -> Diary:
        """Go from the link to the thanks.

        Raises
        ------
        RoadBlockedError
            If that is not possible.
        """
        async with self._client:
            await asyncio.sleep(self._opinion.delay_s(self._think_s))
            page = await self._go("GET", self.diary.link.removeprefix(str(self._client.base_url).rstrip("/")))
            while not self.diary.is_done:
                page = await self._step(page)
        return self.diary

    async def _step(self, page: Page) -> Page:
        self.diary.languages.add(page.language)
        for asset in page.assets:
            if asset not in self._fetched:  # a browser keeps them
                self._fetched.add(asset)
                await self._fetch(asset)
        start, answer = page.form("/start"), page.form("/answer")
        if start is not None:
            return await self._go("POST", "/start", {**start.hidden, "language": self._language})
        if answer is not None:
            return await self._present(page, answer)
        self.diary.is_done = True
        return page

    async def _present(self, page: Page, form: Form) -> Page:
        if not page.videos:
            raise RoadBlockedError(f"no video on the page of {form.hidden}")
        duration_s = sum([await self._play(video) for video in page.videos])
        await asyncio.sleep(duration_s + self._opinion.delay_s(self._think_s))
        given = self._judge([self._key.shown(video.rsplit("/", 1)[-1]) for video in page.videos], form)
        nonce = form.hidden["presentation"]
        self.diary.sent[nonce] = given
        return await self._go("POST", "/answer", {**form.hidden, **given}, nonce=nonce)

    def _judge(self, shown: Sequence[Shown], form: Form) -> dict[str, str]:
        if "preferred" in form.choices:
            return {"preferred": self._opinion.choice(shown[0], shown[1], form.choices["preferred"])}
        return {
            question: str(self._opinion.score(shown[0], question, [int(value) for value in offered]))
            for question, offered in form.choices.items()
        }

    async def _play(self, address: str) -> float:
        """Fetch a video as a browser does, and return how long it is."""
        return _duration_s(await self._fetch(address, {"Range": "bytes=0-"}))

    async def _fetch(self, address: str, headers: dict[str, str] | None = None) -> bytes:
        response = None
        while response is None:
            response = await self._send("GET", address, headers=headers)
        if response.status_code not in {200, 206}:
            raise RoadBlockedError(f"{address}: {response.status_code}")
        return response.content

    async def _go(
        self, method: str, path: str, data: dict[str, str] | None = None, *, nonce: str | None = None
    ) -> Page:
        """Send a request and follow where it leads, as a browser does."""
        response = await self._send(method, path, data)
        if response is not None and response.status_code == 303:
            if nonce is not None:
                self.diary.acknowledged[nonce] = self.diary.sent[nonce]
            path = response.headers["location"]
            response = await self._send("GET", path)
        if response is None:
            return await self._go("GET", "/rate" if self._client.cookies else path)
        if response.status_code != 200:
            text = re.sub(r"<[^>]*>|\s+", " ", response.text)[:400]
            raise RoadBlockedError(f"{method} {path}: {response.status_code} {text}")
        return read_page(response.text)

    async def _send(
        self,
        method: str,
        path: str,
        data: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx2.Response | None:
        """Send one request; None where the server was gone and is back."""
        import httpx2

        began_s = time.perf_counter()
        try:
            async with self._client.stream(method, path, data=data, headers=headers) as response:
                took_s = time.perf_counter() - began_s
                await response.aread()
        except httpx2.TransportError:
            await self._wait_for_server()
            return None
        self.diary.requests.append(Request(method, path, response.status_code, took_s))
        if self._on_response is not None:
            self._on_response(response)
        return response

    async def _wait_for_server(self) -> None:
        import httpx2

        self.diary.n_interrupted += 1
        end_s = time.monotonic() + self._patience_s
        while True:
            try:
                await self._client.get("/rate")
            except httpx2.TransportError:
                if time.monotonic() > end_s:
                    raise
                await asyncio.sleep(0.1)
            else:
                return


@functools.cache
def _certificates() -> ssl.SSLContext:
    return ssl.create_default_context()  # one for all: each takes 20 ms


def _duration_s(content: bytes) -> float:
    import av

    with av.open(io.BytesIO(content)) as container:
        if container.duration is None:
            raise RoadBlockedError("a clip that does not say how long it is")
        return float(container.duration / av.time_base)


def find_links(text: str) -> list[str]:
    """Return the invitations in a text, such as what ``evalkit rate serve`` printed.

    >>> find_links("r01  http://127.0.0.1:8765/r/a-b  (open it once)")
    ['http://127.0.0.1:8765/r/a-b']
    """
    return _LINK.findall(text)


def rate_all(
    links: Sequence[str],
    truth: Truth,
    key: OpenedKey,
    *,
    seed: int = 0,
    patience_s: float = 0.0,
    think_s: float = 0.0,
    on_response: Callable[[httpx2.Response], None] | None = None,
) -> list[Diary]:
    """Let one simulated rater a link rate, all at once, in English and Chinese by turns; see `SimulatedRater`.

    Returns
    -------
    list of Diary
        In the order of the links.

    Raises
    ------
    RoadBlockedError
        If one of them does not come to the end.
    """
    raters = [
        SimulatedRater(
            link,
            opinion,
            key,
            language=LANGUAGES[number % len(LANGUAGES)],
            patience_s=patience_s,
            think_s=think_s,
            on_response=on_response,
        )
        for number, (link, opinion) in enumerate(zip(links, truth.opinions(len(links), seed), strict=True))
    ]

    async def together() -> list[Diary]:
        return await asyncio.gather(*(rater.rate() for rater in raters))

    with ThreadPoolExecutor(1) as own:  # a loop of its own, whatever runs in the caller's thread
        return own.submit(lambda: asyncio.run(together())).result()


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--links", required=True, type=click.File(), help="A text with the links: what rate serve printed."
)
@click.option(
    "--truth",
    "truth_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="JSON: quality, and what else evalkit.testing.opinions.Truth has.",
)
@click.option("--seed", default=0, show_default=True, help="Of who the raters are and of their noise.")
def main(run_folder: Path, links: TextIO, truth_file: Path, seed: int) -> None:
    """Rate the videos of RUN by programs, while evalkit rate serve --simulated shows them."""
    found = find_links(links.read())
    if not found:
        raise click.UsageError("--links: there is no link in it")
    diaries = rate_all(found, Truth.read(truth_file), OpenedKey(run_folder), seed=seed)
    n_answers = sum(len(diary.acknowledged) for diary in diaries)
    states = Counter(request.status for diary in diaries for request in diary.requests)
    click.echo(
        f"{count(len(diaries), 'simulated rater')} gave {count(n_answers, 'answer')}; HTTP: {dict(sorted(states.items()))}"
    )


if __name__ == "__main__":
    main()
