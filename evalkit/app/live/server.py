"""The application over a folder of runs: it reads them, and writes notes, tags and ratings.

Whoever holds the token sees everything in the folder and nothing outside it. Raters come by links of their own to `/rate/…`
and see their study alone.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote_from_bytes, urlencode, urlsplit

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from evalkit.app.guard import Guard, Problem, read_form
from evalkit.app.live import pages
from evalkit.app.live.catalogue import Catalogue, ListedRun, Listing
from evalkit.app.live.jobs import BAR, Digested, Page, Site, Wish
from evalkit.app.live.pages import Asked, Row
from evalkit.app.live.places import find_file, read_address
from evalkit.app.live.studies import Studies
from evalkit.app.live.work import Digests, Pages, Shelf
from evalkit.app.server import LOOPBACK
from evalkit.decisions import DEFAULT_POLICY
from evalkit.errors import EvalkitError, UsageError
from evalkit.formatting import label
from evalkit.runs.notes import add_note, remove_note, set_tags
from evalkit.views.run_digest import RunDigest
from evalkit.views.trend import TrendRun, trend_view
from evalkit.words.language import LANGUAGES, choose_language

_COOKIE_S = 30 * 24 * 3600
_WAIT_S = 0.25
"""For so long a reader waits for a page that is being drawn; then a page says that it is."""
_REFRESH_S = 1
_RUNNING_REFRESH_S = 5
_MOST_LISTS = 16 * 1024 * 1024
_LANGUAGE_COOKIE = "evalkit_language"
_OF_FILES = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src 'self'; frame-ancestors 'none'"
"""Content security policy of files of a run, of which some are pages or drawings: no script of theirs ever runs."""
_WORDS = {
    "wrong_host": ("host_title", "host"),
    "no_method": ("wrong_title", "method"),
    "not_asked": ("forbidden_title", "forbidden"),
    "too_large": ("wrong_title", "large"),
    "too_slow": ("wrong_title", "wrong"),
    "invalid": ("wrong_title", "wrong"),
    "no_page": ("gone_title", "gone"),
    "no_session": ("login_title", "login"),
}


@dataclass(frozen=True)
class Settings:
    """How a folder is served.

    Parameters
    ----------
    root : Path
        The folder.
    token : str
        Opens the pages; empty where none is asked for, which is for a server that this machine alone can reach.
    hosts : collection of str
        Names and addresses by which it may be asked for, without ports.
    url : str
        What links for raters begin with, without a slash at the end.
    policies : tuple of Path
        That may judge beside the bundled ones and those in the folder.
    """

    root: Path
    token: str
    hosts: Collection[str] = LOOPBACK
    url: str = "http://127.0.0.1:8765"
    policies: tuple[Path, ...] = ()


class LiveApp:
    """The application; an ASGI application that is to be closed.

    Parameters
    ----------
    settings : Settings
    clock : callable
        Gives seconds that only grow: a look at the folder holds for a while.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = _Server(settings, clock)
        handlers = {
            Problem: self._server.on_problem,
            HTTPException: self._server.on_http_exception,
            Exception: self._server.on_exception,
        }
        inner = Starlette(routes=self._server.routes(), exception_handlers=handlers)
        self._guarded: ASGIApp = Guard(_Door(inner, self._server), settings.hosts, self._server.explain)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._guarded(scope, receive, send)

    def warm(self) -> None:
        """Look at the folder and get ready to draw, so that the first reader does not wait for it."""
        self._server.warm()

    def close(self) -> None:
        """End the work beside, and give studies back."""
        self._server.close()


class _Door:
    """Lets raters to their study, and everybody else in by the token alone."""

    def __init__(self, inner: ASGIApp, server: _Server) -> None:
        self._inner = inner
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        if _is_for_raters(scope["path"]):
            study = await run_in_threadpool(self._server.study_at, scope)
            app = self._server.explain(Request(scope), Problem(404, "no_page")) if study is None else study[0]
            inside = scope if study is None else {**scope, **study[1]}
            await app(inside, receive, send)
            return
        app = self._server.admit(Request(scope)) or self._inner
        await app(scope, receive, send)


class _Server:
    """The endpoints; those that are no coroutines are called in threads."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        root = settings.root.resolve(strict=True)
        self._settings = settings
        self._catalogue = Catalogue(root, settings.policies, clock)
        site = Site(root, self._catalogue.policies)
        self._digests = Digests(site)
        self._pages = Pages(site)
        self._studies = Studies()
        self._lists: Shelf[bytes] = Shelf(_MOST_LISTS, len)
        self._drawing = threading.Lock()
        mark = hashlib.sha256(f"{root}{settings.url}".encode("utf-8", "surrogateescape")).hexdigest()[:8]
        self._cookie = f"evalkit_serve_{mark}"
        self._session = secrets.token_urlsafe(24)

    def routes(self) -> list[Route]:
        """Return where what is."""
        return [
            Route("/", self.root),
            Route("/favicon.ico", self.icon),
            Route("/runs/", self.runs),
            Route("/runs/{rest:path}", self.run_or_file),
            Route("/thumb/{rest:path}", self.thumbnail),
            Route("/signoff/{rest:path}", self.signoff),
            Route("/compare", self.compare),
            Route("/trend", self.trend),
            Route("/notes/{rest:path}", self.notes, methods=["GET"]),
            Route("/notes/{rest:path}", self.write, methods=["POST"]),
        ]

    def warm(self) -> None:
        self._list(LANGUAGES[0], Asked())
        self._pages.warm()

    def close(self) -> None:
        self._digests.close()
        self._pages.close()
        self._studies.close()

    # --- who it is

    def admit(self, request: Request) -> Response | None:
        """Return what stands in the way of a request that is no rater's; None where nothing does."""
        if request.method == "POST" and not _is_from_here(request):
            return self.explain(request, Problem(403, "not_asked"))
        token = self._settings.token
        if not token:
            return None
        given = request.query_params.get("token")
        if given is not None and request.method == "GET":
            if not secrets.compare_digest(given.encode(), token.encode()):
                return self.explain(request, Problem(401, "no_session"))
            rest = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
            response = RedirectResponse(_with_query(request.url.path, rest), 303)
            response.set_cookie(self._cookie, self._session, max_age=_COOKIE_S, httponly=True, samesite="lax")
            return response
        if secrets.compare_digest(request.cookies.get(self._cookie, "").encode(), self._session.encode()):
            return None
        return self.explain(request, Problem(401, "no_session"))

    def study_at(self, scope: Scope) -> tuple[ASGIApp, Mapping[str, str | bytes]] | None:
        """Return the raters' application that a request is for, and what of the request it is told otherwise."""
        name, _, _ = scope["path"].removeprefix("/rate/").partition("/")
        for run in self._catalogue.look().runs:
            if run.has_study and not run.problem and self._studies.name_of(run) == name:
                app = self._studies.app_of(run, hosts=self._settings.hosts)
                return (
                    None if app is None else (app, {"root_path": f"{scope.get('root_path', '')}/rate/{name}"})
                )
        return None

    # --- pages

    async def root(self, _request: Request) -> Response:
        """Lead to the list."""
        return RedirectResponse("/runs/", 303)

    async def icon(self, _request: Request) -> Response:
        """Answer browsers that ask for a picture of the site: there is none."""
        return Response(status_code=204)

    def runs(self, request: Request) -> Response:
        """Show the runs; the same list is drawn once for all readers."""
        names = Asked.__dataclass_fields__
        asked = Asked(**{name: request.query_params.get(name, "")[:200] for name in names})
        return self._html(request, self._list(self._language(request), asked).decode(), "runs")

    def _state_of(self, listing: Listing) -> str:
        """Return what changes with all that lists show; asked for before they are made, as digests come at any time."""
        return f"{listing.version} {self._digests.version}"

    def _list(self, language: str, asked: Asked) -> bytes:
        """Return the list without a bar: drawn once for all readers while nothing in it changes."""
        listing = self._catalogue.look()
        name, key = repr((language, asked)), self._state_of(listing)
        known = [(run, self._digests.get(run)) for run in listing.runs]
        if (body := self._lists.get(name, key)) is not None:
            return body
        with self._drawing:
            if (body := self._lists.get(name, key)) is not None:
                return body
            n_waiting = sum(found is None and not run.problem and not run.is_running for run, found in known)
            is_changing = bool(n_waiting) or any(run.is_running for run in listing.runs)
            text = pages.runs_page(
                language,
                BAR,
                self._rows(language, known),
                asked,
                problem=listing.problem,
                n_waiting=n_waiting,
                refresh_s=_RUNNING_REFRESH_S if is_changing else 0,
            )
            body = text.encode("utf-8", "backslashreplace")
            self._lists.put(name, key, body)
        return body

    def _rows(self, language: str, known: Iterable[tuple[ListedRun, Digested | None]]) -> list[Row]:
        say = pages.words_of(language)
        return [
            pages.make_row(
                say,
                run,
                None if found is None else found.digest,
                has_picture=bool(self._digests.thumbnail(run)),
            )
            for run, found in known
        ]

    def run_or_file(self, request: Request) -> Response:
        """Show a run, or send one of its files."""
        run, parts, is_folder = self._find(request, "/runs/")
        if parts:
            found = find_file(run.folder, parts, self._catalogue.root)
            if found is None or is_folder:
                raise Problem(404, "no_page")
            path, kind = found
            headers = {"content-security-policy": _OF_FILES, "cache-control": "private, no-cache"}
            return FileResponse(path, media_type=kind, headers=headers, content_disposition_type="inline")
        if not is_folder:
            return RedirectResponse(
                _with_query(f"/runs/{run.address}/", request.query_params.multi_items()), 303
            )
        wish = Wish("run", (run.folder,), self._language(request))
        return self._drawn(request, wish, "run", (run,), run)

    def thumbnail(self, request: Request) -> Response:
        """Send the picture of a run."""
        run, parts, _ = self._find(request, "/thumb/")
        picture = self._digests.thumbnail(run)
        if parts or not picture:
            raise Problem(404, "no_page")
        return Response(picture, media_type="image/jpeg", headers={"cache-control": "private, max-age=3600"})

    def signoff(self, request: Request) -> Response:
        """Show how a sign-off would come out; nothing is written to the ledger."""
        run, parts, is_folder = self._find(request, "/signoff/")
        if parts or not is_folder:
            raise Problem(404, "no_page")
        try:
            where = _read_pairs(request.query_params.getlist("where"))
        except UsageError as error:
            return self._tell(
                request, 422, "wrong_title", "wrong", detail=str(error), here="signoff", run=run
            )
        policy = request.query_params.get("policy", "")[:500]
        wish = Wish("signoff", (run.folder,), self._language(request), policy, where)
        say = pages.words_of(wish.language)
        shown, notes = [run], [say("signoff_note")]
        last = self._last_release(run)
        if last is not None:
            params = last[1].params or {}
            where_last = {name: str(value) for name, value in params.items()}
            wish = replace(wish, baseline=last[0].folder, baseline_where=where_last)
            shown.append(last[0])
            notes.append(say("signoff_baseline", name=last[0].name))
        return self._drawn(request, wish, "signoff", shown, run, notes=notes)

    def _last_release(self, run: ListedRun) -> tuple[ListedRun, RunDigest] | None:
        """Return the release before a run, as far as runs are worked out; None without any."""
        releases = [
            (found.digest.verdict.judged_at, one, found.digest)
            for one in self._catalogue.look().runs
            if one.address != run.address
            and not one.problem
            and one.created_at < run.created_at
            and (found := self._digests.get(one)) is not None
            and found.digest.is_release
            and found.digest.verdict is not None
        ]
        return max(releases, key=lambda found: found[0])[1:] if releases else None

    def compare(self, request: Request) -> Response:
        """Show two runs against each other, or let them be chosen."""
        query = request.query_params
        listing = self._catalogue.look()
        chosen = query.getlist("run")
        language = self._language(request)
        found = [run for address in chosen if (run := listing.find(address)) is not None]
        if len(found) == 2:
            older, newer = sorted(found, key=lambda run: run.created_at)
            pair = [("a", older.address), ("b", newer.address)]
            return RedirectResponse(_with_query("/compare", pair), 303)
        a, b = (listing.find(query.get(name, "")) for name in ("a", "b"))
        detail, split, where = "", None, {}
        try:
            split = _read_split(query.get("split", ""))
            where = _read_pairs(text for text in query.getlist("where") if text)
        except UsageError as error:
            detail = str(error)
        if detail or a is None or (split is None and (b is None or a == b)):
            given = {name: query.get(name, "") for name in ("a", "b", "split", "where")}
            is_wrong = bool(chosen) or any(given.values())
            given = given if is_wrong else self._pair_to_compare(listing.runs)
            text = pages.choose_page(language, BAR, listing.runs, given, wrong=is_wrong, detail=detail)
            return self._html(request, text, "compare", status=422 if is_wrong else 200)
        shown = (a,) if split is not None or b is None else (a, b)
        folders = tuple(run.folder for run in shown)
        wish = Wish("compare", folders, language, query.get("policy", "")[:500], where, split)
        return self._drawn(request, wish, "compare", shown)

    def _pair_to_compare(self, runs: Sequence[ListedRun]) -> dict[str, str]:
        """Return what is asked most often: the newest run against the last release, or else the run before it."""
        readable = [run for run in runs if not run.problem]
        others = readable[1:]
        known = [(run, self._digests.get(run)) for run in others]
        released = [run for run, found in known if found is not None and found.digest.is_release]
        pair = {"b": readable[:1], "a": (released or others)[:1]}
        return {name: run.address for name, found in pair.items() for run in found}

    def trend(self, request: Request) -> Response:
        """Show the course of each gate."""
        query, language = request.query_params, self._language(request)
        listing = self._catalogue.look()
        key = self._state_of(listing)
        known = [
            (run, self._digests.get(run)) for run in listing.runs if not run.problem and not run.is_running
        ]
        name = repr((language, "trend", sorted(query.multi_items())))
        body = self._lists.get(name, key)
        if body is None:
            with self._drawing:
                body = self._draw_trend(language, dict(query), known).encode("utf-8", "backslashreplace")
                self._lists.put(name, key, body)
        return self._html(request, body.decode(), "trend")

    def _draw_trend(
        self, language: str, asked: Mapping[str, str], known: Sequence[tuple[ListedRun, Digested | None]]
    ) -> str:
        say = pages.words_of(language)
        judged = [(run, found.digest) for run, found in known if found is not None and found.digest.gates]
        policies = dict.fromkeys(digest.policy for _, digest in judged)
        titles = {digest.policy: digest.policy_title for _, digest in judged}
        policy = asked.get("policy", "")
        if policy not in policies:
            policy = next(iter(policies), DEFAULT_POLICY)
        tag, generator = asked.get("tag", ""), asked.get("generator", "")
        of_policy = [(run, digest) for run, digest in judged if digest.policy == policy]
        fits = [
            (run, digest)
            for run, digest in of_policy
            if (not tag or tag in run.notes.tags) and (not generator or generator == run.generator)
        ]
        has_release = any(digest.is_release for _, digest in fits)
        runs_wanted = "all" if asked.get("runs") == "all" or not has_release else "releases"
        found = [
            (
                TrendRun(
                    address=run.address,
                    name=run.name,
                    at=digest.verdict.judged_at
                    if digest.is_release and digest.verdict is not None
                    else run.created_at,
                    generator=run.generator,
                    configuration=digest.configuration,
                    is_release=digest.is_release,
                ),
                digest,
            )
            for run, digest in fits
        ]
        tags = sorted({one for run, _ in of_policy for one in run.notes.tags})
        generators = sorted({run.generator for run, _ in of_policy if run.generator})
        options = [
            ("policy", say("trend_policy"), [(name, titles[name]) for name in policies], policy),
            (
                "runs",
                say("trend_runs"),
                [("releases", say("trend_releases")), ("all", say("trend_all"))],
                runs_wanted,
            ),
            ("tag", say("filter_tag"), [(one, one) for one in tags], tag),
            ("generator", say("filter_generator"), [(one, one) for one in generators], generator),
        ]
        return pages.trend_page(
            language,
            BAR,
            trend_view(found, releases_only=runs_wanted == "releases"),
            options,
            policy=titles.get(policy, policy),
            n_waiting=sum(one is None for _, one in known),
            has_no_release=not has_release,
            refresh_s=_RUNNING_REFRESH_S if any(one is None for _, one in known) else 0,
        )

    # --- notes

    def notes(self, request: Request) -> Response:
        """Show what is written on a run."""
        run, parts, is_folder = self._find(request, "/notes/")
        if parts or not is_folder:
            raise Problem(404, "no_page")
        return self._notes_page(request, run)

    def _notes_page(
        self, request: Request, run: ListedRun, links: list[tuple[str, str]] | None = None
    ) -> Response:
        rating = self._studies.results_of(run) if run.has_study else ""
        text = pages.notes_page(self._language(request), BAR, run, rating=rating, links=links or ())
        return self._html(request, text, "notes", run)

    async def write(self, request: Request) -> Response:
        """Write a note or tags, or invite raters."""
        form = await read_form(request, most_bytes=_MOST_NOTE_BYTES)
        return await run_in_threadpool(self._write, request, form)

    def _write(self, request: Request, form: Mapping[str, str]) -> Response:
        run, parts, _ = self._find(request, "/notes/")
        what = parts[0] if len(parts) == 1 else b""
        back = f"/notes/{run.address}/"
        try:
            if what == b"add":
                add_note(run.folder, form.get("text", ""), form.get("author", ""))
            elif what == b"tags":
                set_tags(run.folder, form.get("tags", "").replace("，", ",").split(","))
            elif what == b"remove":
                for note in run.notes.notes:
                    if pages.id_of(note) == form.get("note"):
                        remove_note(run.folder, note)
            elif what == b"invite" and run.has_study:
                wanted = form.get("n", "1")
                n = int(wanted) if wanted.isdecimal() and len(wanted) < 4 else 0
                links = self._studies.invite(run, n, self._settings.url)
                return self._notes_page(request, run, links)
            else:
                raise Problem(404, "no_page")
        except (EvalkitError, OSError) as error:
            return self._tell(
                request, 422, "wrong_title", "wrong", detail=_message(error, self._catalogue.root)
            )
        self._catalogue.look(anew=True)
        return RedirectResponse(back, 303)

    # --- problems

    def explain(self, request: Request, problem: Problem) -> Response:
        """Return the page that says what went wrong; it shows nothing of the folder."""
        title, text = _WORDS.get(problem.key, ("broken_title", "broken"))
        is_in = problem.key not in {"no_session", "wrong_host"} and not _is_for_raters(request.url.path)
        return self._tell(request, problem.status, title, text, is_in=is_in)

    async def on_problem(self, request: Request, problem: Exception) -> Response:
        """Say what went wrong."""
        if not isinstance(problem, Problem):
            raise problem
        return self.explain(request, problem)

    async def on_http_exception(self, request: Request, error: Exception) -> Response:
        """Say that there is no such page, or not in this way."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        return self.explain(
            request, Problem(status, {404: "no_page", 405: "no_method"}.get(status, "broken"))
        )

    async def on_exception(self, request: Request, _error: Exception) -> Response:
        """Say that something is broken here; the server's log says what."""
        return self.explain(request, Problem(500, "broken"))

    # --- parts

    def _find(self, request: Request, prefix: str) -> tuple[ListedRun, tuple[bytes, ...], bool]:
        """Return the run that an address names, what follows it, and whether it ends in a slash."""
        raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
        address = read_address(raw.partition(b"?")[0].removeprefix(prefix.encode()))
        if address is None or not address.parts:
            raise Problem(404, "no_page")
        for anew in (False, True):
            there = {run.address: run for run in self._catalogue.look(anew=anew).runs}
            for n in range(1, min(len(address.parts), 4) + 1):
                run = there.get("/".join(quote_from_bytes(part, safe="") for part in address.parts[:n]))
                now = None if run is None else self._catalogue.look_at(run)
                if now is not None and not now.is_outside:
                    return now, address.parts[n:], address.is_folder
        raise Problem(404, "no_page")

    def _drawn(
        self,
        request: Request,
        wish: Wish,
        here: str,
        shown: Sequence[ListedRun],
        run: ListedRun | None = None,
        *,
        notes: Sequence[str] = (),
    ) -> Response:
        """Return a page of the runs `shown` that is drawn beside the server, or say that it is being drawn."""
        say = pages.words_of(wish.language)
        page: Page | None = None
        if run is not None and run.problem:
            page = Page(problem=run.problem)
        else:
            page = self._pages.get(wish, " ".join(one.key for one in shown), _WAIT_S)
        if page is None:
            name = run.name if run is not None else say("compare_title")
            text = pages.message_page(
                wish.language, BAR, say("working_title"), say("working", name=name), refresh_s=_REFRESH_S
            )
            response = self._html(request, text, here, run, status=202)
            response.headers["retry-after"] = str(_REFRESH_S)
            return response
        if page.problem:
            is_gone = any(not folder.exists() for folder in wish.folders)
            if is_gone:
                self._catalogue.look(anew=True)
                raise Problem(404, "no_page")
            return self._tell(
                request, 422, "not_drawn_title", "not_drawn", detail=page.problem, here=here, run=run
            )
        if page.not_beside:
            notes = [*notes[:-1], say("signoff_no_baseline", name=shown[-1].name, why=page.not_beside)]
        return self._html(request, page.text, here, run, notes=notes)

    def _tell(
        self,
        request: Request,
        status: int,
        title: str,
        text: str,
        *,
        detail: str = "",
        here: str = "",
        run: ListedRun | None = None,
        is_in: bool = True,
    ) -> Response:
        language = self._language(request)
        say = pages.words_of(language)
        page = pages.message_page(
            language, BAR if is_in else "", say(title), say(text), detail=detail, has_way_back=is_in
        )
        return self._html(request, page, here, run, status=status)

    def _html(
        self,
        request: Request,
        text: str,
        here: str,
        run: ListedRun | None = None,
        *,
        status: int = 200,
        notes: Sequence[str] = (),
    ) -> Response:
        language = self._language(request)
        query = request.query_params.multi_items()
        address = _with_query(request.url.path, [])
        above = pages.bar(language, here, address, query, run=run, notes=notes)
        response = HTMLResponse(
            pages.with_bar(text, BAR, above).encode("utf-8", "backslashreplace"),
            status,
            headers={"content-security-policy": pages.content_security_policy(text)},
        )
        if request.query_params.get("language") in LANGUAGES:
            response.set_cookie(_LANGUAGE_COOKIE, language, max_age=_COOKIE_S, httponly=True, samesite="lax")
        return response

    def _language(self, request: Request) -> str:
        for wished in (request.query_params.get("language"), request.cookies.get(_LANGUAGE_COOKIE)):
            if wished in LANGUAGES:
                return str(wished)
        return choose_language(request.headers.get("accept-language", ""))


_MOST_NOTE_BYTES = 64 * 1024


def _is_for_raters(path: str) -> bool:
    return path.startswith("/rate/")


def _is_from_here(request: Request) -> bool:
    """Say whether a form came from these pages.

    Browsers that say from which site (``Sec-Fetch-Site``) are believed, and were judged by the guard: as pages here tell no
    referrer, their forms have the origin ``null``. Of older ones the origin has to be this very site.
    """
    if "sec-fetch-site" in request.headers:
        return True
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()


def _read_pairs(texts: Iterable[str]) -> dict[str, str]:
    """Read ``NAME=VALUE`` texts; raise UsageError for others, as what is left out would be other clips than were asked for."""
    found = {}
    for text in texts:
        name, _, value = (part.strip() for part in text[:500].partition("="))
        if not name or not value:
            raise UsageError(f"where={label(text[:500])} is not NAME=VALUE, as in size=384*256")
        found[name] = value
    return found


def _read_split(text: str) -> tuple[str, str, str] | None:
    """Read ``NAME=VALUE,VALUE``; None for nothing, and raise UsageError for anything else."""
    if not text.strip():
        return None
    name, _, rest = text[:500].partition("=")
    values = [value.strip() for value in rest.split(",")]
    if not name.strip() or len(values) != 2 or not all(values) or values[0] == values[1]:
        raise UsageError(
            f"split={label(text[:500])} is not NAME=VALUE,VALUE with two different values, as in sample_steps=2,4"
        )
    return name.strip(), values[0], values[1]


def _with_query(path: str, query: Collection[tuple[str, str]]) -> str:
    """Return an address of this site: two slashes at its begin would lead to another one."""
    here = f"/{path.lstrip('/')}"
    return f"{here}?{urlencode(list(query))}" if query else here


def _message(error: Exception, root: Path) -> str:
    said = str(error) if isinstance(error, EvalkitError) else str(getattr(error, "strerror", error))
    return said.replace(f"{root}{os.sep}", "")
