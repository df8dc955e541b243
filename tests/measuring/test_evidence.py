"""Evidence is drawn from what was measured, and nothing is measured twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from evalkit.evaluators.base import Exhibit, Measured
from evalkit.evaluators.lip_sync import LipSync
from evalkit.evaluators.motion import Motion
from evalkit.evaluators.speech import Speech
from evalkit.evaluators.technical import Technical
from evalkit.measuring.evidence import EvidenceWriter, clip_folder
from evalkit.measuring.runner import measure
from evalkit.metrics import lip_sync
from evalkit.testing.talking_face import TalkingFace
from evalkit.types import ClipIntent, FrameChunk, Measurement, Metric

METRIC = Metric("a.b", "1", "band", "…")


def read_index(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "index.json").read_text("utf-8"))
    return found


def test_the_warping_runs_as_often_with_evidence_as_without(
    talking_face: TalkingFace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    score = lip_sync.score_windows
    monkeypatch.setattr(lip_sync, "score_windows", lambda *arrays: calls.append(1) or score(*arrays))
    plain = measure(str(talking_face.path), [LipSync()])
    n_without = len(calls)
    shown = measure(str(talking_face.path), [LipSync()], observer=EvidenceWriter(tmp_path))
    assert (n_without, len(calls) - n_without) == (2, 2)  # as delivered, and without the offset
    assert shown.measurements == plain.measurements
    assert (tmp_path / "lip_sync" / "lip_sync.png").is_file()


def test_each_evaluator_has_a_folder_with_captions(talking_face: TalkingFace, tmp_path: Path) -> None:
    evaluators = [Speech(), Technical(), LipSync(), Motion()]
    measure(
        str(talking_face.path),
        evaluators,
        intent=ClipIntent("Hello.", "en"),
        observer=EvidenceWriter(tmp_path),
    )
    found = {folder.name: list(read_index(folder)["metrics"].items()) for folder in tmp_path.iterdir()}
    assert found["speech"][0] == ("transcript.html", "speech.word_error_rate")
    assert found["lip_sync"] == [("lip_sync.png", "lip_sync.error")]
    assert found["motion"] == [("joint_angles.png", "motion.amount_deg_s")]
    everywhere = [name for entries in found.values() for name, _ in entries]
    assert everywhere.count("frames.jpg") == 1
    for folder in tmp_path.iterdir():
        index = read_index(folder)
        assert index["evaluator"] == folder.name
        assert list(index["captions"]) == list(index["metrics"])
        for name, caption in index["captions"].items():
            assert (folder / name).is_file()
            assert caption
    (sheet,) = tmp_path.rglob("frames.jpg")
    picture = cv2.imread(str(sheet))
    blue = (np.abs(picture.astype(int) - (233, 180, 86)).max(axis=2) < 60).sum()
    assert blue > 500  # landmarks of the face are drawn
    assert blue < 0.1 * picture.shape[0] * picture.shape[1]  # and the face is seen between them


@pytest.mark.parametrize(
    ("size", "expected"), [((160, 90), (507, 1200)), ((90, 160), (600, 1014)), ((96, 96), (900, 1200))]
)
def test_frames_lie_side_by_side_without_empty_bands(
    size: tuple[int, int], expected: tuple[int, int], tmp_path: Path
) -> None:
    writer = EvidenceWriter(tmp_path)
    frames = np.full((12, size[1], size[0], 3), (200, 60, 40), np.uint8)
    many = (
        np.stack(np.meshgrid(np.linspace(20, 60, 22), np.linspace(20, 60, 22)), -1)
        .reshape(-1, 2)
        .astype(np.float32)
    )
    writer.on_frames(FrameChunk(0, np.arange(12) / 10, list(frames)), {"face": [many] * 12})
    evaluator = LipSync()
    value = Measurement(evaluator.metrics[0], 0.1, n=1)
    writer.on_measured(evaluator, Measured((value,)))
    picture = cv2.imread(str(tmp_path / "lip_sync" / "frames.jpg"))
    assert picture is not None
    assert picture.shape[:2] == expected
    red = np.abs(picture.astype(int) - (40, 60, 200)).max(axis=2) < 60
    assert red.mean() > 0.8  # the picture, under a time and few points


class Clumsy(LipSync):
    """Cannot draw."""

    def evidence(self, details: object) -> Iterator[Exhibit]:
        """Fail."""
        del details
        raise RuntimeError("no paper")


def test_evidence_that_cannot_be_drawn_costs_no_measurement(
    talking_face: TalkingFace, tmp_path: Path
) -> None:
    result = measure(str(talking_face.path), [Clumsy()], observer=EvidenceWriter(tmp_path))
    assert result["lip_sync.error"].value is not None
    assert list(read_index(tmp_path / "lip_sync")["captions"]) == ["frames.jpg"]


def test_nothing_measured_shows_nothing(tmp_path: Path) -> None:
    from evalkit.testing.media import moving_pattern, write_clip

    clip = write_clip(tmp_path / "mute.mp4", moving_pattern(0.4))
    measure(str(clip), [LipSync()], observer=EvidenceWriter(tmp_path / "evidence"))
    assert not (tmp_path / "evidence").exists()


@pytest.mark.parametrize("name", ["../up.png", "", "index.json", ".hidden", "a/b.png"])
def test_a_file_outside_of_its_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a name for evidence"):
        Exhibit(name, "…", b"", METRIC)


def test_clips_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    one, other = (clip_folder(tmp_path, f"{folder}/clip.mp4") for folder in ("a", "b"))
    assert one != other
    assert one == clip_folder(tmp_path, str(Path("a/clip.mp4").absolute()))


@pytest.mark.parametrize("name", ["é" * 126 + ".mp4", "a" * 250 + ".mp4", "caf\udce9.mp4"])
def test_a_clip_of_any_name_has_a_folder_that_can_be_made(tmp_path: Path, name: str) -> None:
    folder = clip_folder(tmp_path, name)
    folder.mkdir()
    assert folder != clip_folder(tmp_path, f"other/{name}")
