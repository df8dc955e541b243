"""Which of the 478 face points are lips, eyes and outline, and which triangles join them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from pipeline.partial_import import load_solution

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_SKIN_POINTS = 468  # of 478; the other ten are the irises

# Inner lips from corner to corner; the two rows stand opposite each other.
UPPER_INNER_LIP = np.array([78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308])
LOWER_INNER_LIP = np.array([78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308])
UPPER_OUTER_LIP = np.array([61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291])
LOWER_OUTER_LIP = np.array([61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291])
INNER_LIPS = np.concatenate([UPPER_INNER_LIP, LOWER_INNER_LIP[-2:0:-1]])
LEFT_CORNER, RIGHT_CORNER = 78, 308

# Lids from the outer to the inner corner (of the eye that is left in the picture, then the right one).
UPPER_LIDS = (
    np.array([33, 246, 161, 160, 159, 158, 157, 173, 133]),
    np.array([263, 466, 388, 387, 386, 385, 384, 398, 362]),
)
LOWER_LIDS = (
    np.array([33, 7, 163, 144, 145, 153, 154, 155, 133]),
    np.array([263, 249, 390, 373, 374, 380, 381, 382, 362]),
)
# One row above the upper lid line: the fold that is drawn down when the eye closes.
LID_FOLDS = (
    np.array([247, 30, 29, 27, 28, 56, 190]),
    np.array([467, 260, 259, 257, 258, 286, 414]),
)
# The next row towards the brow, and one on the cheek below the eye.
ABOVE_FOLDS = (
    np.array([113, 225, 224, 223, 222, 221, 189]),
    np.array([342, 445, 444, 443, 442, 441, 413]),
)
BELOW_EYES = (
    np.array([31, 228, 229, 230, 231, 232, 233]),
    np.array([261, 448, 449, 450, 451, 452, 453]),
)
BROWS = np.array([70, 63, 105, 66, 107, 46, 53, 52, 65, 55, 300, 293, 334, 296, 336, 276, 283, 282, 295, 285])

FOREHEAD, CHIN, NOSE_TIP, NOSE_BASE = 10, 152, 1, 2
FACE_OVAL = np.array(
    [
        10,
        338,
        297,
        332,
        284,
        251,
        389,
        356,
        454,
        323,
        361,
        288,
        397,
        365,
        379,
        378,
        400,
        377,
        152,
        148,
        176,
        149,
        150,
        136,
        172,
        58,
        132,
        93,
        234,
        127,
        162,
        21,
        54,
        103,
        67,
        109,
    ]
)

# Points that speech does not move: nose bridge, eye corners, temples, forehead.
RIGID = np.array([6, 168, 197, 195, 8, 9, 33, 133, 362, 263, 127, 356, 162, 389, 21, 251, 10, 151, 108, 337])


@cache
def skin_triangles() -> NDArray[np.int64]:
    """Return the triangles of the face mesh, shape (n, 3); eyes and mouth are holes."""
    neighbours: dict[int, set[int]] = {}
    for a, b in load_solution("face_mesh_connections").FACEMESH_TESSELATION:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    found = {
        (a, b, c)
        for a, near in neighbours.items()
        for b in near
        if b > a
        for c in near & neighbours[b]
        if c > b
    }
    return np.array(sorted(found))
