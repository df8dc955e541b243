"""``evalkit init``: files to start from, and the schemas by which editors complete and check them."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evalkit.cli.outputs import say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from evalkit.samples import Kind

_ENDINGS = {".yaml", ".yml"}
_NAMES = ("sweep", "policy", "brand", "conversation")
"""Held to `evalkit.samples.KINDS` by a test: help imports nothing."""


@click.command()
@click.argument("what", metavar=f"[{'|'.join(_NAMES)}|FOLDER]", default=".")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option(
    "--schema",
    "as_schema",
    is_flag=True,
    help="Print the JSON schema of such a file instead; of a sweep unless another is named.",
)
def init(what: str, file: Path | None, as_schema: bool) -> None:
    """Write files to start from, each option with its meaning beside it.

    Without arguments all of them, into the current folder or FOLDER: sweep.yaml, policy.yaml, brand.yaml with a drawing and
    conversation.yaml with a document. With a name, one of them, to FILE where it is given. `evalkit init FILE.yaml` writes a sweep.

    Beside them stands a folder with schemas: editors with a YAML language server complete and check by it.
    Nothing of yours is overwritten.

    Exit code: 0 when written, 2 where a file is there already or cannot be written.
    """
    from evalkit.samples import KINDS

    if what not in KINDS and file is None and Path(what).suffix.lower() in _ENDINGS:
        what, file = "sweep", Path(what)
    if what not in KINDS and file is not None:
        raise click.UsageError(f"{what} is no kind of file (there are: {', '.join(KINDS)})")
    if as_schema:
        if what not in KINDS and what != ".":
            raise click.UsageError(f"{what} has no schema (there are schemas of: {', '.join(KINDS)})")
        click.echo(json.dumps(KINDS.get(what, KINDS["sweep"]).schema(), indent=2))
        return
    if what in KINDS:
        path = file or Path(KINDS[what].file)
        _write(path.parent, {KINDS[what]: path.name})
    else:
        _refuse_misspelt(what, KINDS)
        _write(Path(what), {kind: kind.file for kind in KINDS.values()})


def _refuse_misspelt(what: str, kinds: Iterable[str]) -> None:
    """Make no folder of what reads like the name of a kind."""
    near = get_close_matches(what, kinds, n=1)
    if near and Path(what).name == what and not Path(what).is_dir():
        raise click.UsageError(
            f"{what} is no kind of file; did you mean {near[0]}? For a new folder of that name: evalkit init ./{what}"
        )


def _write(folder: Path, wanted: dict[Kind, str]) -> None:
    """Write samples, by the names of their files, with what they need: all or none."""
    texts = {folder / name: kind.text(Path(name).stem) for kind, name in wanted.items()}
    texts |= {folder / path: text for kind in wanted for path, text in kind.files_beside().items()}
    made = {
        folder / kind.schema_file: json.dumps(kind.schema(), indent=1, ensure_ascii=False) + "\n"
        for kind in wanted
    }
    _refuse_existing([*texts, *(path for path in made if not _is_ours(path))], alone=len(wanted) == 1)
    for path, text in {**texts, **made}.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w" if path in made else "x", encoding="utf-8") as stream:
                stream.write(text)
        except OSError as error:
            raise click.UsageError(f"{path} cannot be written: {error.strerror}") from None
    width = max(len(str(folder / name)) for name in wanted.values())
    for kind, name in wanted.items():
        say(f"wrote {folder / name!s:{width}}  {kind.purpose}")
        say(f"      next: {kind.next_step.format(file=folder / name)}")
    beside = [
        str(path) for path in [*texts, *made] if path not in {folder / name for name in wanted.values()}
    ]
    say(f"and beside {'it' if len(wanted) == 1 else 'them'}: {', '.join(beside)}")


def _refuse_existing(paths: Iterable[Path], *, alone: bool) -> None:
    there = [str(path) for path in paths if path.exists()]
    if not there:
        return
    one = len(there) == 1
    cure = "name another file" if alone else "name another folder, or one kind: evalkit init sweep FILE"
    raise click.UsageError(
        f"{', '.join(there)} {'is' if one else 'are'} there already; nothing was written: {cure}"
    )


def _is_ours(schema: Path) -> bool:
    """Whether a schema is missing or was written by this command, which may write it again."""
    from evalkit.samples.schemas import MADE_BY

    try:
        found = json.loads(schema.read_text("utf-8"))
    except FileNotFoundError:
        return True
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("$comment") == MADE_BY
