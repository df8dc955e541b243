"""The raters' application of each run that asks people: under one roof, and with a door of its own."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Collection
from contextlib import ExitStack
from dataclasses import dataclass

from starlette.types import ASGIApp

from evalkit.app.live.catalogue import ListedRun
from evalkit.app.server import create_app
from evalkit.errors import EvalkitError, UsageError
from evalkit.rating.desk import Desk
from evalkit.runs.files import only_writer
from evalkit.runs.layout import RATINGS_FOLDER


@dataclass(frozen=True)
class _Open:
    """A study that is served here."""

    app: ASGIApp
    desk: Desk
    held: ExitStack


class Studies:
    """Opens what asks people when it is first needed, one process a study; from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, _Open] = {}
        self._admin_token = secrets.token_urlsafe(24)

    def name_of(self, run: ListedRun) -> str:
        """Return what a study is called in addresses: nothing that tells a rater what is shown."""
        return hashlib.sha256(b"study of " + os.fsencode(run.folder)).hexdigest()[:12]

    def base_of(self, run: ListedRun) -> str:
        """Return where a study is."""
        return f"/rate/{self.name_of(run)}"

    def results_of(self, run: ListedRun) -> str:
        """Return where whoever asks sees how far raters are."""
        return f"{self.base_of(run)}/a/{self._admin_token}"

    def app_of(self, run: ListedRun, *, hosts: Collection[str]) -> ASGIApp | None:
        """Return the raters' application of a run; None where it has no study, or another process serves it."""
        opened = self._find(run, hosts)
        return None if opened is None else opened.app

    def invite(self, run: ListedRun, n: int, url: str) -> list[tuple[str, str]]:
        """Invite raters to the latest study, and return each with a link.

        Raises
        ------
        UsageError
            If there is no study, or n is not from 1 to 50.
        """
        if not 1 <= n <= 50:
            raise UsageError("1 to 50 raters can be invited at once")
        with Desk.open(run.folder) as desk:
            invitations = desk.invite(desk.latest_study().number, n)
        return [(one.rater, f"{url}{self.base_of(run)}/r/{one.token}") for one in invitations]

    def close(self) -> None:
        """Give all studies back."""
        with self._lock:
            for opened in self._open.values():
                opened.held.close()
            self._open.clear()

    def _find(self, run: ListedRun, hosts: Collection[str]) -> _Open | None:
        name = self.name_of(run)
        with self._lock:
            if name not in self._open:
                held = ExitStack()
                try:
                    held.enter_context(only_writer(run.folder / RATINGS_FOLDER))
                    desk = held.enter_context(Desk.open(run.folder))
                    app = create_app(desk, admin_token=self._admin_token, hosts=hosts)
                except (EvalkitError, OSError):
                    held.close()
                    return None
                self._open[name] = _Open(app, desk, held)
            return self._open[name]
