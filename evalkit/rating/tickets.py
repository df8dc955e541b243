"""Tickets: what a page that is answered elsewhere carries, so that its answers are known for those of a rater of this run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from evalkit.errors import UsageError
from pipeline.extras import how_to_install

if TYPE_CHECKING:
    import sqlite3

    from itsdangerous import URLSafeSerializer

_SALT = "evalkit answers 1"
_LONGEST = 1000
"""Letters; a ticket has some hundred."""


class Ticket(NamedTuple):
    """Whose answers they are."""

    study: int
    rater: str


def issue_ticket(db: sqlite3.Connection, study: int, rater: str) -> str:
    """Sign a ticket with the secret of a file of ratings; raise UsageError where what signs is not installed."""
    run, signer = _signer(db)
    return str(signer.dumps({"run": run, "study": study, "rater": rater}))


def read_ticket(db: sqlite3.Connection, text: str) -> Ticket:
    """Return what a ticket says, if it is signed with the secret of this file of ratings.

    Raises
    ------
    UsageError
        If it is of another run, was changed, or is none.
    """
    run, signer = _signer(db)
    if len(text) > _LONGEST:  # it is unpacked before its signature is looked at
        text = ""
    is_signed, said = signer.loads_unsafe(text)
    if not isinstance(said, dict):
        raise UsageError(
            "its ticket is none: the file was cut off or changed. Save the answers again from the page"
        )
    if said.get("run") != run:
        raise UsageError("it belongs to another run: its page was not made from this one")
    if not is_signed:
        raise UsageError("its ticket was changed after it had been signed: nothing of it can be believed")
    return Ticket(int(said["study"]), str(said["rater"]))


def _signer(db: sqlite3.Connection) -> tuple[str, URLSafeSerializer]:
    try:
        from itsdangerous import URLSafeSerializer
    except ModuleNotFoundError:
        raise UsageError(
            f"pages that are answered elsewhere need itsdangerous: {how_to_install('rate')}"
        ) from None
    row = db.execute("SELECT * FROM identity").fetchone()
    return row["run"], URLSafeSerializer(row["secret"], salt=_SALT)
