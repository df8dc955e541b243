"""``evalkit ledger``: the verdicts ever given, and whether the record of them is whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evalkit.cli.outputs import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.table import Table

    from evalkit.decisions.anchor import Head
    from evalkit.decisions.ledger import Ledger

_NAMED = click.argument("named", metavar="LEDGER|RUN", type=click.Path(path_type=Path))
_ANCHOR = click.option(
    "--anchor",
    "anchors",
    multiple=True,
    metavar="HEAD|FILE",
    help="Head of the ledger that was kept elsewhere, or a file with it; may be given several times.",
)
_LONGEST = 200


@click.group()
def ledger() -> None:
    """Show the verdicts ever given, and say whether the record of them is whole."""


@ledger.command()
@_NAMED
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def show(named: Path, as_json: bool) -> None:
    """List the verdicts: when, what, by which policy.

    Also what was not met, and who waived it.

    Exit code: 0 when listed, also of a ledger that is broken, which is said; 2 for wrong use.
    """
    from evalkit.decisions.ledger import ProblemKind

    path = _place(named)
    found = _read(path, ())
    if ProblemKind.GONE in {problem.kind for problem in found.problems}:
        if named.is_dir():
            raise click.UsageError(
                f"{named} has no verdict on record: evalkit signoff {named} --policy NAME gives the first. If there was "
                f"one, its ledger {path} was taken away"
            )
        raise click.UsageError(f"{path}: {found.problems[0].text}")
    if as_json:
        click.echo(json.dumps(_as_plain(path, found), allow_nan=False))  # ASCII: nothing in it moves a cursor
        return
    for problem in found.problems:
        say(f"broken: {problem.text}", err=True)
    if found.lines:
        from rich.console import Console

        Console(highlight=False).print(_table_of(found))


@ledger.command()
@_NAMED
@_ANCHOR
@click.option(
    "--git-note", is_flag=True, help="Check against the git notes of the repository you stand in too."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of words.")
@click.pass_context
def verify(
    context: click.Context, named: Path, anchors: tuple[str, ...], git_note: bool, as_json: bool
) -> None:
    """Say whether no line was changed or taken out.

    The chain shows lines that were changed, moved or taken out. Its end taken off, or all of it written anew, shows only
    against a head that was kept elsewhere: in a file, a mail, a ticket, a git note. An older head proves the part up to it.

    Exit code: 0 intact, 1 broken or gone, 2 wrong use.
    """
    path = _place(named)
    found = _read(path, _read_anchors(path, anchors, git_note=git_note))
    if as_json:
        click.echo(json.dumps(_as_plain(path, found), allow_nan=False))
    else:
        _say(path, found)
    context.exit(1 if found.problems else 0)


@ledger.command()
@_NAMED
@click.option(
    "--to", "file", type=click.Path(path_type=Path, dir_okay=False), help="File to keep the head in."
)
@click.option("--git-note", is_flag=True, help="Add the head to the git note of the commit you stand on.")
@click.pass_context
def anchor(context: click.Context, named: Path, file: Path | None, git_note: bool) -> None:
    """Keep the head of an intact ledger elsewhere.

    In a file, or in a git note (refs/notes/evalkit-ledger, to be pushed). What the file held before must hold still.

    Exit code: 0 written, 1 the ledger is broken, 2 wrong use.
    """
    from evalkit.decisions.anchor import NOTES_REF, read_anchor_file, write_anchor_file, write_note
    from evalkit.errors import UsageError

    if file is None and not git_note:
        raise click.UsageError("say where to keep the head: --to FILE, --git-note or both")
    path = _place(named)
    if file is not None and file.resolve() == path.resolve():
        raise click.UsageError(f"{file} is the ledger itself; keep its anchor elsewhere")
    try:
        held = read_anchor_file(file) if file is not None and file.exists() else ()
        found = _read(path, held)
        if found.problems or found.head is None:
            _say(path, found)
            context.exit(1)
        if file is not None:
            write_anchor_file(file, found.head)
            say(f"wrote {found.head} to {file}")
        if git_note:
            commit = write_note(path, Path.cwd(), found.head)
            say(f"wrote {found.head} to the note of commit {commit[:12]} in {NOTES_REF}")
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        raise click.UsageError(f"the anchor {file} cannot be written: {error.strerror}") from None


@ledger.command()
@_NAMED
@_ANCHOR
def mend(named: Path, anchors: tuple[str, ...]) -> None:
    """Make whole a last line that a writer left half.

    Nothing else is ever mended. A line that lacks only its end gets it. Any other becomes a line that keeps what was written and says so.

    Exit code: 0 mended or nothing to mend, 2 where anything else is wrong.
    """
    from evalkit.decisions.ledger import mend_ledger
    from evalkit.errors import UsageError

    path = _place(named)
    try:
        head = mend_ledger(path, _read_anchors(path, anchors))
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    say(
        f"nothing to mend in {path}" if head is None else f"mended line {head.n_lines} of {path}\nhead {head}"
    )


def _place(named: Path) -> Path:
    from evalkit.api import verdicts as api
    from evalkit.decisions.ledger import ledger_of_run, note_on_place

    if not named.is_dir():
        return named
    if not api.is_run_folder(named):
        raise click.UsageError(f"{named} is a folder, but not of a run: name a ledger or the folder of a run")
    if (note := note_on_place(named)) is not None:
        say(f"note: {note}", err=True)
    return ledger_of_run(named)


def _read(path: Path, anchors: tuple[Head, ...]) -> Ledger:
    from evalkit.decisions.ledger import read_ledger
    from evalkit.errors import UsageError

    try:
        return read_ledger(path, anchors)
    except UsageError as error:
        raise click.UsageError(str(error)) from None


def _read_anchors(path: Path, given: tuple[str, ...], *, git_note: bool = False) -> tuple[Head, ...]:
    from evalkit.decisions.anchor import read_anchor, read_notes
    from evalkit.errors import UsageError

    try:
        heads = [head for one in given for head in read_anchor(one)]
        if git_note:
            heads += read_notes(path, Path.cwd())
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    return tuple(heads)


def _say(path: Path, found: Ledger) -> None:
    from evalkit.formatting import count, printable

    if found.problems:
        say(f"✗ broken: {printable(str(path))}")
        for problem in found.problems:
            say(f"  {problem.text}")
        return
    n = len(found.lines)
    say(f"✓ intact: {printable(str(path))}, {count(n, 'line')}, each continues the one before")
    if not found.anchors:
        say(
            "  Without an anchor nobody can see whether the last lines were changed or\n"
            "  taken off, or all was written anew. Keep the head elsewhere, and give it as\n"
            "  --anchor next time."
        )
    elif found.n_proven == n:
        say("  The anchor proves every line.")
    else:
        say(
            f"  The anchor proves lines 1 to {found.n_proven}. For those after it only the chain speaks:\n"
            f"  whether the last were changed or taken off cannot be seen."
        )
    say(f"head {found.head}")


def _as_plain(path: Path, found: Ledger) -> dict[str, Any]:
    return {
        "ledger": str(path),
        "intact": not found.problems,
        "head": None if found.head is None else str(found.head),
        "anchors": [str(anchor) for anchor in found.anchors],
        "n_proven": 0 if found.problems else found.n_proven,
        "problems": [
            {"kind": problem.kind.value, "line": problem.line, "text": problem.text}
            for problem in found.problems
        ],
        "lines": [{"line": line.number, "sha256": line.sha256, "entry": line.entry} for line in found.lines],
    }


def _table_of(found: Ledger) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for line in found.lines:
        table.add_row(str(line.number), Text("\n".join(_describe(line.entry))))
    return table


def _describe(entry: Mapping[str, Any] | None) -> list[str]:
    """Write an entry, whose content nobody vouches for: every type is looked at, and nothing in it is obeyed."""
    if entry is None:
        return ["no entry"]
    if "half_line" in entry:
        return [f"mended  {_when(entry.get('mended_at'))}", f"kept: {_words(entry['half_line'])}"]
    policy = entry.get("policy")
    texts = [
        f"{_words(entry.get('decision'))}  {_when(entry.get('judged_at'))}",
        f"{_words(entry.get('judged'))}, by the policy {_words(_part(policy, 'name'))}",
    ]
    if names := _listed(entry, "not_met"):
        texts.append(f"not met: {_words(', '.join(map(_words, names)))}")
    texts += [
        f"waived by {_words(_part(waiver, 'name'))} until {_words(_part(waiver, 'expires'))}: "
        f"{_words(_part(waiver, 'metric'))}, {_words(_part(waiver, 'reason'))}"
        for waiver in _listed(entry, "waivers")
    ]
    return texts


def _part(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else value


def _listed(entry: Mapping[str, Any], name: str) -> list[Any]:
    found = entry.get(name)
    return found if isinstance(found, list) else []


def _when(moment: Any) -> str:
    return _words(moment).replace("T", " ").replace("+00:00", " UTC")


def _words(value: Any) -> str:
    """Write any value of JSON on one line, and not more of it than a table can take."""
    from evalkit.formatting import printable

    text = printable("" if value is None else value if isinstance(value, str) else json.dumps(value))
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
