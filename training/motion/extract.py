"""Follow the face through every usable clip of a media folder and keep the landmarks and the sound.

``python training/motion/extract.py MEDIA CACHE`` writes one ``.npz`` a clip into ``CACHE``: ``times_s`` (n,),
``landmarks_px`` (n, 478, 3; NaN where no face was found), ``samples`` (mono, 16 kHz) and ``audio_start_s``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import av
import mediapipe as mp
import numpy as np

RATE_HZ = 16000

# Clips whose picture follows their sound; the generators known to lag (Wav2Lip, MakeItTalk, Moore) are left out.
PATTERNS = (
    "talking_generated/v-express_vasa1_*.mp4",
    "talking_generated/linly-talker_*.mp4",
    "talking_generated/dreamtalk_*_en_neutral_metaportraitSR_512.mp4",
    "talking_generated/dreamtalk_*_zh_*.mp4",
    "talking_generated/edtalk_RD_Radio51_000_512.mp4",
    "talking_generated/edtalk_demo_EDTalk_A_512.mp4",
    "talking_generated/sadtalker-video-lip-sync_sadtalker.mp4",
    "talking_generated/sadtalker-video-lip-sync_retalking.mp4",
    "talking_generated/aniportrait_*.mp4",
    "talking_real/lipnet_*.mpg",
)


def follow_face(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the frame times (n,) in s and the landmarks (n, 478, 3) in px."""
    times, found = [], []
    mesh = mp.solutions.face_mesh.FaceMesh(refine_landmarks=True, max_num_faces=1)
    with mesh, av.open(str(path)) as container:
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            height, width = picture.shape[:2]
            faces = mesh.process(picture).multi_face_landmarks
            points = np.full((478, 3), np.nan, np.float32)
            if faces:
                points[:] = [(p.x * width, p.y * height, p.z * width) for p in faces[0].landmark]
            times.append(float(frame.pts * frame.time_base))
            found.append(points)
    return np.array(times), np.array(found)


def read_sound(path: Path) -> tuple[np.ndarray, float]:
    """Return mono samples at 16 kHz and the time of the first one."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE_HZ)
    parts, start = [], None
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            if start is None:
                start = float(frame.pts * frame.time_base)
            parts += [out.to_ndarray()[0] for out in resampler.resample(frame)]
        parts += [out.to_ndarray()[0] for out in resampler.resample(None)]
    return np.concatenate(parts), start or 0.0


def main(media: Path, cache: Path) -> None:
    """Extract every clip that is not in the cache yet."""
    cache.mkdir(parents=True, exist_ok=True)
    for path in sorted({p for pattern in PATTERNS for p in media.glob(pattern)}):
        target = cache / f"{path.stem}.npz"
        if target.exists():
            continue
        times, points = follow_face(path)
        samples, start = read_sound(path)
        np.savez(target, times_s=times, landmarks_px=points, samples=samples, audio_start_s=start)
        print(
            f"{path.name}: {len(times)} frames, face in {np.isfinite(points[:, 0, 0]).mean():.0%}", flush=True
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
