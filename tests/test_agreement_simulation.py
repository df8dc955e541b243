"""The simulation behind docs/agreement.md: it runs, and its page has every table and case."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.agreement_simulation import main

PAGE = Path(__file__).parents[1] / "docs" / "agreement.md"


@pytest.mark.slow
def test_the_page_has_the_tables_of_the_simulation() -> None:
    found = CliRunner().invoke(main, ["--reps", "1"], catch_exceptions=False)
    assert found.exit_code == 0
    page = PAGE.read_text("utf-8")
    heads = [line for line in found.output.splitlines() if line.startswith("**")]
    assert len(heads) == 5
    for head in heads:
        assert head.split("**")[1] in page
    cases = [line.split("|")[1] for line in found.output.splitlines() if line.startswith("| ")]
    assert all(case in page for case in cases)
