"""Measuring finished files, against FFmpeg's own word and known contents; and never half a file under a real name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipeline.errors import GenerationError
from pipeline.video import measure_video, new_video
from tests.pipeline.conftest import write_video

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("n_frames", "size", "fps", "suffix"),
    [
        (30, (64, 64), 25, ".mp4"),
        (1, (96, 64), 25, ".mp4"),
        (50, (64, 128), 16, ".mkv"),
        (31, (64, 64), 30, ".avi"),
    ],
)
def test_what_was_written_is_measured(
    n_frames: int, size: tuple[int, int], fps: int, suffix: str, tmp_path: Path
) -> None:
    facts = measure_video(
        write_video(tmp_path / f"a{suffix}", n_frames=n_frames, size=size, fps=fps, sound=False)
    )
    assert (facts.width, facts.height, facts.n_frames) == (*size, n_frames)
    assert facts.duration_s == pytest.approx(n_frames / fps, abs=2e-3)  # Matroska counts in ms
    assert facts.fps == pytest.approx(fps, rel=2e-3)
    assert facts.audio_duration_s is None


def test_the_sound_is_measured_too(video: Path) -> None:
    assert measure_video(video, sound_expected=True).audio_duration_s == pytest.approx(
        1.2, abs=0.07
    )  # AAC frames


def test_sound_that_was_expected_is_missed(silent_film: Path) -> None:
    with pytest.raises(GenerationError, match="no sound, and sound was asked for"):
        measure_video(silent_film, sound_expected=True)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="was not written") as caught:
        measure_video(tmp_path / "gone.mp4")
    assert caught.value.kind == "no_output"


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(GenerationError, match="is empty"):
        measure_video(tmp_path / "a.mp4")


def test_no_video(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("an apology\n" * 100)
    with pytest.raises(GenerationError, match="is not a whole video") as caught:
        measure_video(tmp_path / "a.mp4")
    assert caught.value.kind == "bad_output"


def test_only_sound(spoken: Path) -> None:
    with pytest.raises(GenerationError, match="has no picture"):
        measure_video(spoken)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_file_that_was_cut_off(suffix: str, share: float, tmp_path: Path) -> None:
    whole = write_video(tmp_path / f"whole{suffix}", n_frames=100, size=(128, 128)).read_bytes()
    (tmp_path / f"half{suffix}").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(GenerationError) as caught:
        measure_video(tmp_path / f"half{suffix}")
    assert caught.value.kind == "bad_output"


def test_a_file_cut_off_after_its_index(tmp_path: Path) -> None:
    import av

    whole = tmp_path / "whole.mp4"
    plain = write_video(tmp_path / "plain.mp4", n_frames=100, size=(128, 128))
    with (
        av.open(str(plain)) as source,
        av.open(str(whole), "w", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    assert measure_video(whole).n_frames == 100
    content = whole.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    (tmp_path / "half.mp4").write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(GenerationError, match="cut off"):
        measure_video(tmp_path / "half.mp4")


def test_a_video_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    with new_video(out) as part:
        part.write_bytes(b"video")
        (part.parent / "by-product.wav").touch()
        assert (part.name, part.suffix) == ("out.mp4", ".mp4")
        assert not out.exists()
    assert out.read_bytes() == b"video"
    assert list(tmp_path.iterdir()) == [out]


class _OopsError(Exception):
    pass


@pytest.mark.parametrize("before", [None, b"the old one"])
def test_a_failure_changes_nothing(before: bytes | None, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    if before is not None:
        out.write_bytes(before)
    listing = sorted(tmp_path.iterdir())
    with pytest.raises(_OopsError), new_video(out) as part:  # noqa: PT012 - the block is what fails
        part.write_bytes(b"half a vid")
        raise _OopsError
    assert sorted(tmp_path.iterdir()) == listing
    assert before is None or out.read_bytes() == before


def test_nothing_written_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="no video was written for"), new_video(tmp_path / "out.mp4"):
        pass


@pytest.mark.media
@pytest.mark.parametrize(
    "name",
    [
        "talking_real/moore-animateanyone_talkinghead_2.mp4",  # its edit list cuts away a frame
        "talking_real/video-retalking_face_1.mp4",  # frames at uneven intervals
        "talking_real/video-retalking_face_2.mp4",
    ],
)
def test_as_many_frames_are_counted_as_a_player_shows(name: str, media_folder: Path) -> None:
    import av

    with av.open(str(media_folder / name)) as container:
        times_s = [frame.time for frame in container.decode(video=0)]
    facts = measure_video(media_folder / name)
    assert facts.n_frames == len(times_s)
    assert facts.duration_s == pytest.approx(times_s[-1] - times_s[0], abs=2.5 / facts.fps)
