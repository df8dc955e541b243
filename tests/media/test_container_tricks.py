"""What containers can say beside pictures and sound: each trick with a truth that was planted."""

from __future__ import annotations

import itertools
import struct
from fractions import Fraction
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from evalkit.media import Decoded, Reader, probe
from evalkit.media.colours import Matrix
from evalkit.testing.media import corners, moving_pattern, tone, write_clip
from evalkit.types import AudioChunk, ClipFacts, FrameChunk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RATE_HZ = 16_000


def read(
    path: Path, chunk_frames: int = 32
) -> tuple[ClipFacts, list[np.ndarray], np.ndarray, np.ndarray, Decoded]:
    """Return the facts, the frames and their times, the sound in mono, and what was decoded."""
    facts = probe(str(path))
    reader = Reader(facts, sound_rates_hz=(RATE_HZ,), chunk_frames=chunk_frames)
    chunks = list(reader)
    pictures = [chunk for chunk in chunks if isinstance(chunk, FrameChunk)]
    sounds = [chunk.samples for chunk in chunks if isinstance(chunk, AudioChunk)]
    return (
        facts,
        [frame for chunk in pictures for frame in chunk.frames],
        np.concatenate([np.empty(0), *(chunk.times_s for chunk in pictures)]),
        np.concatenate([np.empty(0), *sounds]),
        reader.decoded,
    )


def remux(
    source: Path,
    target: Path,
    change: Callable[[av.Packet], bool] = lambda _: True,
    **options: str,
) -> Path:
    """Copy packet by packet, as ``-c copy`` does; keeps those for which `change`, which may alter them, is true."""
    with av.open(str(source)) as reading, av.open(str(target), "w", options=options) as writing:
        streams = {stream.index: writing.add_stream_from_template(stream) for stream in reading.streams}
        for packet in reading.demux():
            stream = streams[packet.stream.index]
            if packet.dts is not None and change(packet):
                packet.stream = stream
                writing.mux(packet)
    return target


def moved(by_s: float, kind: str | None = None) -> Callable[[av.Packet], bool]:
    """Move the packets of one kind of stream, or all."""

    def change(packet: av.Packet) -> bool:
        if kind in {None, packet.stream.type}:
            ticks = round(by_s / packet.time_base)
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
        return True

    return change


def box_at(content: bytes, name: bytes, number: int = 0) -> int:
    """Return where the contents of the `number`-th box of a name begin."""
    place = -1
    for _ in range(number + 1):
        place = content.index(name, place + 1)
    return place + 4


# --- mirrored and turned


EIGHT = [sides for a, b in itertools.product((-1, 1), repeat=2) for sides in ((a, 0, 0, b), (0, a, b, 0))]


@pytest.mark.parametrize("matrix", EIGHT)
def test_a_display_matrix_is_followed_point_by_point(tmp_path: Path, matrix: tuple[int, ...]) -> None:
    """ISO/IEC 14496-12, 8.3.2: a point (p, q) is shown at (a p + c q + x, b p + d q + y)."""
    a, b, c, d = matrix
    path = write_clip(tmp_path / "clip.mp4", [corners()] * 3)
    content = bytearray(path.read_bytes())
    first = box_at(content, b"tkhd") + 40
    fixed = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    content[first : first + 36] = struct.pack(">9i", *fixed)
    path.write_bytes(content)

    stored = corners()
    q, p = np.mgrid[: stored.shape[0], : stored.shape[1]]
    across, down = a * p + c * q, b * p + d * q
    across, down = across - across.min(), down - down.min()
    expected = np.zeros((down.max() + 1, across.max() + 1, 3), np.uint8)
    expected[down, across] = stored

    facts, frames, *_ = read(path)
    assert facts.video is not None
    assert (facts.video.height, facts.video.width) == expected.shape[:2]
    assert np.abs(frames[0].astype(int) - expected).mean() < 12
    assert facts.video.is_mirrored == (a * d - b * c < 0)
    assert any("stored mirrored" in note for note in facts.notes) == facts.video.is_mirrored
    as_told = stored[:, ::-1] if facts.video.is_mirrored else stored
    np.testing.assert_array_equal(np.rot90(as_told, facts.video.rotation_deg // 90), expected)


@pytest.mark.parametrize("suffix", [".mov", ".mkv", ".webm"])
def test_mirrored_pictures_of_all_containers_are_set_right(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mirrored{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx" if suffix == ".webm" else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.set_display_rotation(0, hflip=True)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(corners()[:, ::-1]), format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    facts, frames, *_ = read(path)
    assert facts.video is not None
    assert facts.video.is_mirrored
    assert np.abs(frames[0].astype(int) - corners()).mean() < 25


def test_a_crooked_turn_is_said(tmp_path: Path) -> None:
    path = tmp_path / "crooked.mov"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.set_display_rotation(73)
        frame = av.VideoFrame.from_ndarray(corners(), format="rgb24")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        container.mux([*stream.encode(frame), *stream.encode(None)])
    facts, frames, *_ = read(path)
    assert facts.notes == (
        "the file asks for a turn that is 17° from a quarter turn; the picture is measured turned by 90°",
    )
    assert frames[0].shape == (96, 64, 3)


# --- several tracks


def two_sounds(path: Path, default: int | None) -> Path:
    """Write 300 Hz, then 1200 Hz, as two tracks."""
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("aac", rate=RATE_HZ, layout="mono") for _ in range(2)]
        for place, stream in enumerate(streams):
            stream.disposition = av.stream.Disposition(int(place == default))
        for stream, frequency_hz in zip(streams, (300, 1200), strict=True):
            sound = tone(1, frequency_hz=frequency_hz, rate_hz=RATE_HZ).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
            container.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def pitch_hz(sound: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(sound)).argmax() * RATE_HZ / sound.size)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("default", "expected_hz", "note"),
    [
        (0, 300, "the file has 2 sound tracks; number 1 is measured (the default one)"),
        (1, 1200, "the file has 2 sound tracks; number 2 is measured (the default one)"),
    ],
)
def test_the_default_sound_is_measured_and_the_choice_is_said(
    tmp_path: Path, suffix: str, default: int, expected_hz: float, note: str
) -> None:
    facts, _, _, sound, _ = read(two_sounds(tmp_path / f"two{suffix}", default))
    assert pitch_hz(sound) == pytest.approx(expected_hz, abs=3)
    assert facts.notes == (note,)


def test_the_first_sound_is_measured_where_none_is_the_default(tmp_path: Path) -> None:
    facts, _, _, sound, _ = read(two_sounds(tmp_path / "two.mkv", None))
    assert pitch_hz(sound) == pytest.approx(300, abs=3)
    assert facts.notes == ("the file has 2 sound tracks; number 1 is measured (none is the default)",)


def test_the_default_picture_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=25) for _ in range(2)]
        streams[0].disposition = av.stream.Disposition(0)
        streams[1].disposition = av.stream.Disposition.default
        for stream, width in zip(streams, (64, 96), strict=True):
            stream.width, stream.height, stream.pix_fmt = width, 64, "yuv420p"
        for stream, (width, level) in zip(streams, ((64, 40), (96, 200)), strict=True):
            for index in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((64, width, 3), level, np.uint8), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    facts, frames, *_ = read(path)
    assert facts.video is not None
    assert facts.video.width == 96
    assert {frame.shape for frame in frames} == {(64, 96, 3)}
    assert frames[0].mean() == pytest.approx(200, abs=4)
    assert facts.notes == ("the file has 2 picture tracks; number 2 is measured (the default one)",)


# --- channels that cancel


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".m4a"])
def test_an_inverted_channel_silences_nothing(tmp_path: Path, suffix: str) -> None:
    voice = tone(3, level_dbfs=-12, rate_hz=RATE_HZ)
    path = write_clip(
        tmp_path / f"inverted{suffix}", sound=np.stack([voice, -voice], axis=1), rate_hz=RATE_HZ
    )
    *_, sound, decoded = read(path)
    level = np.sqrt((sound[RATE_HZ : 2 * RATE_HZ] ** 2).mean())
    assert level == pytest.approx(np.sqrt((voice**2).mean()), rel=0.02)
    assert any("cancel each other" in note and "the loudest" in note for note in decoded.notes)


@pytest.mark.parametrize("gains", [(1, -0.5), (-0.7, 1), (0.02, 1), (1, 1), (1, 0)])
def test_of_one_voice_in_both_channels_something_is_always_heard(
    tmp_path: Path, gains: tuple[float, float]
) -> None:
    voice = tone(2, level_dbfs=-12, rate_hz=RATE_HZ)
    path = write_clip(
        tmp_path / "voice.wav", sound=np.stack([gain * voice for gain in gains], axis=1), rate_hz=RATE_HZ
    )
    *_, sound, _ = read(path)
    loss_db = 20 * np.log10(np.abs(voice).max() * max(np.abs(gains)) / np.abs(sound).max())
    assert -0.1 < loss_db < 6.1


def test_unrelated_channels_are_mixed_without_a_word(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    sound = 0.1 * random.normal(size=(3 * RATE_HZ, 2))
    *_, heard, decoded = read(write_clip(tmp_path / "wide.wav", sound=sound, rate_hz=RATE_HZ))
    np.testing.assert_allclose(heard, sound.mean(axis=1), atol=1e-4)
    assert decoded.notes == []


def test_silence_in_both_channels_stays_silence(tmp_path: Path) -> None:
    *_, heard, decoded = read(
        write_clip(tmp_path / "still.wav", sound=np.zeros((RATE_HZ, 2)), rate_hz=RATE_HZ)
    )
    assert not heard.any()
    assert decoded.notes == []


def test_a_channel_inverted_for_a_while_is_heard_there_too(tmp_path: Path) -> None:
    voice = tone(4, level_dbfs=-12, rate_hz=RATE_HZ)
    other = voice * np.where(np.arange(voice.size) < 2 * RATE_HZ, 1, -1)
    *_, heard, decoded = read(
        write_clip(tmp_path / "part.wav", sound=np.stack([voice, other], axis=1), rate_hz=RATE_HZ)
    )
    np.testing.assert_allclose(heard, voice, atol=1e-3)
    assert any("cancel each other for 2.0 s" in note for note in decoded.notes)


def test_rumble_in_the_effects_channel_is_not_speech(tmp_path: Path) -> None:
    sound = np.zeros((2 * RATE_HZ, 6))
    sound[:, 2] = tone(2, level_dbfs=-20, rate_hz=RATE_HZ)
    sound[:, 3] = tone(2, frequency_hz=50, level_dbfs=-1, rate_hz=RATE_HZ)
    *_, heard, _ = read(write_clip(tmp_path / "surround.wav", sound=sound, rate_hz=RATE_HZ))
    np.testing.assert_allclose(heard, sound[:, 2] / 5, atol=1e-3)


# --- samples that are no numbers


def float_wav(path: Path, samples: np.ndarray) -> Path:
    data = samples.astype("<f4").tobytes()
    head = struct.pack("<4sI4s", b"RIFF", 36 + len(data), b"WAVE")
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, RATE_HZ, 4 * RATE_HZ, 4, 32)
    path.write_bytes(head + form + struct.pack("<4sI", b"data", len(data)) + data)
    return path


@pytest.mark.parametrize("wrong", [np.inf, -np.inf, np.nan, 3e38, -1e7])
def test_a_sample_that_is_no_sound_is_silence_and_is_counted(tmp_path: Path, wrong: float) -> None:
    voice = tone(2, rate_hz=RATE_HZ)
    voice[5000:5003] = wrong
    *_, heard, decoded = read(float_wav(tmp_path / "broken.wav", voice))
    voice[5000:5003] = 0
    np.testing.assert_allclose(heard, voice, atol=1e-6)
    assert decoded.notes == [
        "3 sound samples are no finite numbers, or far beyond full scale; they count as silence"
    ]


@pytest.mark.parametrize("level", [1e-40, 1e-30, 32768.0])
def test_quiet_and_loud_floats_are_taken_as_they_are(tmp_path: Path, level: float) -> None:
    *_, heard, decoded = read(
        float_wav(tmp_path / "level.wav", level * tone(1, level_dbfs=0, rate_hz=RATE_HZ))
    )
    assert np.abs(heard).max() == pytest.approx(level, rel=1e-3)
    assert decoded.notes == []


# --- how long the last frame is shown


def held(path: Path, last_s: float, **options: str) -> Path:
    """Write 2.4 s at 25 frames a second, of which the last frame is shown for `last_s`."""
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libvpx" if path.suffix == ".webm" else "libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        packets = []
        for index, pixels in enumerate(moving_pattern(2.4)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = 40 * index, Fraction(1, 1000)
            packets += stream.encode(frame)
        for packet in (*packets, *stream.encode(None)):
            packet.duration = round(1000 * last_s) if packet.pts == 59 * 40 else 40
            container.mux(packet)
    return path


@pytest.mark.parametrize("last_s", [0.04, 0.3, 2.4])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_the_last_frame_is_shown_for_as_long_as_the_file_says(
    tmp_path: Path, suffix: str, last_s: float
) -> None:
    *_, decoded = read(held(tmp_path / f"held{suffix}", last_s))
    assert decoded.n_frames == 60
    assert decoded.picture_end_s == pytest.approx(2.36 + last_s, abs=0.002)
    assert decoded.notes == []


@pytest.mark.parametrize("chunk_frames", [1, 7, 30, 60])
def test_the_end_comes_with_the_last_chunk_alone(tmp_path: Path, chunk_frames: int) -> None:
    facts = probe(str(held(tmp_path / "held.mp4", 2.4)))
    chunks = [chunk for chunk in Reader(facts, chunk_frames=chunk_frames) if isinstance(chunk, FrameChunk)]
    assert [chunk.end_s is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    assert chunks[-1].end_s == pytest.approx(4.76)
    assert sum(len(chunk.frames) for chunk in chunks) == 60


# --- whole files that look cut


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return six seconds with a key frame every two."""
    path = tmp_path_factory.mktemp("talk") / "talk.mp4"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("libx264", rate=25, options={"g": "50", "sc_threshold": "0"})
        picture.width, picture.height, picture.pix_fmt = 160, 120, "yuv420p"
        voice = container.add_stream("aac", rate=RATE_HZ, layout="mono")
        for index, pixels in enumerate(moving_pattern(6)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(picture.encode(frame))
        sound = av.AudioFrame.from_ndarray(
            tone(6, rate_hz=RATE_HZ).astype(np.float32)[None], format="fltp", layout="mono"
        )
        sound.sample_rate, sound.pts, sound.time_base = RATE_HZ, 0, Fraction(1, RATE_HZ)
        container.mux([*voice.encode(sound), *picture.encode(None), *voice.encode(None)])
    return path


def from_middle(start_s: float, key_s: float) -> Callable[[av.Packet], bool]:
    """Do what ``-ss start_s -c copy`` does: keep from the key frame on, with what lies before the start hidden."""

    def change(packet: av.Packet) -> bool:
        first_s = key_s if packet.stream.type == "video" else start_s
        if packet.pts * packet.time_base < first_s - 1e-6:
            return False
        return moved(-start_s)(packet)

    return change


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_frames_that_an_edit_list_hides_are_not_missed(tmp_path: Path, talk: Path, suffix: str) -> None:
    path = remux(talk, tmp_path / f"part{suffix}", from_middle(3.6, 2.0))
    facts, _, times_s, _, decoded = read(path)
    assert facts.video is not None
    assert facts.video.n_announced_frames == 100
    assert (decoded.n_frames, decoded.n_hidden) == (60, 40)
    assert times_s[0] == pytest.approx(0, abs=0.05)
    assert decoded.notes == []


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_cut_file_with_an_edit_list_is_still_found(tmp_path: Path, talk: Path, share: float) -> None:
    path = remux(talk, tmp_path / "part.mp4", from_middle(3.6, 2.0), movflags="faststart")
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    *_, decoded = read(path)
    assert 0 < decoded.n_frames < 60
    assert any("cut off" in note for note in decoded.notes)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".ts"])
@pytest.mark.parametrize(("kind", "by_s"), [("video", 2.0), ("audio", 2.0), (None, 2.0), (None, 3600.0)])
def test_a_late_stream_or_clock_is_not_a_cut(
    tmp_path: Path, talk: Path, suffix: str, kind: str | None, by_s: float
) -> None:
    *_, decoded = read(remux(talk, tmp_path / f"late{suffix}", moved(by_s, kind)))
    assert decoded.n_frames == 150
    assert decoded.notes == []


@pytest.mark.parametrize("by_s", [0.0, 2.0, 3600.0])
def test_a_cut_matroska_with_a_late_clock_is_still_found(tmp_path: Path, talk: Path, by_s: float) -> None:
    path = remux(talk, tmp_path / "late.mkv", moved(by_s))
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    *_, decoded = read(path)
    assert any("cut off" in note for note in decoded.notes)


def test_a_length_that_is_only_estimated_is_no_announcement(tmp_path: Path) -> None:
    """Half speech-like sound, half silence: the bit rate of the beginning is not that of the whole."""
    sound = np.zeros(60 * RATE_HZ)
    sound[: 2 * RATE_HZ] = 1e-4 * np.random.default_rng(0).normal(size=2 * RATE_HZ)
    sound[30 * RATE_HZ :] = np.random.default_rng(1).normal(0, 0.2, 30 * RATE_HZ)
    whole = write_clip(tmp_path / "whole.m4a", sound=sound, rate_hz=RATE_HZ)
    *_, heard, decoded = read(remux(whole, tmp_path / "raw.aac"))
    assert heard.size / RATE_HZ == pytest.approx(60, abs=0.2)
    assert decoded.notes == []


# --- joined files


@pytest.mark.parametrize(("suffix", "n_pieces"), [(".ts", 3), (".mpg", 3), (".mkv", 2)])
def test_joined_files_are_measured_whole(tmp_path: Path, talk: Path, suffix: str, n_pieces: int) -> None:
    if suffix == ".mpg":
        piece = write_clip(tmp_path / "piece.mpg", moving_pattern(6), sound=tone(6))
    else:
        piece = remux(talk, tmp_path / f"piece{suffix}")
    joined = tmp_path / f"joined{suffix}"
    joined.write_bytes(piece.read_bytes() * n_pieces)
    *_, times_s, sound, decoded = read(joined)
    assert decoded.n_frames == pytest.approx(150 * n_pieces, abs=2)
    assert times_s[-1] == pytest.approx(6 * n_pieces, abs=0.3)
    assert np.diff(times_s).min() > 0
    assert np.diff(times_s).max() < 0.2
    assert sound.size / RATE_HZ == pytest.approx(6 * n_pieces, abs=0.3)
    assert decoded.n_pieces == n_pieces
    (note,) = [note for note in decoded.notes if "damaged" not in note]
    assert "starts anew at 6." in note


@pytest.mark.parametrize("suffix", [".mp4", ".flv"])
def test_a_joined_file_that_cannot_be_read_on_is_said(tmp_path: Path, suffix: str) -> None:
    """Players show the first piece alone."""
    long = write_clip(tmp_path / "long.mp4", moving_pattern(6), sound=tone(6))
    piece = remux(long, tmp_path / f"piece{suffix}")
    *_, decoded = read(piece)
    assert decoded.notes == []
    joined = tmp_path / f"joined{suffix}"
    joined.write_bytes(piece.read_bytes() * 2)
    *_, decoded = read(joined)
    assert decoded.n_frames == 150
    (note,) = decoded.notes
    assert "belong to no track: is another file joined to its end?" in note


@pytest.mark.parametrize("starts_s", [(5000.0, 0.0), (0.0, 5000.0)])
def test_pieces_of_any_clock_are_joined(tmp_path: Path, talk: Path, starts_s: tuple[float, float]) -> None:
    pieces = [remux(talk, tmp_path / f"{place}.ts", moved(start_s)) for place, start_s in enumerate(starts_s)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(piece.read_bytes() for piece in pieces))
    *_, times_s, sound, decoded = read(joined)
    assert decoded.n_frames == 300
    assert times_s[-1] == pytest.approx(12, abs=0.3)
    assert sound.size / RATE_HZ == pytest.approx(12, abs=0.3)
    assert not any("cut off" in note for note in decoded.notes)


def test_sound_that_pauses_for_minutes_is_no_joint(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", moving_pattern(150, fps=2), fps=2, sound=tone(150))

    def pause(packet: av.Packet) -> bool:
        return packet.stream.type == "video" or not 20 < packet.pts * packet.time_base < 100

    *_, times_s, _, decoded = read(remux(whole, tmp_path / "pause.ts", pause))
    assert decoded.n_pieces == 1
    assert times_s[-1] == pytest.approx(149.5, abs=0.3)


# --- colours


def patches(width: int = 96, height: int = 64) -> np.ndarray:
    """Return 24 colours, large enough that subsampled chroma leaves their middles alone."""
    colours = np.random.default_rng(3).integers(20, 236, (4, 6, 3))
    return np.kron(colours, np.ones((height // 4, width // 6, 1))).astype(np.uint8)


def coded(path: Path, frame: av.VideoFrame, matrix: int, full: bool = False) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = frame.width, frame.height, frame.format.name
        stream.codec_context.colorspace = matrix
        stream.codec_context.color_range = 2 if full else 1
        for index in range(3):
            frame.pts, frame.time_base = index, Fraction(1, 25)
            frame.colorspace, frame.color_range = matrix, 2 if full else 1
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def in_matrix(rgb: np.ndarray, red: float, blue: float) -> av.VideoFrame:
    """Return YUV 4:4:4 in limited range by the equations of BT.709 and its kin."""
    r, g, b = np.moveaxis(rgb / 255, -1, 0)
    luma = red * r + (1 - red - blue) * g + blue * b
    planes = [
        16 + 219 * luma,
        128 + 224 * (b - luma) / (2 - 2 * blue),
        128 + 224 * (r - luma) / (2 - 2 * red),
    ]
    return av.VideoFrame.from_ndarray(np.rint(planes).astype(np.uint8), format="yuv444p")


def middles(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    return frame[height // 8 :: height // 4, width // 12 :: width // 6].astype(int)


@pytest.mark.parametrize("full", [False, True])
def test_ycgco_is_decoded_exactly(tmp_path: Path, full: bool) -> None:
    rgb = patches()
    r, g, b = np.moveaxis(rgb / 255, -1, 0)
    luma, green, orange = 0.25 * r + 0.5 * g + 0.25 * b, -0.25 * r + 0.5 * g - 0.25 * b, 0.5 * r - 0.5 * b
    low, luma_range, chroma_range = (0, 255, 255) if full else (16, 219, 224)
    planes = np.rint(
        [low + luma_range * luma, 128 + chroma_range * green, 128 + chroma_range * orange]
    ).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(planes, format="yuv444p")
    _, frames, _, _, decoded = read(coded(tmp_path / "ycgco.mp4", frame, Matrix.YCGCO, full))
    assert np.abs(middles(frames[0]) - middles(rgb)).max() <= 6
    assert decoded.notes == []
    assert decoded.n_frames == 3


@pytest.mark.parametrize("matrix", [Matrix.BT2020_CL, Matrix.ICTCP, Matrix.CHROMA_DERIVED_NCL])
def test_colours_that_cannot_be_decoded_exactly_are_said(tmp_path: Path, matrix: Matrix) -> None:
    _, frames, _, _, decoded = read(coded(tmp_path / "odd.mp4", in_matrix(patches(), 0.2627, 0.0593), matrix))
    assert decoded.n_frames == len(frames) == 3
    assert decoded.n_damaged == 0
    (note,) = decoded.notes
    assert f"tagged {matrix.name}" in note
    assert "approximate" in note
    assert np.abs(middles(frames[0]) - middles(patches())).mean() < 20


@pytest.mark.parametrize(
    ("width", "height", "red", "blue"),
    [
        (1284, 64, 0.2126, 0.0722),
        (960, 720, 0.2126, 0.0722),
        (720, 1280, 0.2126, 0.0722),
        (720, 576, 0.299, 0.114),
        (96, 64, 0.299, 0.114),
    ],
)
@pytest.mark.parametrize("tag", [Matrix.UNSPECIFIED, Matrix.RESERVED])
def test_a_picture_without_a_tag_is_taken_as_players_take_it(
    tmp_path: Path, width: int, height: int, red: float, blue: float, tag: int
) -> None:
    """BT.709 from high definition on, BT.601 below."""
    rgb = patches(width, height)
    _, frames, *_ = read(coded(tmp_path / "plain.mp4", in_matrix(rgb, red, blue), tag))
    assert np.abs(middles(frames[0]) - middles(rgb)).max() <= 6


@pytest.mark.parametrize(("tag", "red", "blue"), [(1, 0.2126, 0.0722), (6, 0.299, 0.114), (9, 0.2627, 0.0593)])  # fmt: skip
@pytest.mark.parametrize(("width", "height"), [(96, 64), (1284, 720)])
def test_a_tag_counts_whatever_the_size(
    tmp_path: Path, tag: int, red: float, blue: float, width: int, height: int
) -> None:
    rgb = patches(width, height)
    _, frames, *_ = read(coded(tmp_path / "tagged.mp4", in_matrix(rgb, red, blue), tag))
    assert np.abs(middles(frames[0]) - middles(rgb)).max() <= 6


def test_the_sound_of_an_avi_goes_on_where_it_ended(tmp_path: Path) -> None:
    """FFmpeg gives a packet of AAC that is larger than the header's block the time of two: 14 holes in 5 s."""
    path = tmp_path / "clip.avi"
    loud = np.random.default_rng(0).normal(0, 0.2, 4 * RATE_HZ) * (np.arange(4 * RATE_HZ) // 4000 % 2)
    with av.open(str(path), "w") as writing:
        picture = writing.add_stream("mpeg4", rate=25)
        picture.width, picture.height, picture.pix_fmt = 160, 120, "yuv420p"
        sound = writing.add_stream("aac", rate=RATE_HZ, layout="mono")
        sound.bit_rate = 64_000
        for frame in moving_pattern(4.0):
            writing.mux(picture.encode(av.VideoFrame.from_ndarray(frame)))
        writing.mux(picture.encode(None))
        voice = av.AudioFrame.from_ndarray(loud[None].astype(np.float32), format="fltp", layout="mono")
        voice.sample_rate = RATE_HZ
        writing.mux(sound.encode(voice))
        writing.mux(sound.encode(None))
    *_, heard, decoded = read(path)
    assert decoded.sound_end_s == pytest.approx(4.0, abs=0.13)  # AAC comes in 64 ms, one before the first
    assert heard.size == pytest.approx(4 * RATE_HZ, abs=0.13 * RATE_HZ)
    assert not decoded.notes


def test_an_avi_whose_pictures_stay_for_several_ticks_is_whole(tmp_path: Path) -> None:
    """Its header counts ticks, those without a picture of their own included."""
    path = tmp_path / "clip.avi"
    with av.open(str(path), "w") as writing:
        picture = writing.add_stream("mpeg4", rate=100)
        picture.width, picture.height, picture.pix_fmt = 160, 120, "yuv420p"
        for number, frame in enumerate(moving_pattern(4.0)):
            shown = av.VideoFrame.from_ndarray(frame)
            shown.pts, shown.time_base = 4 * number, Fraction(1, 100)
            writing.mux(picture.encode(shown))
        writing.mux(picture.encode(None))
    _, frames, times_s, _, decoded = read(path)
    assert len(frames) == 100
    assert times_s[-1] - times_s[0] == pytest.approx(3.96, abs=0.05)
    assert not decoded.notes
