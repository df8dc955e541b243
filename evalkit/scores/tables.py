"""Scores in a table: a line a video with a column a metric, a line a score, or a line a session of a live trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from evalkit.errors import UsageError
from evalkit.formatting import label
from evalkit.scores.given import Given, to_number
from pipeline.options import hint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalkit.delimited import Table
    from evalkit.runs.clip_names import ClipName
    from evalkit.scores.definitions import Definitions

_CLIPS = ("clip", "trial", "trial_id", "video", "video_path", "path", "file", "filename", "name", "stimulus")
_SESSIONS = ("session", "session_id")
_METRIC, _VALUE, _N, _VERSION = "metric", "value", "n", "version"


def read_scores(table: Table, said: Definitions, params: Sequence[str], parts: Sequence[str]) -> Given:
    """Read the scores of a table.

    Parameters
    ----------
    table : Table
    said : Definitions
        What the metrics mean, and which columns name what.
    params : sequence of str
        Parameters of the run: columns of these names say which configuration a line is of.
    parts : sequence of str
        What else tells videos apart: ``portrait``, ``speech``, ``seed``.

    Raises
    ------
    UsageError
        If no column says which video a line is about, or none of the metrics has a column.
    """
    given = Given(problems=list(table.problems))
    session = _find(table, said.session, _SESSIONS)
    columns = _columns_of_clip(table, said, session, params, parts)
    metrics = _columns_of_metrics(table, said)
    for line, cells in table.rows:
        place = f"line {line}"
        clip: ClipName = (
            cells[columns]
            if isinstance(columns, str)
            else {name: cells[column] for name, column in columns.items()}
        )
        if cells.get(_VERSION, "").strip():
            given.versions.add(cells[_VERSION].strip())
        who = None if session is None else cells[session].strip()
        if who == "":
            given.problems.append(f"{place}: no session is named; each needs a name of its own")
            continue
        if metrics is None:
            _read_one(given, place, clip, cells, said=said, session=who)
            continue
        for name, column in metrics.items():
            given.add(
                place,
                clip,
                said.metrics[name].metric(name),
                cells[column],
                n=cells.get(_N, 1) or 1,
                session=who,
            )
    _note_unread(given, table, session, columns, metrics)
    return given


def _read_one(
    given: Given,
    place: str,
    clip: ClipName,
    cells: Mapping[str, str],
    *,
    said: Definitions,
    session: str | None,
) -> None:
    """Read a line that names its metric."""
    key = cells[_METRIC].strip()
    for name, definition in said.metrics.items():
        if key in {name, definition.column}:
            given.add(
                place, clip, definition.metric(name), cells[_VALUE], n=cells.get(_N, 1) or 1, session=session
            )
            return
    given.problems.append(f"{place}: nothing says what {label(key)} is{hint(key, list(said.metrics))}")


def _find(table: Table, named: str | None, usual: Sequence[str]) -> str | None:
    """Return the column that is named, or else the first usual one; raise where the named one is not there."""
    if named is not None and named not in table.header:
        raise UsageError(f"there is no column {named!r}{hint(named, list(table.header))}")
    return named or next((name for name in usual if name in table.header), None)


def _columns_of_clip(
    table: Table, said: Definitions, session: str | None, params: Sequence[str], parts: Sequence[str]
) -> str | dict[str, str]:
    """Return the column that names a video, or those that describe it, or a configuration."""
    if session is None and (found := _find(table, said.clip, _CLIPS)) is not None:
        return found
    known = [*params, *(parts if session is None else ())]
    described = {
        name: column
        for name in known
        for column in (name, f"params.{name}", f"param.{name}")
        if column in table.header
    }
    if described or session is not None:
        return described
    raise UsageError(
        f"no column says which video a line is about; one of {', '.join(_CLIPS)} would, or parameters of the run "
        f"({', '.join(known) or 'it has none'}), or --clip COLUMN (there are: {', '.join(map(label, table.header))})"
    )


def _columns_of_metrics(table: Table, said: Definitions) -> dict[str, str] | None:
    """Return the column of each metric that has one; None where a line names its metric."""
    if {_METRIC, _VALUE} <= set(table.header):
        return None
    found = {}
    for name, definition in said.metrics.items():
        wanted = (definition.column,) if definition.column is not None else (name, name.partition(".")[2])
        column = next((one for one in wanted if one in table.header), None)
        if column is None and definition.column is not None:
            raise UsageError(
                f"there is no column {definition.column!r} for {name}{hint(definition.column, list(table.header))}"
            )
        if column is not None:
            found[name] = column
    if not found and len(said.metrics) == 1 and _VALUE in table.header:
        found = {next(iter(said.metrics)): _VALUE}
    if not found and said.metrics:
        raise UsageError(
            f"no column has the scores of {', '.join(said.metrics)}: --column, or column: in the file of definitions, names "
            f"it (there are the columns {', '.join(map(label, table.header))})"
        )
    if not found:
        raise UsageError(
            f"nothing says what its numbers mean: name a metric with --metric, --better and --meaning, or several in a file "
            f"with --metrics (there are the columns {', '.join(map(label, table.header))})"
        )
    return found


def _note_unread(
    given: Given,
    table: Table,
    session: str | None,
    clip: str | Mapping[str, str],
    metrics: Mapping[str, str] | None,
) -> None:
    """Say which columns of numbers nobody asked for."""
    if metrics is None:
        return
    used = {session, _N, _VERSION, *metrics.values(), *((clip,) if isinstance(clip, str) else clip.values())}
    for column in table.header:
        if column in used or not table.rows:
            continue
        try:
            is_number = all(to_number(cells[column]) is not None for _, cells in table.rows)
        except ValueError:
            continue
        if is_number:
            given.notes.append(f"the column {label(column)} is not read: nothing says what it is")
