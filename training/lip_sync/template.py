"""Make the average head that faces are aligned to: the table in evalkit/tracks/face.py.

    python training/lip_sync/template.py MEDIA/talking_generated

The rigid points of every synthetic speaker, averaged over its frames, are brought onto each other (generalised
Procrustes analysis), averaged with their own mirror image, and put between outer eye corners one apart.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from mediapipe.python.solutions.face_mesh import FaceMesh

from evalkit.media import Reader, probe
from evalkit.tracks.face import RIGID_POINTS

SPEAKERS = ("v-express", "edtalk", "linly", "dreamtalk")
MIRRORED = ((33, 263), (133, 362), (127, 356), (234, 454), (71, 301))
EVERY = 5  # frames
FEWEST_FRAMES = 20


def mean_shape(path: Path) -> np.ndarray | None:
    """Return a speaker's rigid points, shape (n, 3), centred and scaled by the eye corners."""
    shapes = []
    with FaceMesh(refine_landmarks=True) as mesh:
        for chunk in Reader(probe(str(path))):
            for frame in chunk.frames:
                faces = mesh.process(frame).multi_face_landmarks
                if faces:
                    height, width = frame.shape[:2]
                    points = np.array([(p.x * width, p.y * height, p.z * width) for p in faces[0].landmark])
                    points -= points[[33, 263]].mean(axis=0)
                    shapes.append(points[list(RIGID_POINTS)] / np.linalg.norm(points[33] - points[263]))
    return np.mean(shapes[::EVERY], axis=0) if len(shapes) >= FEWEST_FRAMES else None


def onto(shape: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Move, turn and scale a shape onto another (Umeyama 1991)."""
    a, b = shape - shape.mean(axis=0), target - target.mean(axis=0)
    left, singular, right = np.linalg.svd(a.T @ b)
    sign = np.array([1, 1, np.sign(np.linalg.det(left @ right))])
    return (singular * sign).sum() / (a**2).sum() * a @ ((left * sign) @ right) + target.mean(axis=0)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    paths = sorted(parser.parse_args().folder.glob("*.mp4"))
    shapes = [mean_shape(path) for path in paths if path.name.startswith(SPEAKERS)]
    known = [shape for shape in shapes if shape is not None]
    head = np.mean(known, axis=0)
    for _ in range(5):
        head = np.mean([onto(shape, head) for shape in known], axis=0)
    place = {number: row for row, number in enumerate(RIGID_POINTS)}
    mirror = head * (-1, 1, 1)
    for a, b in MIRRORED:
        mirror[[place[a], place[b]]] = mirror[[place[b], place[a]]]
    corners = [place[33], place[263]]
    head = (head - head[corners].mean(axis=0) + mirror - mirror[corners].mean(axis=0)) / 2
    head /= np.linalg.norm(head[corners[0]] - head[corners[1]])
    for number, point in zip(RIGID_POINTS, head.round(4) + 0.0, strict=True):
        print(f"    {number}: ({', '.join(map(str, point.tolist()))}),")


if __name__ == "__main__":
    main()
