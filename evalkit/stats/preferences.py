"""What choices between two clips are worth: Bradley-Terry strengths, and the share of pairs an option is expected to win.

One row is one answer: who (a code from 0), which options were first and second (codes from 0), and the outcome: 1 where
the first was preferred, 0 where the second was, 0.5 for no difference.

- `fit_preferences(firsts, seconds, outcomes, factors, n_options=…)`: every option's strength and share, as `Preferences`

No difference counts as half a win for each. The model then says which share of a pair each option gets, a tie being
shared, and that is what it is asked for: its equations hold for any outcome between 0 and 1 (Papke and Wooldridge,
1996), and its errors are read from the answers themselves, not from a law of ties. Davidson's model (1970) would add an
unknown, how often people see no difference, and give the same shares.

Answers of one rater resemble each other, as do answers about one portrait. An answer's part in an estimate is its
pseudo-value (estimate + n × influence), whose mean is the estimate; intervals are those of means of values that share
raters, portraits and speech (`evalkit.stats.means.estimate_mean`).

References
----------
- R. A. Bradley, M. E. Terry, "Rank analysis of incomplete block designs", Biometrika 39, 1952.
- L. R. Ford, "Solution of a ranking problem from binary comparisons", American Mathematical Monthly 64, 1957.
- R. R. Davidson, Journal of the American Statistical Association 65, 1970 (ties); L. E. Papke, J. M. Wooldridge,
  Journal of Applied Econometrics 11, 1996 (outcomes between 0 and 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from evalkit.stats.means import Estimate, estimate_mean, finite
from evalkit.stats.opinions import Codes
from evalkit.types import BoolArray, FloatArray

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    Factors = Mapping[str, Sequence[Hashable]]

_SHARE = (0.0, 1.0)
_MAX_STEPS = 200


@dataclass(frozen=True, slots=True)
class Preferences:
    """How options fare against each other.

    Parameters
    ----------
    shares : tuple of Estimate, one an option
        Share of pairs that the option is expected to win against the others, each of them met equally often; 0 to 1, 0.5 is
        average, and two options add up to 1. `n` counts the answers about the option. With the reason where it is missing.
    strengths : tuple of Estimate, one an option
        Natural logarithm of the Bradley-Terry strength; their mean is 0. The difference of two is the log odds of a pair.
        Missing, with the reason, where an option or a group of options never lost or never won.
    wins : FloatArray, shape (n_options, n_options)
        How often the one (row) won against the other (column); no difference counts half for both.
    note : str or None
        What to know of the shares, in words: that they were counted without the model.
    """

    shares: tuple[Estimate, ...]
    strengths: tuple[Estimate, ...]
    wins: FloatArray
    note: str | None = None


def fit_preferences(
    firsts: Codes,
    seconds: Codes,
    outcomes: FloatArray,
    factors: Factors | None = None,
    *,
    n_options: int | None = None,
) -> Preferences:
    """Estimate strengths and shares of options from choices, with 95 % intervals.

    Parameters
    ----------
    firsts, seconds : Codes, shape (n,)
        Options of each pair.
    outcomes : FloatArray, shape (n,)
        1 where the first was preferred, 0 where the second was, 0.5 for no difference.
    factors : mapping of str to sequence of length n, optional
        What answers share: the rater, and the pair's portrait, speech and seed, as in
        `evalkit.stats.means.fit_mean`. Without any the answers are independent.
    n_options : int, optional
        Where some were never asked about.

    Raises
    ------
    ValueError
        For an outcome outside of 0 to 1, or an option that stands against itself.

    Notes
    -----
    Every share can be known where wins lead from each option to each other (Ford, 1957). Where they do not, the strengths
    have no end; shares are then counted, provided that every two options met: the mean over the others of the share of
    pairs won. In a design where all meet equally often the model gives the same.

    Examples
    --------
    >>> first, second = np.zeros(10, dtype=np.intp), np.ones(10, dtype=np.intp)
    >>> found = fit_preferences(first, second, np.array([1.0] * 6 + [0.5] * 2 + [0.0] * 2))
    >>> [round(share.value, 3) for share in found.shares]
    [0.7, 0.3]
    """
    firsts, seconds, outcomes = checked_choices(firsts, seconds, outcomes)
    most = int(max(firsts.max(initial=-1), seconds.max(initial=-1))) + 1
    n_options = most if n_options is None else n_options
    wins = count_wins(firsts, seconds, outcomes, n_options)
    met = wins + wins.T
    asked = met.sum(axis=1)
    if not outcomes.size or not leads_everywhere(met > 0):
        reason = "the pairs fall into groups that never met: nothing compares them"
        missing = tuple(
            Estimate(None, None, int(n), reason if n else "no pair with it was rated") for n in asked
        )
        return Preferences(missing, missing, wins)
    if not leads_everywhere(wins > 0):
        return _counted(firsts, seconds, outcomes, factors, wins)
    return _modelled(firsts, seconds, outcomes, factors, wins)


def count_wins(firsts: Codes, seconds: Codes, outcomes: FloatArray, n_options: int) -> FloatArray:
    """Return how often one option (row) won against another (column), a tie being half a win for both."""
    wins = np.zeros((n_options, n_options))
    np.add.at(wins, (firsts, seconds), outcomes)
    np.add.at(wins, (seconds, firsts), 1.0 - outcomes)
    return wins


def checked_choices(firsts: Codes, seconds: Codes, outcomes: FloatArray) -> tuple[Codes, Codes, FloatArray]:
    """Return choices as arrays of one length; raise ValueError for what is none."""
    firsts, seconds = np.asarray(firsts, dtype=np.intp), np.asarray(seconds, dtype=np.intp)
    outcomes = finite(outcomes)
    if not firsts.shape == seconds.shape == outcomes.shape:
        raise ValueError(
            f"two options belong to each outcome, but there are {firsts.size}, {seconds.size}, {outcomes.size}"
        )
    if (firsts == seconds).any():
        raise ValueError("an option stands against itself")
    if ((outcomes < 0.0) | (outcomes > 1.0)).any():
        raise ValueError("an outcome is 1 (the first), 0 (the second) or 0.5 (no difference)")
    return firsts, seconds, outcomes


def _of_rows(factors: Factors | None, rows: Codes) -> Factors | None:
    return factors and {name: [levels[row] for row in rows.tolist()] for name, levels in factors.items()}


def leads_everywhere(steps: BoolArray) -> bool:
    """Say whether every option can be reached from every other; True for none."""
    reached = steps | np.eye(steps.shape[0], dtype=bool)
    for _ in range(steps.shape[0].bit_length()):
        reached |= (reached.astype(np.float64) @ reached) > 0
    return bool(reached.all())


def strengths_of(wins: FloatArray) -> FloatArray:
    """Return the strengths of greatest likelihood, of mean 0; where wins lead everywhere a solution exists and is unique.

    Newton's steps, none longer than 1 in any strength: the likelihood is concave. (The library choix gives the same, at the
    price of a second of imports and of an extra wherever a run with choices is read; the tests compare.)
    """
    strengths: FloatArray = np.zeros(wins.shape[0])
    for _ in range(_MAX_STEPS):
        chances, _, information = _model(strengths, wins)
        missing = (wins - (wins + wins.T) * chances).sum(axis=1)
        step = np.linalg.pinv(information, hermitian=True) @ missing
        strengths += step / max(1.0, np.abs(step).max())
        if np.abs(step).max() < 1e-10:
            break
    strengths -= strengths.mean()
    return strengths


def _model(strengths: FloatArray, wins: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return each pair's chance, how it rises with the strength, and the information on the strengths; shape (n_options, n_options)."""
    from evalkit.stats.special import expit

    chances: FloatArray = expit(strengths[:, None] - strengths[None, :])
    slopes = chances * (1.0 - chances)
    np.fill_diagonal(slopes, 0.0)
    weighted = (wins + wins.T) * slopes
    return chances, slopes, np.diag(weighted.sum(axis=1)) - weighted


def _modelled(
    firsts: Codes, seconds: Codes, outcomes: FloatArray, factors: Factors | None, wins: FloatArray
) -> Preferences:
    """Give each answer its pseudo-value in every strength and share; their means are the estimates."""
    n_options, n = wins.shape[0], outcomes.size
    strengths = strengths_of(wins)
    chances, slopes, information = _model(strengths, wins)
    surprise = outcomes - chances[firsts, seconds]
    direction = np.zeros((n, n_options))
    direction[np.arange(n), firsts], direction[np.arange(n), seconds] = 1.0, -1.0
    influence = n * surprise[:, None] * (direction @ np.linalg.pinv(information, hermitian=True))
    others = max(n_options - 1, 1)
    shares = (chances.sum(axis=1) - 0.5) / others
    on_shares = influence @ (np.diag(slopes.sum(axis=1)) - slopes) / others
    asked = (wins + wins.T).sum(axis=1)

    def estimate(values: FloatArray, k: int, bounds: tuple[float | None, float | None]) -> Estimate:
        found = estimate_mean(values, factors, bounds=bounds)
        return Estimate(found.value, found.interval, int(asked[k]), found.reason)

    return Preferences(
        tuple(estimate(shares[k] + on_shares[:, k], k, _SHARE) for k in range(n_options)),
        tuple(estimate(strengths[k] + influence[:, k], k, (None, None)) for k in range(n_options)),
        wins,
    )


def _counted(
    firsts: Codes, seconds: Codes, outcomes: FloatArray, factors: Factors | None, wins: FloatArray
) -> Preferences:
    """Count shares without the model: it has no end where one side never lost."""
    met = wins + wins.T
    n_options = wins.shape[0]
    unbounded = "some never lost, or never won, against the rest: how much better they are has no end"
    strengths = tuple(Estimate(None, None, int(n), unbounded) for n in met.sum(axis=1))
    shares = []
    for k in range(n_options):
        rows = np.flatnonzero((firsts == k) | (seconds == k))
        opponents = np.where(firsts == k, seconds, firsts)[rows]
        won = np.where(firsts == k, outcomes, 1.0 - outcomes)[rows]
        n_unmet = n_options - 1 - np.unique(opponents).size
        if n_unmet:
            reason = f"{unbounded}, and {n_unmet} of the others were never met, so that the share cannot be counted"
            shares.append(Estimate(None, None, rows.size, reason))
            continue
        weights = rows.size / (met[k, opponents] * (n_options - 1))
        against = wins[k, opponents] / met[k, opponents]
        share = float((weights * won).mean())
        values = share + weights * (won - against)
        shares.append(estimate_mean(values, _of_rows(factors, rows), bounds=_SHARE))
    note = "some options never lost, or never won, against the rest: shares are counted, without the model"
    return Preferences(tuple(shares), strengths, wins, note)
