"""How often a decision may be wrong, and how that is shared among looks at growing data and configurations of one run.

References
----------
K. K. G. Lan, D. L. DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70, 1983 (spending an
error rate over looks whose number is not fixed beforehand).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from evalkit.analysis.table import ResultTable

ALPHA = 0.05
"""Chance of a false claim, however often is looked."""
_LATER = 0.2
"""Share of `ALPHA` that all looks after the first have together."""
MIN_CLIPS = 19
"""Fewer clips cannot exclude that 15 % are ruined, seen or not: 0.85^19 < 0.05. No mean passes a gate with fewer."""
MIN_PAIRS = 20
"""Fewer pairs give no claim about a mean difference: an eighth and more of the clips could be ruined, unseen."""
MIN_PAIRS_ALIKE = 29
"""Fewer pairs cannot exclude that 10 % of the clips are ruined: 0.9^29 < 0.05. No difference, or none for the worse, is
not claimed with fewer."""


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """What a decision may spend of the chance to be wrong.

    Parameters
    ----------
    look : int
        Which look at this run it is, from 1; the same data again are the same look, see `evalkit.decisions.looks`.
    n_configurations : int
        Configurations among which one may be picked. A gate is judged the more strictly the more there are.

    Examples
    --------
    >>> ErrorBudget().gate_alpha, ErrorBudget(n_configurations=5).gate_alpha
    (0.025, 0.005)
    >>> sum(ErrorBudget(look).claim_alpha for look in range(1, 10_000)) < 0.05
    True
    """

    look: int = 1
    n_configurations: int = 1

    @classmethod
    def of(cls, table: ResultTable) -> ErrorBudget:
        """Return the budget of decisions about a table, or about a part of it."""
        return cls(table.look, table.n_candidates)

    @property
    def gate_alpha(self) -> float:
        """One-sided, of one gate on a mean: 0.025 at the first look; all later ones share as much again."""
        first, later = ALPHA / 2, ALPHA / 2
        return (first if self.look == 1 else later * self._share_of_later) / self.n_configurations

    @property
    def share_alpha(self) -> float:
        """One-sided, of one gate on a share: 0.05 at the first look; all later ones share 0.01."""
        alpha = ALPHA if self.look == 1 else ALPHA * _LATER * self._share_of_later
        return alpha / self.n_configurations

    @property
    def claim_alpha(self) -> float:
        """Two-sided, of a comparison's family of claims: 0.04 at the first look; all later ones share 0.01."""
        return ALPHA * (1.0 - _LATER if self.look == 1 else _LATER * self._share_of_later)

    @property
    def _share_of_later(self) -> float:
        return 6.0 / (pi * (self.look - 1)) ** 2
