"""Tables as CSV: no cell is a formula, and every number stays one."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalkit.frames import csv_text

STARTS = ("=", "+", "-", "@", "\t", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@pytest.mark.parametrize("start", STARTS)
def test_text_that_a_spreadsheet_would_run_has_an_apostrophe_before_it(start: str) -> None:
    table = pd.DataFrame({f"{start}head": [f"{start}1+1|'calc'!A0", "plain", None], "n": [1.5, -2.0, np.nan]})
    assert cells(csv_text(table)) == [
        [f"'{start}head", "n"],
        [f"'{start}1+1|'calc'!A0", "1.5"],
        ["plain", "-2.0"],
        ["", ""],
    ]


def test_a_carriage_return_ends_no_row() -> None:
    table = pd.DataFrame({"clip": ["a\rb.mp4", "\r=1", "two\r\nlines"], "n": [1, 2, 3]})
    assert cells(csv_text(table))[1:] == [["a\\rb.mp4", "1"], ["\\r=1", "2"], ["two\nlines", "3"]]


def test_numbers_stay_numbers_also_as_text() -> None:
    table = pd.DataFrame({"value": [-1.5, 2e-9], "text": ["-5", "+1e3"], "whole": [-3, 4]})
    assert cells(csv_text(table))[1:] == [["-1.5", "-5", "-3"], ["2e-09", "+1e3", "4"]]
    read = pd.read_csv(io.StringIO(csv_text(table)))
    assert read["value"].tolist() == [-1.5, 2e-9]


@given(texts=st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_no_text_begins_as_a_formula_and_each_is_found_again(texts: list[str]) -> None:
    table = pd.DataFrame({"text": pd.Series(texts, dtype=object), "n": range(len(texts))})
    for text, (cell, _) in zip(texts, cells(csv_text(table))[1:], strict=True):
        written = text.replace("\r\n", "\n").replace("\r", "\\r")
        assert cell in {written, f"'{written}"}
        if cell.startswith(STARTS):
            float(cell)


def test_a_table_of_no_rows_and_columns_of_one_name_are_written() -> None:
    assert csv_text(pd.DataFrame({"a": []})) == "a\n"
    table = pd.DataFrame([["=1", "=2"]], columns=["x", "x"])
    assert cells(csv_text(table))[1] == ["'=1", "'=2"]
