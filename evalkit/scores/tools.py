"""What known tools write: VBench, fastvideo.eval and SyncNet. What each number means is said here, as their authors say it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from evalkit.errors import UsageError
from evalkit.formatting import count, label
from evalkit.scores.given import Given
from evalkit.types import Metric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from evalkit.scores.definitions import MetricDefinition

VBENCH, FASTVIDEO, SYNCNET = "vbench", "fastvideo", "syncnet"

_DIMENSIONS: dict[str, tuple[str, tuple[float | None, float | None]]] = {
    "aesthetic_quality": ("how appealing frames look, by the LAION predictor", (0, 1)),
    "appearance_style": ("how well the look fits the prompt, by CLIP", (-1, 1)),
    "background_consistency": ("how constant the background is, by CLIP", (-1, 1)),
    "color": ("share of frames in which objects have the colour of the prompt", (0, 1)),
    "dynamic_degree": ("whether there is large motion, by RAFT", (0, 1)),
    "human_action": ("whether the action of the prompt is seen", (0, 1)),
    "imaging_quality": ("how free of blur and noise frames are, by MUSIQ", (0, 100)),
    "motion_smoothness": ("how well frames fit between their neighbours, by AMT", (0, 1)),
    "multiple_objects": ("share of frames with all objects of the prompt", (0, 1)),
    "object_class": ("share of frames with the object of the prompt", (0, 1)),
    "overall_consistency": ("how well the video fits the prompt, by ViCLIP", (-1, 1)),
    "scene": ("share of frames that show the scene of the prompt", (0, 1)),
    "spatial_relationship": ("how well the places of objects fit the prompt", (0, 1)),
    "subject_consistency": ("how constant the subject is, by DINO", (-1, 1)),
    "temporal_flickering": ("how alike frames are that follow each other", (0, 1)),
    "temporal_style": ("how well the camera's motion fits the prompt, by ViCLIP", (-1, 1)),
}
"""VBench: dimension to what it says and what a video's own value can be. More is better in all of them."""

_FASTVIDEO: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("fastvideo.common_ssim", "1", "higher", "structural similarity to the reference", (-1, 1)),
        Metric("fastvideo.common_psnr", "dB", "higher", "peak signal-to-noise ratio to the reference"),
        Metric("fastvideo.common_lpips", "1", "lower", "perceptual distance to the reference", (0, None)),
        Metric("fastvideo.audio_wer", "1", "lower", "word errors a word of the text", (0, None)),
        Metric(
            "fastvideo.audio_clap_score", "1", "higher", "how well sound fits the prompt, by CLAP", (-1, 1)
        ),
        Metric("fastvideo.audio_imagebind_score", "1", "higher", "how well sound fits the picture", (-1, 1)),
        Metric("fastvideo.audio_audiobox_aesthetics", "1", "higher", "how well made the sound is", (0, 10)),
        Metric(
            "fastvideo.audio_kl_divergence", "1", "lower", "divergence from the reference's sound", (0, None)
        ),
        Metric(
            "fastvideo.audio_desync", "s", "lower", "distance of sound and picture, by Synchformer", (0, None)
        ),
    )
}
"""fastvideo.eval: metrics of single videos whose direction its documentation states; those of VBench are as there."""

_SYNCNET = (
    Metric("syncnet.lse_d", "1", "lower", "least distance of lips and sound, by SyncNet", (0, None)),
    Metric("syncnet.lse_c", "1", "higher", "confidence of the least distance, by SyncNet", (0, None)),
)
_LEAST_VIDEO = ("video_path", "video_results")


def is_vbench(data: Any) -> bool:
    """Say whether JSON is ``…_eval_results.json`` of VBench: dimension to its average and the results of its videos."""
    return (
        isinstance(data, dict)
        and bool(data)
        and all(
            isinstance(found, list) and len(found) == 2 and isinstance(found[1], list)
            for found in data.values()
        )
    )


def is_fastvideo(data: Any) -> bool:
    """Say whether JSON is what ``fastvideo eval run`` writes: a list of videos with their scores."""
    return (
        isinstance(data, list)
        and bool(data)
        and all(isinstance(one, dict) and {"video", "scores"} <= one.keys() for one in data)
    )


def read_vbench(data: Mapping[str, Any], own: Mapping[str, MetricDefinition]) -> Given:
    """Read the results of videos of every dimension; averages over all videos are left out.

    Parameters
    ----------
    data : mapping
        As of `is_vbench`.
    own : mapping of str to MetricDefinition
        What somebody says of its metrics: goes before what is known here.
    """
    given = Given()
    for dimension, (_, videos) in data.items():
        name = f"{VBENCH}.{_plain(dimension)}"
        metric = _metric(name, dimension, own, _dimension(name, dimension))
        if metric is None:
            given.notes.append(_unknown(dimension, name))
            continue
        for place, video in enumerate(videos, start=1):
            where = f"{label(dimension)}, video {place}"
            if not isinstance(video, dict) or not isinstance(video.get(_LEAST_VIDEO[0]), str):
                given.problems.append(f"{where}: has no `video_path` that names the video")
            elif _LEAST_VIDEO[1] not in video:
                given.problems.append(f"{where}: has no `video_results`")
            else:
                given.add(where, video[_LEAST_VIDEO[0]], metric, video[_LEAST_VIDEO[1]])
    return given


def read_fastvideo(data: Sequence[Mapping[str, Any]], own: Mapping[str, MetricDefinition]) -> Given:
    """Read the scores of every video; parameters as of `read_vbench`."""
    given = Given()
    unknown: dict[str, str] = {}
    for place, one in enumerate(data, start=1):
        scores = one["scores"]
        if not isinstance(one["video"], str) or not isinstance(scores, dict):
            given.problems.append(f"video {place}: `video` names no file, or `scores` is no mapping")
            continue
        for key, found in scores.items():
            name = f"{FASTVIDEO}.{_plain(key)}"
            metric = _metric(name, key, own, _known_to_fastvideo(name, key))
            where = f"video {place}, {label(key)}"
            if metric is None:
                unknown[key] = name
            elif not isinstance(found, dict) or "score" not in found:
                given.problems.append(f"{where}: has no `score`")
            else:
                given.add(where, one["video"], metric, found["score"])
    given.notes += [_unknown(key, name) for key, name in unknown.items()]
    return given


def read_syncnet(text: str, clips: Sequence[str] | None) -> Given:
    """Read ``all_scores.txt`` of the script ``calculate_scores_real_videos.sh``: distance and confidence, a line a video.

    The lines name no video: they are in the order of the folder's list. A name before the numbers is taken for one.

    Parameters
    ----------
    text : str
    clips : sequence of str or None
        The videos in the order of the lines.

    Raises
    ------
    UsageError
        If the lines name no video and nobody else does, or there are more or fewer of them than videos.
    """
    given = Given()
    rows = [(place, line.split()) for place, line in enumerate(text.splitlines(), start=1) if line.strip()]
    has_names = all(len(cells) >= 3 for _, cells in rows)
    if not has_names and clips is None:
        raise UsageError(
            "its lines are a distance and a confidence, and name no video: give a file with the names of the videos in the "
            "order of the lines (ls FOLDER > names.txt; --clips names.txt)"
        )
    if not has_names and clips is not None and len(clips) != len(rows):
        raise UsageError(
            f"has {count(len(rows), 'line')} for {count(len(clips), 'video')}: SyncNet writes a line for each face that it "
            f"tracked, and none where it found no face; put the video's name before each line"
        )
    for index, (place, cells) in enumerate(rows):
        where = f"line {place}"
        if len(cells) < 2:
            given.problems.append(f"{where}: a distance and a confidence are needed")
            continue
        name = " ".join(cells[:-2]) if has_names or clips is None else clips[index]
        for metric, cell in zip(_SYNCNET, cells[-2:], strict=True):
            given.add(where, name, metric, cell)
    return given


def is_syncnet(text: str) -> bool:
    """Say whether a text is lines of two numbers, after a name or not, and nothing else.

    >>> is_syncnet("7.01 6.2"), is_syncnet("clip_a.mp4 7.01 6.2"), is_syncnet("clip,score")
    (True, True, False)
    """
    lines = [line.split() for line in text.splitlines() if line.strip()]
    number = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:e-?[0-9]+)?|nan|inf", re.IGNORECASE)
    return bool(lines) and all(
        len(cells) >= 2 and all(number.fullmatch(cell) for cell in cells[-2:]) for cells in lines
    )


def _metric(name: str, key: str, own: Mapping[str, MetricDefinition], known: Metric | None) -> Metric | None:
    """Return what a score means: as somebody said, by its name here or there, or else as is known."""
    for said, definition in own.items():
        if said == name or definition.column == key:
            return definition.metric(said)
    return known


def _dimension(name: str, dimension: str) -> Metric | None:
    if dimension not in _DIMENSIONS:
        return None
    meaning, bounds = _DIMENSIONS[dimension]
    return Metric(name, "1", "higher", f"{meaning} (VBench)", bounds)


def _known_to_fastvideo(name: str, key: str) -> Metric | None:
    family, _, dimension = key.partition(".")
    return _dimension(name, dimension) if family == VBENCH else _FASTVIDEO.get(name)


def _plain(key: str) -> str:
    """Return a key as a name can have it.

    >>> _plain("vbench.Imaging Quality")
    'vbench_imaging_quality'
    """
    return re.sub(r"[^a-z0-9]+", "_", key.casefold()).strip("_")


def _unknown(key: str, name: str) -> str:
    return f"{label(key)} is not read: nothing says which way is better; say it in a file of definitions, as {name} (--metrics)"
