"""Numbers as people read them."""

from __future__ import annotations

import pytest

from evalkit.formatting import count
from evalkit.visuals.numbers import bracket, percent, signed, unit_suffix


@pytest.mark.parametrize(
    ("value", "text"), [(0.0612, "+0.0612"), (-24.04, "-24"), (0.0, "0"), (1234.5, "+1234")]
)
def test_a_change_has_three_digits_and_its_sign(value: float, text: str) -> None:
    assert signed(value) == text


@pytest.mark.parametrize(
    ("share", "text"), [(-0.243, "-24 %"), (0.001, "0 %"), (-0.001, "0 %"), (1.27, "+127 %")]
)
def test_a_relative_change_is_in_whole_percent(share: float, text: str) -> None:
    assert percent(share) == text


def test_a_pure_number_has_no_unit_and_a_missing_interval_no_brackets() -> None:
    assert (unit_suffix("ms"), unit_suffix("1")) == (" ms", "")
    assert (bracket((0.0212, 0.1)), bracket(None)) == ("[0.0212, 0.1]", "")
    assert (count(1, "trial"), count(0, "trial")) == ("1 trial", "0 trials")
