"""Pandas, imported when it is first used: the import takes half a second, and `import evalkit` must not.

Modules whose methods return a ``pd.DataFrame`` take ``pd`` from here, so that the annotation resolves at run time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_STARTS_A_FORMULA = tuple("=+-@\t\n\uff1d\uff0b\uff0d\uff20")
"""What a spreadsheet takes for the begin of a formula, wide letters of East Asian ones included."""


class _Pandas:
    """Stands for the module: its attributes are those of pandas."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module("pandas"), name)


if TYPE_CHECKING:
    import pandas as pd
else:
    pd = _Pandas()


def csv_text(table: pd.DataFrame) -> str:
    """Write a table as CSV that a spreadsheet opens without running anything in it.

    Text that would be a formula gets an apostrophe before it, which spreadsheets take for "this is text"; numbers, also
    those that are text, stay as they are.
    """
    safe = table.rename(columns=_as_text)
    for name in range(safe.shape[1]):
        column = safe.iloc[:, name]
        if column.dtype.kind in "OU" or column.dtype == "string":
            safe.isetitem(name, column.map(_as_text, na_action="ignore").array)
    text: str = safe.to_csv(index=False)
    return text


def _as_text(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    value = value.replace("\r\n", "\n").replace(
        "\r", "\\r"
    )  # which is written without quotes, and ends a row
    if not value.startswith(_STARTS_A_FORMULA):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value
