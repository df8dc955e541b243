"""Files that are not what they seem: a reason in one line, or what can be read and a note."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from evalkit.errors import ClipError
from evalkit.media import Decoded, Reader, probe
from evalkit.testing.media import moving_pattern, tone, write_clip
from evalkit.types import FrameChunk


def read_all(path: Path) -> Decoded:
    reader = Reader(probe(str(path)), sound_rates_hz=(None, 16_000))
    times_s = [time_s for chunk in reader if isinstance(chunk, FrameChunk) for time_s in chunk.times_s]
    assert times_s == sorted(set(times_s))
    return reader.decoded


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("good") / "clip.mp4", moving_pattern(3), sound=tone(3))


def text(path: Path) -> Path:
    path.write_text("Dear viewer,\n\nthis is a letter.\n" * 200, encoding="utf-8")
    return path


def noise(path: Path) -> Path:
    path.write_bytes(random.Random(0).randbytes(50_000))  # noqa: S311 - not for secrets
    return path


def nothing(path: Path) -> Path:
    path.touch()
    return path


def folder(path: Path) -> Path:
    path.mkdir()
    return path


def absent(path: Path) -> Path:
    return path


def dangling(path: Path) -> Path:
    path.symlink_to(path.with_name("nowhere"))
    return path


def pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("make", "name", "code", "words"),
    [
        (nothing, "empty.mp4", "empty_file", "is empty"),
        (text, "letter.mp4", "not_media", "not a video or sound file"),
        (noise, "noise.mp4", "not_media", "not a video or sound file"),
        (noise, "noise.avi", "not_media", "not a video or sound file"),
        (noise, "noise", "not_media", "not a video or sound file"),
        (folder, "folder.mp4", "not_a_file", "is not a file"),
        (absent, "absent.mp4", "missing_file", "there is no such file"),
        (dangling, "dangling.mp4", "missing_file", "there is no such file"),
        (pipe, "pipe.mp4", "not_a_file", "is not a file"),
    ],
)
def test_what_is_no_clip_is_refused_in_one_line(
    tmp_path: Path, make, name: str, code: str, words: str
) -> None:
    path = make(tmp_path / name)
    with pytest.raises(ClipError, match=words) as refused:
        probe(str(path))
    assert refused.value.code == code
    assert refused.value.path == str(path)
    assert "\n" not in str(refused.value)


def test_an_mp4_cut_before_its_index_is_refused(tmp_path: Path, clip: Path) -> None:
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    with pytest.raises(ClipError, match="not a video or sound file"):
        probe(str(cut))


def test_a_playlist_is_not_followed(tmp_path: Path, clip: Path) -> None:
    playlist = tmp_path / "list.mp4"
    playlist.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{clip}\n#EXT-X-ENDLIST\n", encoding="utf-8"
    )
    with pytest.raises(ClipError, match="not a video or sound file"):
        probe(str(playlist))


@pytest.mark.parametrize(
    "name",
    ["my clip.mp4", "讲话 视频.mp4", "a:b.mp4", "100%.mp4", "%03d.mp4", "-x.mp4", "été'\".mp4", "clip"],
)
def test_names_of_all_kinds_are_read(tmp_path: Path, clip: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(clip.read_bytes())
    assert read_all(path).n_frames == 75


def test_a_name_in_the_current_folder_is_read(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "-here.mp4").write_bytes(clip.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert read_all(Path("-here.mp4")).n_frames == 75


@pytest.mark.parametrize("suffix", [".avi", ".mpg", ".webm"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_cut_off_clip_is_read_as_far_as_it_goes_and_says_so(
    tmp_path: Path, suffix: str, share: float
) -> None:
    whole = write_clip(tmp_path / f"whole{suffix}", moving_pattern(4), sound=tone(4))
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    decoded = read_all(cut)
    assert 100 * share - 30 < decoded.n_frames < 100 * share + 30
    if suffix != ".mpg":  # a program stream announces nothing
        assert any("cut off" in note for note in decoded.notes)


def test_an_mp4_whose_end_is_missing_says_so(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mp4", moving_pattern(4), sound=tone(4))
    start = index_first(whole)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(start[: int(len(start) * 0.6)])
    decoded = read_all(cut)
    assert 20 < decoded.n_frames < 90
    assert any("cut off" in note for note in decoded.notes)


def index_first(path: Path) -> bytes:
    """Return a clip with its index before its data, as made for the web."""
    import av

    target = path.with_name("web.mp4")
    with (
        av.open(str(path)) as reading,
        av.open(str(target), "w", options={"movflags": "faststart"}) as writing,
    ):
        streams = {stream.index: writing.add_stream_from_template(stream) for stream in reading.streams}
        for packet in reading.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream.index]
                writing.mux(packet)
    return target.read_bytes()


def test_a_separate_sound_without_sound_is_refused(clip: Path, tmp_path: Path) -> None:
    mute = write_clip(tmp_path / "mute.mp4", moving_pattern(0.2))
    with pytest.raises(ClipError, match="has no sound that could replace") as refused:
        probe(str(clip), str(mute))
    assert refused.value.path == str(mute)


def test_an_unreadable_file_is_refused(tmp_path: Path, clip: Path) -> None:
    path = tmp_path / "secret.mp4"
    path.write_bytes(clip.read_bytes())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(ClipError, match="may not be read") as refused:
        probe(str(path))
    assert refused.value.code == "not_permitted"
