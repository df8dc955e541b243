"""The person that a program is given, a picture or a video, seen as the program will see it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import RequestError
from pipeline.faces import NO_FACE, locate_faces, refuse_without_face

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".flv")
"""Files of these names are videos."""

_N_LOOKS = 5  # frames of a video, spread over it, that are searched for a face

View = Callable[["Picture"], "Picture"]
"""What a program does to every frame before it looks at it: hashable, BGR to BGR."""


def as_it_is(picture: Picture) -> Picture:
    """Return the picture: the view of a program that changes nothing."""
    return picture


def is_video(path: str | Path) -> bool:
    """Return whether a file is a video, by its name, which is how programs tell."""
    return Path(path).suffix.lower() in VIDEOS


def refuse_faceless(path: str, view: View = as_it_is, until_s: float | None = None) -> None:
    """Refuse a picture without a face, or a video of which one of five frames shows none.

    The frames are spread evenly; a face that is missing between them is not noticed.

    Parameters
    ----------
    path : str
        Picture or video.
    view : callable
        What the program does to each frame of a video before it looks for the face.
    until_s : float, optional
        How much of a video is used, seconds; all of it when not given.

    Raises
    ------
    RequestError
        Of kind ``no_face``; of kind ``refused`` if the file cannot be read.
    """
    if not is_video(path):
        refuse_without_face(path)
        return
    moment_s = _find_faceless(*_identify(path), view, until_s)
    if moment_s is not None:
        raise RequestError(
            f"image {path!r}: no face found in the frame at {moment_s:.2f} s, and every frame must show one; "
            "cut away what does not, or use another video",
            NO_FACE,
        )


def measure_frame(path: str, view: View = as_it_is) -> tuple[int, int]:
    """Return width and height in pixels of a picture, or of a video's frames after the view.

    Raises
    ------
    RequestError
        If it cannot be read, or the view leaves nothing of it.
    """
    return _measure(*_identify(path), view)


def read_fps(path: str) -> float:
    """Return the frames a second of a video as OpenCV, which the programs ask, tells them."""
    import cv2

    video = cv2.VideoCapture(path)
    fps = float(video.get(cv2.CAP_PROP_FPS))
    video.release()
    return fps


def copy_even(source: Path, target: Path) -> None:
    """Copy a picture less its last row or column where their number is odd; ``target`` is a PNG."""
    import cv2

    picture: Any = cv2.imread(str(source))
    height, width = (side // 2 * 2 for side in picture.shape[:2])
    cv2.imwrite(str(target), picture[:height, :width])


def _identify(path: str) -> tuple[str, int, int]:
    try:
        stat = Path(path).stat()
    except OSError as error:
        raise RequestError(f"image {path!r} cannot be read: {error.strerror}") from None
    return str(Path(path).absolute()), stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=256)
def _measure(path: str, _mtime_ns: int, _n_bytes: int, view: View) -> tuple[int, int]:
    import cv2

    if is_video(path):
        video = cv2.VideoCapture(path)
        frame: Any = video.read()[1]
        video.release()
    else:
        frame = cv2.imread(path)
    if frame is None:
        raise RequestError(f"image {path!r} cannot be read by OpenCV, with which the program reads it")
    height, width = view(frame).shape[:2]
    if not height or not width:
        raise RequestError(
            f"image {path!r}: its frames are {frame.shape[1]}*{frame.shape[0]}, and what is to be cut out "
            "leaves nothing of them"
        )
    return width, height


@lru_cache(maxsize=256)
def _find_faceless(
    path: str, _mtime_ns: int, _n_bytes: int, view: View, until_s: float | None
) -> float | None:
    """Return the moment of the first of the frames looked at that shows no face, seconds."""
    import cv2

    video = cv2.VideoCapture(path)
    try:
        fps = video.get(cv2.CAP_PROP_FPS) or 25.0
        n_frames = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        if until_s is not None:
            n_frames = min(n_frames, int(until_s * fps))
        n_read = 0
        for index in np.unique(np.linspace(0, max(n_frames - 1, 0), _N_LOOKS).astype(int)):
            video.set(cv2.CAP_PROP_POS_FRAMES, int(index))
            there, frame = video.read()
            if there:
                n_read += 1
                if not locate_faces(np.ascontiguousarray(view(np.asarray(frame, np.uint8))[..., ::-1])):
                    return float(index / fps)
    finally:
        video.release()
    if not n_read:
        raise RequestError(f"image {path!r} cannot be read as a video: no frame of it can be decoded")
    return None
