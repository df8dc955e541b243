"""The application that raters' browsers talk to: from the link to thanks, and one page for whoever asked them.

Nothing that is sent tells a rater what is shown: clips go by codes that are drawn for each presentation and side, their
bytes come from blind copies, and no header names a file, its time or the program. The desk (`evalkit.rating.desk`) decides
everything about a study; here are addresses, cookies, pages and limits.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from evalkit.app import pages
from evalkit.app.asked import describe
from evalkit.app.clips import ClipResponse
from evalkit.app.guard import Allowance, Guard, Problem, read_form
from evalkit.app.results import opinions_page, results_page
from evalkit.rating.desk import (
    PREFERRED,
    Desk,
    NotStoredError,
    Outcome,
    Presentation,
    RaterState,
    RefusedError,
)
from evalkit.runs.ratings.records import RaterRecord, Role, StudyKind
from evalkit.words.language import LANGUAGES, Words, choose_language, read_words

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_COOKIE_S = 90 * 24 * 3600
_SCORE = re.compile("[1-5]")
_OF_REPORTS = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
"""Content security policy of a report, whose style is in it; it has no script."""
_OF_HTTP = {404: "no_page", 405: "no_method"}
_AGAIN = "again"
"""Marks an address that a page asked for as itself: a browser that came from another site sends its cookie only then."""


@dataclass(frozen=True)
class Event:
    """Something that whoever asked may want to hear of.

    Parameters
    ----------
    rater : str
    n_done, n_total : int
        Presentations of this rater.
    """

    rater: str
    n_done: int
    n_total: int


def create_app(
    run: Desk | Path,
    *,
    admin_token: str,
    hosts: Collection[str] = LOOPBACK,
    is_secure: bool = False,
    clock: Callable[[], float] = time.time,
    on_event: Callable[[Event], None] | None = None,
) -> ASGIApp:
    """Return the application of a run's studies.

    Parameters
    ----------
    run : Desk or Path
        What it asks, or the folder of a run that has a study.
    admin_token : str
        Opens the page of results.
    hosts : collection of str
        Names and addresses by which it may be asked for, without ports.
    is_secure : bool
        Whether browsers reach it by HTTPS alone; cookies then never travel otherwise.
    clock : callable
        Gives seconds: of limits, and of the desk where a folder is given.
    on_event : callable, optional
        Told when a rater begins and after each answer; called from threads.
    """
    desk = run if isinstance(run, Desk) else Desk.open(run, clock=clock)
    server = _Server(desk, admin_token, is_secure=is_secure, clock=clock, on_event=on_event)
    routes = [
        Route("/", server.root),
        Route("/r/{token}", server.open_link),
        Route("/rate", server.rate),
        Route("/start", server.start, methods=["POST"]),
        Route("/answer", server.answer, methods=["POST"]),
        Route("/clip/{code}", server.clip),
        Route("/a/{token}", server.open_admin),
        Route("/results", server.results),
        Route("/results/opinions", server.opinions),
        Route("/static/{name}", server.static),
    ]
    handlers = {
        Problem: server.on_problem,
        NotStoredError: server.on_not_stored,
        HTTPException: server.on_http_exception,
        Exception: server.on_exception,
    }
    return Guard(Starlette(routes=routes, exception_handlers=handlers), hosts, explain)


def explain(request: Request, problem: Problem) -> Response:
    """Return the page that says what went wrong, in the language that the browser asks for, or the rater chose."""
    say: Words = getattr(request.state, "say", None) or _accepted_words(request)
    is_from_elsewhere = request.headers.get("sec-fetch-site", "") not in {"same-origin", "none"}
    is_repeatable = request.method == "GET" and _AGAIN not in request.query_params
    again_at = (
        f"{request.url.path}?{_AGAIN}=1"
        if problem.key in {"no_session", "used"} and is_from_elsewhere and is_repeatable
        else ""
    )
    page = pages.message_page(
        say,
        say("problem_heading"),
        say(problem.key),
        base=_base(request),
        go_on=problem.go_on,
        again_at=again_at,
    )
    return HTMLResponse(page, problem.status)


class _Server:
    """The endpoints; those that are no coroutines are called in threads."""

    def __init__(
        self,
        desk: Desk,
        admin_token: str,
        *,
        is_secure: bool,
        clock: Callable[[], float],
        on_event: Callable[[Event], None] | None,
    ) -> None:
        self._desk = desk
        self._admin_token = admin_token
        self._admin_session = secrets.token_urlsafe(24)
        self._is_secure = is_secure
        self._drawing = threading.Lock()
        self._drawn: tuple[list[RaterRecord], str] | None = None
        self._studies: dict[int, pages.Asked] = {}
        self._on_event = on_event or (lambda _: None)
        self._sessions = Allowance(at_once=120, per_s=20, clock=clock)
        self._strangers = Allowance(at_once=600, per_s=20, clock=clock)
        mark = hashlib.sha256(admin_token.encode()).hexdigest()[:8]
        asked = [study.commitment for study in desk.studies() if not study.source]
        place = asked[0][:8] if asked else mark  # two runs may be served under one name
        self._rater_cookie = f"evalkit_rater_{place}"
        self._admin_cookie = f"evalkit_admin_{place}"

    # --- a rater's way

    async def root(self, request: Request) -> Response:
        """Lead to the present step."""
        return _see(request, "/rate")

    def open_link(self, request: Request) -> Response:
        """Let a rater in who has a link, once; a browser that is in already goes on."""
        self._admit_stranger(request)
        try:
            session = self._desk.redeem(request.path_params["token"])
        except RefusedError as error:
            if error.reason == "used" and self._state(request) is not None:
                return _see(request, "/rate")
            raise Problem(403 if error.reason == "used" else 404, error.reason) from None
        return self._with_cookie(request, _see(request, "/rate"), self._rater_cookie, session)

    def rate(self, request: Request) -> Response:
        """Show the present step: instruction, presentation or thanks."""
        state = self._visit(request)
        asked = self._asked(state)
        if not state.is_started:
            wished = request.query_params.get("language", "")
            say = read_words(wished, "rating") if wished in LANGUAGES else _accepted_words(request)
            return HTMLResponse(pages.start_page(say, asked, base=_base(request)))
        say = request.state.say
        shown = self._desk.current(state.id)
        if shown is None:
            return HTMLResponse(pages.thanks_page(say, base=_base(request)))
        return HTMLResponse(_item_page(say, asked, shown, _base(request)))

    async def start(self, request: Request) -> Response:
        """Begin, in a language."""
        form = await read_form(request)
        return await run_in_threadpool(self._start, request, form)

    def _start(self, request: Request, form: dict[str, str]) -> Response:
        state = self._visit(request)
        language = form.get("language", "")
        if language not in LANGUAGES:
            raise Problem(422, "invalid", go_on=True)
        if not state.is_started:
            self._desk.start(state.id, language)
            self._on_event(Event(state.id, 0, state.n_total))
        return _see(request, "/rate")

    async def answer(self, request: Request) -> Response:
        """Take an answer; it is stored when the browser is led on."""
        form = await read_form(request)
        return await run_in_threadpool(self._answer, request, form)

    def _answer(self, request: Request, form: dict[str, str]) -> Response:
        state = self._visit(request)
        nonce = form.pop("presentation", "")
        given = _read_answer(state, form)
        outcome = self._desk.answer(state.id, nonce, given)
        match outcome:
            case Outcome.INVALID:
                raise Problem(422, "invalid", go_on=True)
            case Outcome.TOO_EARLY:
                raise Problem(409, "too_early", go_on=True)
            case Outcome.OTHER_BEFORE:
                raise Problem(409, "other_before", go_on=True)
            case Outcome.UNKNOWN:
                raise Problem(409, "not_asked", go_on=True)
            case Outcome.STORED:
                self._on_event(Event(state.id, state.n_done + 1, state.n_total))
        return _see(request, "/rate")

    def clip(self, request: Request) -> Response:
        """Send a clip that the rater is shown now, or was."""
        state = self._visit(request)
        path = self._desk.clip_file(state.id, request.path_params["code"])
        if path is None or not path.is_file():
            raise Problem(404, "no_page")
        return ClipResponse(path, media_type="video/mp4")

    # --- for whoever asks

    def open_admin(self, request: Request) -> Response:
        """Let in who has the admin's link."""
        self._admit_stranger(request)
        if not secrets.compare_digest(request.path_params["token"].encode(), self._admin_token.encode()):
            raise Problem(404, "unknown")
        return self._with_cookie(request, _see(request, "/results"), self._admin_cookie, self._admin_session)

    def results(self, request: Request) -> Response:
        """Show how far the raters are."""
        self._admit_admin(request)
        return HTMLResponse(results_page(self._desk, base=_base(request)))

    def opinions(self, request: Request) -> Response:
        """Show what the raters said up to now; it is worked out once for the same answers."""
        self._admit_admin(request)
        raters = self._desk.raters()
        with self._drawing:
            if self._drawn is None or self._drawn[0] != raters:
                self._drawn = (raters, opinions_page(self._desk))
            page = self._drawn[1]
        return HTMLResponse(page, headers={"content-security-policy": _OF_REPORTS})

    # --- files, problems

    async def static(self, request: Request) -> Response:
        """Send the style sheet or the script."""
        found = pages.static_files().get(request.path_params["name"])
        if found is None:
            raise Problem(404, "no_page")
        content, kind = found
        headers = {"cache-control": "public, max-age=31536000, immutable", "content-type": kind}
        return Response(content, headers=headers)

    async def on_problem(self, request: Request, problem: Exception) -> Response:
        """Say what went wrong."""
        if not isinstance(problem, Problem):
            raise problem
        return explain(request, problem)

    async def on_not_stored(self, request: Request, _error: Exception) -> Response:
        """Say that the disk is full, or may not be written."""
        return explain(request, Problem(507, "not_stored", go_on=True))

    async def on_http_exception(self, request: Request, error: Exception) -> Response:
        """Say that there is no such page, or not in this way."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        return explain(request, Problem(status, _OF_HTTP.get(status, "broken")))

    async def on_exception(self, request: Request, _error: Exception) -> Response:
        """Say that something is broken here; the server's log says what."""
        return explain(request, Problem(500, "broken"))

    # --- who it is

    def _state(self, request: Request) -> RaterState | None:
        session = request.cookies.get(self._rater_cookie, "")
        return self._desk.rater(session) if session else None

    def _visit(self, request: Request) -> RaterState:
        """Return the rater whose browser this is; raise Problem for a stranger, or too many requests."""
        state = self._state(request)
        if state is None:
            self._admit_stranger(request)
            raise Problem(401, "no_session")
        request.state.say = read_words(state.language, "rating") if state.language in LANGUAGES else None
        if not self._sessions.take(state.id):
            raise Problem(429, "too_many")
        return state

    def _admit_stranger(self, request: Request) -> None:
        if not self._strangers.take(request.client.host if request.client else ""):
            raise Problem(429, "too_many")

    def _asked(self, state: RaterState) -> pages.Asked:
        """Return what the pages say of a rater's study; it never changes."""
        if state.study not in self._studies:
            self._studies[state.study] = describe(self._desk, state.study)
        return replace(self._studies[state.study], n_total=state.n_total)

    def _admit_admin(self, request: Request) -> None:
        self._admit_stranger(request)
        given = request.cookies.get(self._admin_cookie, "")
        if not secrets.compare_digest(given.encode(), self._admin_session.encode()):
            raise Problem(401, "no_session")

    def _with_cookie(self, request: Request, response: Response, name: str, value: str) -> Response:
        response.set_cookie(
            name,
            value,
            max_age=_COOKIE_S,
            path=_base(request) or "/",
            httponly=True,
            samesite="strict",
            secure=self._is_secure,
        )
        return response


def _base(request: Request) -> str:
    """Return what all addresses begin with, where this application is a part of another one."""
    return str(request.scope.get("root_path", ""))


def _see(request: Request, place: str) -> Response:
    return RedirectResponse(f"{_base(request)}{place}", 303)


def _accepted_words(request: Request) -> Words:
    return read_words(choose_language(request.headers.get("accept-language", "")), "rating")


def _item_page(say: Words, asked: pages.Asked, shown: Presentation, base: str) -> str:
    clips = [pages.ShownClip(f"{base}/clip/{clip.code}", clip.fps) for clip in shown.clips]
    return pages.item_page(
        say,
        asked,
        clips,
        base=base,
        nonce=shown.nonce,
        position=shown.position,
        is_training=shown.role is Role.TRAINING,
    )


def _read_answer(state: RaterState, form: dict[str, str]) -> dict[str, int] | str:
    """Return what a form says; raise Problem for anything but exactly what was asked."""
    if state.kind is StudyKind.PAIRS:
        if form.keys() == {"preferred"} and form["preferred"] in PREFERRED:
            return form["preferred"]
    elif form.keys() == set(state.questions) and all(map(_SCORE.fullmatch, form.values())):
        return {question: int(score) for question, score in form.items()}
    raise Problem(422, "invalid", go_on=True)
