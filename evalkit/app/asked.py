"""What the pages say of a study: the same served and offline."""

from __future__ import annotations

import math

from evalkit.app.pages import Asked
from evalkit.rating.desk import Desk


def describe(desk: Desk, study: int) -> Asked:
    """Return what the pages say of a study; its number of presentations is that of the first rater."""
    key = desk.key(study)
    return Asked(
        kind=key.design.kind,
        questions=key.design.questions,
        in_step=key.design.in_step,
        n_total=len(key.presentations(0)),
        n_training=key.design.n_training,
        minutes=math.ceil(desk.rater_s(study) / 60),
    )
