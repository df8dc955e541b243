"""The studies that are conducted."""

from __future__ import annotations

from tests.rating_simulation.choices import CHEATS as PAIR_CHEATS
from tests.rating_simulation.choices import PairDesign
from tests.rating_simulation.worlds import CHEATS, Design

HONEST_SCORES = {
    f"{n} raters, {words}": Design(n, share=share)
    for share, words in ((1.0, "all 24 clips"), (0.5, "12 of 24 clips each"))
    for n in (8, 20, 40)
}
SCORES_WITH_CHEATS = {
    f"{n} raters, {words}": Design(n, n_inputs=n_inputs, share=share, cheats=CHEATS)
    for n_inputs, share, words in (
        (6, 1.0, "all 24 clips"),
        (6, 0.5, "12 of 24 clips each"),
        (12, 1.0, "all 48 clips"),
    )
    for n in (20, 40)
}
SCORES_WITH_CHEATS["20 raters, all 24 clips, 4 checks and repeats"] = Design(
    20, cheats=CHEATS, n_checks=4, n_repeats=4
)
HONEST_CHOICES = {
    "8 raters, 24 pairs": PairDesign(8),
    "20 raters, 24 pairs": PairDesign(20),
    "40 raters, 24 pairs": PairDesign(40),
    "20 raters, 24 pairs of 2 configurations": PairDesign(20, (3.0, 3.6)),
}
CHOICES_WITH_CHEATS = {
    f"{n} raters, {n_pairs} pairs": PairDesign(n, n_pairs=n_pairs, cheats=PAIR_CHEATS)
    for n, n_pairs in ((20, 24), (40, 24), (20, 48))
}
