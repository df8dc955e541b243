"""Real clips beside the same with the sound moved: eight pairs decide, by the limits of the bundled policy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import pytest

import evalkit
from evalkit.decisions.comparison import Conclusion

if TYPE_CHECKING:
    from pathlib import Path

KINDS = ("lipnet_", "talking-face_pc-avs_")
"""The sets of which every clip is in sync: eight clips."""


def write_moved(clip: Path, out: Path, by_s: float) -> None:
    """Copy a clip with its sound moved later by so many seconds; nothing is encoded again."""
    with av.open(str(clip)) as source, av.open(str(out), "w") as target:
        picture, sound = source.streams.video[0], source.streams.audio[0]
        copies = {stream.index: target.add_stream_from_template(stream) for stream in (picture, sound)}
        for packet in source.demux(picture, sound):
            if packet.dts is None or packet.pts is None:
                continue
            if packet.stream.type == "audio":
                move = round(by_s / packet.time_base)
                packet.pts, packet.dts = packet.pts + move, packet.dts + move
            packet.stream = copies[packet.stream.index]
            target.mux(packet)


@pytest.mark.slow
@pytest.mark.media
@pytest.mark.parametrize("by_ms", [120, -120])
def test_eight_real_clips_decide_that_sound_moved_by_120_ms_is_worse(
    media_folder: Path, tmp_path: Path, by_ms: int
) -> None:
    """Late sound takes six clips beyond the error that is asked first; early sound four, but all beyond the offsets."""
    clips = sorted(path for path in (media_folder / "talking_real").iterdir() if path.name.startswith(KINDS))
    assert len(clips) == 8
    for side, by_s in (("a", 0.0), ("b", by_ms / 1000)):
        (tmp_path / side).mkdir()
        for clip in clips:
            write_moved(clip, tmp_path / side / f"{clip.stem}.mkv", by_s)
    found = evalkit.compare(
        tmp_path / "a", tmp_path / "b", evaluators=["lip_sync"], policy="customer_service", jobs=2
    )
    error, offset = found["lip_sync.error"], found["lip_sync.offset_ms"]
    assert offset.change.moved.value == pytest.approx(-by_ms, abs=15)
    if by_ms > 0:
        assert error.finding is Conclusion.WORSE
        assert found.answer.startswith("B is worse in lip_sync.error, over 8 pairs.")
    else:
        assert offset.finding is Conclusion.WORSE
        assert offset.text.startswith("8 of 8 clips leave -125 to 45, none enters")
        assert error.finding is Conclusion.NOT_ENOUGH
