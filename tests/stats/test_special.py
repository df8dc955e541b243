"""Special functions against scipy.special's public ones, to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from evalkit.stats import special

P = np.linspace(0.001, 0.999, 101)
CASES = {
    "bdtr": (np.arange(101) % 20, 20, P),
    "betaincinv": (3.0, 1.0 + 10 * P, P),
    "chdtri": (7.0, P),
    "expit": (40 * P - 20,),
    "gammaincinv": (0.5 + 10 * P, P),
    "log_expit": (40 * P - 20,),
    "logit": (P,),
    "nctdtr": (9.0, 4 * P, 6 * P),
    "ndtr": (8 * P - 4,),
    "ndtri": (P,),
    "stdtr": (5.5, 8 * P - 4),
    "stdtrit": (5.5, P),
}


def test_every_function_has_a_case() -> None:
    assert {name for name in vars(special) if isinstance(vars(special)[name], np.ufunc)} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_values_are_scipy_own(name: str) -> None:
    ours, theirs = getattr(special, name), getattr(scipy.special, name)
    assert np.array_equal(ours(*CASES[name]), theirs(*CASES[name]))


def test_single_precision_stays() -> None:
    values = np.linspace(-20, 20, 1001, dtype=np.float32)
    assert special.expit(values).dtype == np.float32
    assert np.array_equal(special.expit(values), scipy.special.expit(values))
