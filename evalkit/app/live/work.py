"""Work beside the server: what a page needs is worked out once for the same content, by processes that yield to readers."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import signal
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from evalkit.app.live import jobs
from evalkit.app.live.catalogue import ListedRun
from evalkit.app.live.jobs import Digested, Page, Site, Wish
from evalkit.tracks.cache import cache_folder, replace_file
from evalkit.views.run_digest import RunDigest

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_NICE = 10
_JOBS_A_PROCESS = 200
"""Then another takes its place, so that no memory is held for ever."""
_MOST_PAGE_BYTES = 128 * 1024 * 1024
_FOLDER = "serve"
_LOST = (
    "the process that worked it out was ended, perhaps for want of memory; it is tried again when the run changes, and "
    "when evalkit serve starts again"
)

Given = TypeVar("Given")


class Bench:
    """One process that does one thing after the other; it is started when first needed, and anew when it dies."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, work: Callable[..., Given], *given: object) -> Future[Given]:
        """Have something done; the future fails with BrokenProcessPool where the process dies."""
        with self._lock:
            if self._pool is None:
                self._pool = self._start()
            try:
                return self._pool.submit(work, *given)
            except BrokenProcessPool:
                self._pool = self._start()
                return self._pool.submit(work, *given)

    def close(self) -> None:
        """End the process; what waits is not done."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            1,
            get_context("spawn"),
            initializer=_begin,
            max_tasks_per_child=_JOBS_A_PROCESS,
        )


def _begin() -> None:
    """Yield to readers, leave Ctrl-C to the server, and end with it, whatever it dies of."""
    os.nice(_NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


class Shelf(Generic[Given]):
    """The latest results by name, each for one state of what it is of; those used longest ago go first.

    Parameters
    ----------
    most : int
        Sum of sizes.
    size_of : callable
    """

    def __init__(self, most: int, size_of: Callable[[Given], int]) -> None:
        self._most = most
        self._size_of = size_of
        self._held: OrderedDict[str, tuple[str, Given]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, name: str, key: str) -> Given | None:
        """Return what is held of a name in this state."""
        with self._lock:
            found = self._held.get(name)
            if found is None or found[0] != key:
                return None
            self._held.move_to_end(name)
            return found[1]

    def put(self, name: str, key: str, value: Given) -> None:
        """Hold something in place of an earlier state."""
        with self._lock:
            if (old := self._held.pop(name, None)) is not None:
                self._size -= self._size_of(old[1])
            self._held[name] = key, value
            self._size += self._size_of(value)
            while self._size > self._most and len(self._held) > 1:
                _, (_, gone) = self._held.popitem(last=False)
                self._size -= self._size_of(gone)


class Pages:
    """Pages of runs, drawn once for the same records.

    Parameters
    ----------
    site : Site
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._bench = Bench()
        self._shelf: Shelf[Page] = Shelf(_MOST_PAGE_BYTES, lambda page: len(page.text) + 200)
        self._lock = threading.Lock()
        self._under_way: dict[tuple[str, str], Future[Page]] = {}

    def get(self, wish: Wish, state: str, wait_s: float) -> Page | None:
        """Return a page; None where it is not ready after so long, and is being drawn.

        Parameters
        ----------
        wish : Wish
        state : str
            Changes with what is known of its runs beside their records: `ListedRun.key`.
        wait_s : float
            Seconds.
        """
        name, key = repr(wish), f"{jobs.key_of(wish)} {state}"
        if (page := self._shelf.get(name, key)) is not None:
            return page
        with self._lock:
            future = self._under_way.get((name, key))
            if future is None:
                future = self._bench.submit(jobs.draw, self._site, wish)
                self._under_way[name, key] = future
                future.add_done_callback(lambda done: self._take(name, key, done))
        with contextlib.suppress(TimeoutError):
            return _result_of(future, wait_s)
        return None

    def warm(self) -> None:
        """Start the process that draws."""
        self._bench.submit(jobs.warm)

    def close(self) -> None:
        """End the work."""
        self._bench.close()

    def _take(self, name: str, key: str, done: Future[Page]) -> None:
        if not done.cancelled():
            self._shelf.put(name, key, _result_of(done, 0.0))
        with self._lock:
            self._under_way.pop((name, key), None)


def _digest_of(done: Future[Digested]) -> Digested:
    try:
        return done.result(0.0)
    except BrokenProcessPool:
        return Digested(RunDigest(None, note=_LOST))
    except Exception as error:  # noqa: BLE001 - a fault of one run must not keep the others from being shown; it is told
        return Digested(RunDigest(None, note=f"{type(error).__name__}: {error}"))


def _result_of(future: Future[Page], wait_s: float) -> Page:
    try:
        return future.result(wait_s)
    except TimeoutError:
        raise
    except BrokenProcessPool:
        return Page(problem=_LOST)
    except Exception as error:  # noqa: BLE001 - a fault of one page must not end the server; it is shown
        return Page(problem=f"{type(error).__name__}: {error}")


@dataclass(frozen=True)
class _Known:
    """A digest and the state of the run that it is of."""

    key: str
    found: Digested


class Digests:
    """Digests of runs: held, kept in the user's cache, and worked out one after the other where they are not.

    Parameters
    ----------
    site : Site
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._bench = Bench()
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._known: dict[str, _Known] = {}
        self._waiting: dict[str, str] = {}
        self._counter = itertools.count(1)
        self.version = 0
        """Changes with each digest that comes."""

    def get(self, run: ListedRun) -> Digested | None:
        """Return the digest of a run as it is; None where it is being worked out, or the run is still being made.

        A run that grows is not judged: who looks at it again and again, and stops when it passes, judges too mildly.
        """
        if run.problem or run.is_running:
            return None
        known = self._known.get(run.address)
        if known is not None and known.key == run.key:
            return known.found
        if known is None and (stored := self._read(run)) is not None:
            return stored
        self._request(run)
        return None

    def thumbnail(self, run: ListedRun) -> bytes:
        """Return the latest picture of a run, also where it has changed since; empty without any."""
        known = self._known.get(run.address)
        return b"" if known is None else known.found.thumbnail

    @property
    def n_waiting(self) -> int:
        """How many are being worked out."""
        return len(self._waiting)

    def close(self) -> None:
        """End the work."""
        self._bench.close()

    def _read(self, run: ListedRun) -> Digested | None:
        """Take what is kept of a run; of two threads one reads, and the other finds what it read."""
        with self._reading:
            known = self._known.get(run.address)
            if known is None:
                stored = _read(self._path(run), run.key)
                if stored is None:
                    return None
                known = self._known[run.address] = _Known(run.key, stored)
        return known.found if known.key == run.key else None

    def _request(self, run: ListedRun) -> None:
        with self._lock:
            if run.address in self._waiting:
                return
            self._waiting[run.address] = run.key
            future = self._bench.submit(jobs.digest, self._site, run.folder)
        future.add_done_callback(lambda done: self._take(run, done))

    def _take(self, run: ListedRun, done: Future[Digested]) -> None:
        try:
            if not done.cancelled():
                found = _digest_of(done)
                self._known[run.address] = _Known(run.key, found)
                if done.exception() is None:
                    _store(self._path(run), run.key, found)
        finally:
            with self._lock:
                self._waiting.pop(run.address, None)
                self.version = next(self._counter)

    def _path(self, run: ListedRun) -> Path:
        name = hashlib.sha256(os.fsencode(run.folder.resolve())).hexdigest()[:32]
        return cache_folder() / _FOLDER / f"{name}.json"


@cache
def _adapter() -> TypeAdapter[_Known]:
    from pydantic import TypeAdapter

    return TypeAdapter(_Known)


def _read(path: Path, key: str) -> Digested | None:
    """Read what is kept of a run in this state; None where there is nothing, or nothing that can be read."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    try:
        known = _adapter().validate_json(content)
    except ValueError:
        return None
    return known.found if known.key == key else None


def _store(path: Path, key: str, found: Digested) -> None:
    """Keep a digest; where that cannot be, it is worked out again another time."""
    with contextlib.suppress(OSError):
        data = _adapter().dump_json(_Known(key, found))
        replace_file(path, lambda file: file.write(data))
