"""Blind copies: the same frames and samples at the same times, and nothing that tells where they came from."""

from __future__ import annotations

import itertools
import os
import shutil
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from evalkit.errors import ClipError
from evalkit.media.aac import blank_texts
from evalkit.rating.blind import find_leaks, make_blind_copy, make_broken_copy
from evalkit.testing.media import corners, moving_pattern, tone, write_clip
from pipeline.reference.encoder import VideoWriter, settle

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

RATE_HZ = 48_000
FLASH_S = 1.2


def frames_of(path: Path) -> tuple[list[float], list[NDArray[np.uint8]]]:
    """Decode the picture with FFmpeg alone, as stored."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        return [float(frame.time) for frame in frames], [frame.to_ndarray() for frame in frames]


def sound_of(path: Path) -> tuple[float, NDArray[np.float32]]:
    with av.open(str(path)) as container:
        frames = list(container.decode(audio=0))
        return float(frames[0].time), np.concatenate([frame.to_ndarray() for frame in frames], axis=1)


def flash_and_click(duration_s: float = 2.0, fps: float = 25) -> Iterator[NDArray[np.uint8]]:
    for index in range(round(duration_s * fps)):
        yield np.full((64, 96, 3), 230 if index == round(FLASH_S * fps) else 20, np.uint8)


def click(late_s: float) -> NDArray[np.float64]:
    """Make a sound that begins `late_s` late, with a burst at the moment of the flash."""
    sound = 0.001 * np.random.default_rng(0).standard_normal(round((2.0 - late_s) * RATE_HZ))
    at = round((FLASH_S - late_s) * RATE_HZ)
    sound[at : at + 960] = 0.5 * np.sin(np.arange(960) * 0.4)
    return sound


def measured_offset_s(path: Path) -> float:
    """Say how long after the flash the burst begins."""
    times_s, frames = frames_of(path)
    flash = times_s[int(np.argmax([frame.mean() for frame in frames]))]
    start_s, sound = sound_of(path)
    return start_s + float(np.argmax(np.abs(sound[0]) > 0.1)) / RATE_HZ - flash


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "steps=4,guidance=7.5.mp4"
    return write_clip(path, moving_pattern(2.0), sound=tone(2.0))


def test_a_clip_that_browsers_play_is_copied_frame_by_frame_and_sample_by_sample(
    clip: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.mp4"

    copy = make_blind_copy(clip, out)

    assert copy.notes == ()
    assert (copy.width, copy.height, copy.has_sound) == (160, 120, True)
    assert copy.fps == pytest.approx(25)
    times_s, frames = frames_of(clip)
    copied_s, copied = frames_of(out)
    assert copied_s == pytest.approx(times_s, abs=1e-4)
    assert all(np.array_equal(one, other) for one, other in zip(frames, copied, strict=True))
    start_s, sound = sound_of(clip)
    copied_start_s, copied_sound = sound_of(out)
    assert copied_start_s == pytest.approx(start_s)
    assert np.array_equal(sound, copied_sound)


def test_nothing_in_the_copy_tells_where_it_came_from(clip: Path, tmp_path: Path) -> None:
    signed = tmp_path / "signed.mp4"
    with (
        av.open(str(clip)) as source,
        av.open(str(signed), "w", options={"movflags": "use_metadata_tags"}) as target,
    ):
        target.metadata.update(
            title="steps=4", comment="guidance=7.5", steps="4", creation_time="2026-01-02T03:04:05Z"
        )
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        streams[0].metadata["handler_name"] = "steps four"
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    words = ["steps", "guidance", "7.5"]
    before = find_leaks(signed.read_bytes(), words)

    make_blind_copy(signed, tmp_path / "copy.mp4")

    assert {"steps", "guidance", "7.5", "x264 - "} <= set(before)
    assert [found for found in before if found.startswith("Lavc")], (
        "FFmpeg's AAC encoder signs its first packet"
    )
    assert find_leaks((tmp_path / "copy.mp4").read_bytes(), words) == []
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert set(container.metadata) == {"major_brand", "minor_version", "compatible_brands"}
        assert {stream.metadata["handler_name"] for stream in container.streams} == {
            "VideoHandler",
            "SoundHandler",
        }


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_bytes_depend_on_neither_path_nor_time(suffix: str, tmp_path: Path) -> None:
    one = write_clip(tmp_path / f"one{suffix}", moving_pattern(1.0), sound=tone(1.0))
    other = tmp_path / "some folder" / f"steps=9{suffix}"
    other.parent.mkdir()
    shutil.copyfile(one, other)
    os.utime(other, (1, 1))

    make_blind_copy(one, tmp_path / "1.mp4")
    make_blind_copy(other, tmp_path / "2.mp4")

    assert (tmp_path / "1.mp4").read_bytes() == (tmp_path / "2.mp4").read_bytes()


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi", ".webm", ".mpg"])
@pytest.mark.parametrize("late_s", [0.0, 0.36])
def test_picture_and_sound_stay_together_to_a_frame(suffix: str, late_s: float, tmp_path: Path) -> None:
    if late_s and suffix == ".avi":
        pytest.skip("AVI holds no sound that starts late")
    video = write_clip(tmp_path / f"v{suffix}", flash_and_click(), sound=click(late_s), sound_start_s=late_s)

    make_blind_copy(video, tmp_path / "copy.mp4")

    assert abs(measured_offset_s(tmp_path / "copy.mp4")) < 0.02
    assert not find_leaks((tmp_path / "copy.mp4").read_bytes(), [])


def test_matroska_is_copied_and_its_sound_has_no_seams(clip: Path, tmp_path: Path) -> None:
    video = tmp_path / "clip.mkv"
    with av.open(str(clip)) as source, av.open(str(video), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)

    assert make_blind_copy(video, tmp_path / "copy.mp4").notes == ()

    with av.open(str(tmp_path / "copy.mp4")) as container:
        steps = {packet.duration for packet in container.demux(audio=0) if packet.dts is not None}
    assert steps == {1024}


@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_a_variable_frame_rate_is_kept(suffix: str, tmp_path: Path) -> None:
    times_s = [0.0, 0.04, 0.1, 0.3, 0.32, 0.7, 0.9]
    video = write_clip(tmp_path / f"v{suffix}", list(moving_pattern(0.28)), times_s=times_s)

    make_blind_copy(video, tmp_path / "copy.mp4")

    assert frames_of(tmp_path / "copy.mp4")[0] == pytest.approx(times_s, abs=1e-3)


def test_a_turned_picture_is_stored_upright(tmp_path: Path) -> None:
    stored = np.rot90(corners(), -1)  # a player turns it back by 90 degrees counterclockwise
    video = write_clip(tmp_path / "v.mp4", [stored] * 5, rotation_deg=90)

    copy = make_blind_copy(video, tmp_path / "copy.mp4")

    assert (copy.width, copy.height) == (96, 64)
    assert "turned" in copy.notes[0]
    with av.open(str(tmp_path / "copy.mp4")) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="rgb24")
    middles = [shown[16, 24], shown[16, 72], shown[48, 72], shown[48, 24]]  # red, green, blue, white
    assert [tuple(int(value > 110) for value in middle) for middle in middles] == [
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        (1, 1, 1),
    ]


def test_pixels_that_are_not_square_and_odd_sizes_are_encoded_anew(tmp_path: Path) -> None:
    wide = write_clip(tmp_path / "w.mp4", moving_pattern(0.4), pixel_aspect=Fraction(2))
    odd = write_clip(tmp_path / "o.mp4", moving_pattern(0.4, width=101, height=75))

    copies = [make_blind_copy(video, tmp_path / "copy.mp4") for video in (wide, odd)]

    assert [(copy.width, copy.height) for copy in copies] == [(320, 120), (100, 74)]
    assert "not square" in copies[0].notes[0]
    assert "even sizes" in copies[1].notes[1]


def test_what_is_encoded_anew_looks_and_sounds_the_same(tmp_path: Path) -> None:
    frames = list(moving_pattern(1.0))
    video = write_clip(tmp_path / "v.webm", frames, sound=tone(1.0, level_dbfs=-12))

    copy = make_blind_copy(video, tmp_path / "copy.mp4")

    assert [note.partition(":")[0] for note in copy.notes] == [
        "the picture is encoded anew (H.264)",
        "the sound is encoded anew (AAC)",
    ]
    with av.open(str(video)) as one, av.open(str(tmp_path / "copy.mp4")) as other:
        pairs = zip(one.decode(video=0), other.decode(video=0), strict=True)
        errors = [
            np.mean((a.to_ndarray(format="rgb24").astype(float) - b.to_ndarray(format="rgb24")) ** 2)
            for a, b in pairs
        ]
    assert 10 * np.log10(255**2 / np.mean(errors)) > 35
    _, sound = sound_of(tmp_path / "copy.mp4")
    # the root mean square of a sine is 3 dB below its peak
    assert 20 * np.log10(np.sqrt(np.mean(sound[:, 4800:-4800] ** 2))) == pytest.approx(-15, abs=0.5)


def write_with(
    path: Path,
    codec: str,
    pixels: str,
    *,
    sound: str = "aac",
    layout: str = "mono",
    options: dict[str, str] | None = None,
) -> Path:
    """Write a second of a picture and a tone with any codecs that FFmpeg has."""
    with av.open(str(path), "w") as container:
        picture = container.add_stream(codec, rate=25, options=options or {})
        assert isinstance(picture, av.VideoStream)
        picture.width, picture.height, picture.pix_fmt = 96, 64, pixels
        voice = container.add_stream(sound, rate=RATE_HZ, layout=layout)
        assert isinstance(voice, av.AudioStream)
        for number, pattern in enumerate(moving_pattern(1.0, width=96, height=64)):
            frame = av.VideoFrame.from_ndarray(pattern, format="rgb24").reformat(format=pixels)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(picture.encode(frame))
        container.mux(picture.encode(None))
        samples = np.tile(tone(1.0), (voice.codec_context.channels, 1)).astype(np.float32)
        for start in range(0, RATE_HZ, 960):
            block = av.AudioFrame.from_ndarray(
                np.ascontiguousarray(samples[:, start : start + 960]), format="fltp", layout=layout
            )
            block.sample_rate, block.pts, block.time_base = RATE_HZ, start, Fraction(1, RATE_HZ)
            for piece in av.AudioResampler(voice.format.name, layout, RATE_HZ).resample(block):
                container.mux(voice.encode(piece))
        container.mux(voice.encode(None))
    return path


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "more", "notes"),
    [
        ("v.mp4", "libx265", "yuv420p", {"options": {"x265-params": "log-level=none"}}, ["picture"]),
        ("v.mkv", "libvpx-vp9", "yuv420p", {"sound": "libopus"}, ["picture", "sound"]),
        ("v.mp4", "libx264", "yuv444p", {}, ["picture"]),
        ("v.mp4", "libx264", "yuv420p10le", {}, ["picture"]),
        ("v.mov", "libx264", "yuv420p", {"sound": "pcm_s16le", "layout": "stereo"}, ["sound"]),
        ("v.mov", "prores_ks", "yuv422p10le", {"sound": "pcm_s16le"}, ["picture", "sound"]),
        ("v.mov", "qtrle", "argb", {}, ["picture"]),
        ("v.mp4", "mpeg4", "yuv420p", {}, ["picture"]),
        ("v.mp4", "libx264", "yuv420p", {"layout": "5.1"}, ["sound"]),
        ("v.mkv", "libx264", "yuv420p", {"options": {"bf": "3", "g": "10"}}, []),
        ("v.mp4", "libx264", "yuv420p", {"options": {"profile": "baseline"}, "layout": "stereo"}, []),
        ("v.ts", "libx264", "yuv420p", {}, ["picture", "sound"]),
    ],
)
def test_whatever_a_video_is_its_copy_is_h264_and_aac_of_the_same_length(
    name: str, codec: str, pixels: str, more: dict[str, Any], notes: list[str], tmp_path: Path
) -> None:
    if codec not in av.codec.codecs_available:
        pytest.skip(f"FFmpeg has no {codec} here")
    video = write_with(tmp_path / name, codec, pixels, **more)

    copy = make_blind_copy(video, tmp_path / "copy.mp4")

    assert [note.split()[1] for note in copy.notes if "encoded anew" in note] == notes
    with av.open(str(tmp_path / "copy.mp4")) as container:
        kinds = [
            (stream.codec_context.name, getattr(stream, "pix_fmt", None)) for stream in container.streams
        ]
        assert kinds == [("h264", "yuv420p"), ("aac", None)]
    assert len(frames_of(tmp_path / "copy.mp4")[0]) == 25
    assert copy.duration_s == pytest.approx(1.0, abs=0.08)
    start_s, sound = sound_of(tmp_path / "copy.mp4")
    assert start_s == pytest.approx(0.0, abs=0.03)
    assert np.abs(sound[0, 9600:38400]).max() == pytest.approx(0.1, abs=0.02)  # a tone that peaks at -20 dB
    assert find_leaks((tmp_path / "copy.mp4").read_bytes(), []) == []


def test_a_growing_file_of_the_reference_generator_is_copied(tmp_path: Path) -> None:
    sound = iter([tone(1.0).astype(np.float32)])
    with VideoWriter(tmp_path / "part.mp4", 96, 64, Fraction(25), sound) as writer:
        for frame in moving_pattern(1.0, width=96, height=64):
            writer.write(frame)
    settle(tmp_path / "part.mp4", tmp_path / "video.mp4")

    for name in ("part.mp4", "video.mp4"):
        assert make_blind_copy(tmp_path / name, tmp_path / "copy.mp4").notes == ()
        assert find_leaks((tmp_path / name).read_bytes(), []), "the generator's encoders sign their work"
        assert find_leaks((tmp_path / "copy.mp4").read_bytes(), []) == []


def test_what_an_edit_list_hides_stays_hidden(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", flash_and_click(), sound=click(0.0))
    with av.open(str(whole)) as source, av.open(str(tmp_path / "cut.mp4"), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None or packet.pts is None:
                continue
            ticks = round(Fraction(6, 25) / packet.time_base)  # the first six frames lie before the beginning
            packet.pts -= ticks
            packet.dts -= ticks
            packet.stream = streams[packet.stream.index]
            target.mux(packet)
    n_shown = len(frames_of(tmp_path / "cut.mp4")[0])

    copy = make_blind_copy(tmp_path / "cut.mp4", tmp_path / "copy.mp4")

    assert n_shown == len(frames_of(tmp_path / "copy.mp4")[0]) == 44
    assert frames_of(tmp_path / "copy.mp4")[0][0] == pytest.approx(0.0, abs=0.001)
    assert abs(measured_offset_s(tmp_path / "copy.mp4")) < 0.02
    assert copy.duration_s == pytest.approx(1.76, abs=0.05)


def test_subtitles_chapters_and_covers_are_left_out(clip: Path, tmp_path: Path) -> None:
    video = tmp_path / "v.mkv"
    with av.open(str(clip)) as source, av.open(str(video), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        target.add_attachment("steps=4.txt", "text/plain", b"guidance=7.5")
        target.set_chapters(
            [
                {
                    "id": 1,
                    "start": 0,
                    "end": 1000,
                    "time_base": Fraction(1, 1000),
                    "metadata": {"title": "steps=4"},
                }
            ]
        )
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    assert set(find_leaks(video.read_bytes(), ["steps", "guidance"])) >= {"steps", "guidance"}

    make_blind_copy(video, tmp_path / "copy.mp4")

    assert find_leaks((tmp_path / "copy.mp4").read_bytes(), ["steps", "guidance"]) == []
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


@pytest.mark.parametrize(
    "element",
    [
        # FIL (110), count 1111 and 0001010 + escape: 15 + 11 - 1 = 25 bytes, of which the first holds kind 0
        "110" + "1111" + "00001011",
        # DSE (100), tag 0000, aligned (1), 25 bytes; then zeros up to the next whole byte
        "100" + "0000" + "1" + "00011001",
    ],
)
def test_texts_before_the_sound_are_blanked_and_nothing_else_is(element: str) -> None:
    head = element + "0" * (-len(element) % 8) if element.startswith("100") else element + "0000"
    head += "0" * (-len(head) % 8)
    n_bits = (len(element) + 25 * 8) if element.startswith("110") else (len(head) + 25 * 8)
    words = "".join(f"{byte:08b}" for byte in b"made with 4 steps!!!")
    bits = (head + words).ljust(n_bits, "0") + "111" + "1010101"  # END, and what must not be touched
    bits += "0" * (-len(bits) % 8)
    packet = int(bits, 2).to_bytes(len(bits) // 8, "big")

    blanked = blank_texts(packet)

    assert b"4 steps" in packet
    assert b"steps" not in blanked
    assert len(blanked) == len(packet)
    start = len(element) if element.startswith("110") else len(head)
    told = f"{int.from_bytes(blanked, 'big'):0{len(bits)}b}"
    assert told == bits[:start] + "0" * (n_bits - start) + bits[n_bits:]


@pytest.mark.parametrize(
    ("content", "code"), [(b"", "empty_file"), (b"no video at all" * 50, "not_media"), (None, "missing_file")]
)
@pytest.mark.parametrize("make", [make_blind_copy, lambda video, out: make_broken_copy(video, out, 1)])
def test_broken_media_are_an_error_that_names_the_file(
    make: object, content: bytes | None, code: str, tmp_path: Path
) -> None:
    video = tmp_path / "video.mp4"
    if content is not None:
        video.write_bytes(content)

    with pytest.raises(ClipError, match=r"video\.mp4") as error:
        make(video, tmp_path / "out.mp4")  # type: ignore[operator]

    assert error.value.code == code
    assert sorted(path.name for path in tmp_path.iterdir()) == ([] if content is None else ["video.mp4"])


def test_sound_alone_is_nothing_to_look_at(tmp_path: Path) -> None:
    sound = write_clip(tmp_path / "s.m4a", sound=tone(1.0))

    with pytest.raises(ClipError, match="no picture"):
        make_blind_copy(sound, tmp_path / "out.mp4")


def test_damage_in_the_middle_is_said_and_the_rest_is_shown(clip: Path, tmp_path: Path) -> None:
    data = bytearray(clip.read_bytes())
    with av.open(str(clip)) as container:
        packet = [packet for packet in container.demux(video=0) if packet.size][25]
        assert packet.pos is not None
        data[packet.pos : packet.pos + packet.size] = b"\xff" * packet.size
    video = tmp_path / "damaged.mp4"
    video.write_bytes(data)

    copy = make_blind_copy(video, tmp_path / "out.mp4")

    assert any("damaged" in note for note in copy.notes)
    assert frames_of(tmp_path / "out.mp4")[0][-1] == pytest.approx(1.96, abs=0.001)


def test_a_broken_copy_is_coarse_frozen_and_as_loud(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "broken.mp4"

    copy = make_broken_copy(clip, out, seed=3)

    times_s, frames = frames_of(out)
    assert (copy.width, copy.height, len(frames)) == (160, 120, 50)
    steps = [np.abs(a.astype(int) - b).mean() for a, b in itertools.pairwise(frames)]
    moving = [
        step for time_s, step in zip(times_s[1:], steps, strict=True) if int(time_s / 0.5 + 1e-6) % 2 == 0
    ]
    frozen = [step for time_s, step in zip(times_s[1:], steps, strict=True) if int(time_s / 0.5 + 1e-6) % 2]
    assert max(frozen) < 0.5
    assert np.median(moving) > 2
    with av.open(str(out)) as container:
        picture = next(container.decode(video=0)).to_ndarray(format="gray").astype(int)
    assert np.abs(np.diff(picture[:, 2:14], axis=1)).mean() < 3  # within a block of 16 pixels
    _, noise = sound_of(out)
    _, sound = sound_of(clip)
    level_db, true_db = (20 * np.log10(np.sqrt(np.mean(part**2))) for part in (noise, sound))
    assert level_db == pytest.approx(true_db, abs=1.0)
    assert abs(np.corrcoef(noise[0, :40_000], sound[0, :40_000])[0, 1]) < 0.1
    assert not find_leaks(out.read_bytes(), ["steps"])


def test_another_seed_is_another_noise(clip: Path, tmp_path: Path) -> None:
    for seed in (1, 1, 2):
        make_broken_copy(clip, tmp_path / f"{seed}.mp4", seed)
    assert (tmp_path / "1.mp4").read_bytes() != (tmp_path / "2.mp4").read_bytes()


def test_leaks_are_found_in_every_coding() -> None:
    for code in ("utf-8", "utf-16-le", "utf-16-be"):
        assert find_leaks(b"\x01" + "STEPS 步数".encode(code) + b"\x02", ["steps", "步数", "seed"]) == [
            "steps",
            "步数",
        ]
    assert find_leaks(b"Lavf62.12.101 x264 - core 165", []) == ["Lavf62.", "x264 - "]


@pytest.mark.media
@pytest.mark.parametrize(
    "name",
    [
        "talking_generated/linly-talker_example_answer4.mp4",
        "talking_generated/sadtalker-video-lip-sync_wav2lip.mp4",
        "talking_real/video-retalking_face_1.mp4",
        "talking_real/liveportrait_d20.mp4",
    ],
)
def test_real_clips_are_copied_as_they_are(name: str, media_folder: Path, tmp_path: Path) -> None:
    copy = make_blind_copy(media_folder / name, tmp_path / "copy.mp4")

    assert copy.notes == ()
    assert find_leaks((tmp_path / "copy.mp4").read_bytes(), name.replace(".", "_").split("_")[1:2]) == []


@pytest.mark.media
@pytest.mark.parametrize(
    "name", ["talking_generated/sadtalker-video-lip-sync_sync_none.mp4", "talking_real/lipnet_bbaf2n.mpg"]
)
def test_real_clips_that_browsers_do_not_play_are_encoded_anew(
    name: str, media_folder: Path, tmp_path: Path
) -> None:
    copy = make_blind_copy(media_folder / name, tmp_path / "copy.mp4")

    assert "encoded anew" in copy.notes[0]
    with av.open(str(tmp_path / "copy.mp4")) as container:
        assert [stream.codec_context.name for stream in container.streams] == ["h264", "aac"]
