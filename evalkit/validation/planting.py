"""Write a clip with a fault in it: one decode, chunk by chunk, one encode."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from evalkit.media import Reader, probe
from evalkit.media.playable import find_obstacles, write_playable
from evalkit.media.wave import write_wave
from evalkit.types import AudioChunk, FrameChunk
from evalkit.validation.faults import BASES, Encoding
from evalkit.validation.mark_faults import as_drawn
from evalkit.validation.material import Unplantable, recorded_rates_hz

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from evalkit.media.playable import Part
    from evalkit.types import ClipFacts
    from evalkit.validation.faults import Fault
    from evalkit.validation.material import Material
    from evalkit.validation.picture_faults import Transform
    from evalkit.validation.sound_faults import Block

_BLOCK_S = 2.0
_SOUND: tuple[Part, ...] = ("sound",)


@dataclass(frozen=True, slots=True)
class Planted:
    """Where a damaged clip lies: what the fault did not touch is the clip's own file.

    Parameters
    ----------
    path : str
        The picture.
    audio_path : str or None
        The sound, where it is not that of `path`.
    """

    path: str
    audio_path: str | None


def plant(
    clip: Material,
    fault: Fault,
    dose: float,
    folder: Path,
    *,
    keep: Path | None = None,
    on_position: Callable[[float], None] | None = None,
) -> Planted:
    """Plant one dose of a fault in a clip.

    Parameters
    ----------
    clip : Material
    fault, dose
    folder : Path
        Where the damaged picture or sound is written.
    keep : Path, optional
        Gets the whole damaged clip, to be looked at: MP4 that browsers play.
    on_position : callable, optional
        Called now and then with the seconds that are written.

    Raises
    ------
    Unplantable
        If the clip has not what it takes.
    ClipError
        If the clip cannot be read.
    OSError
        If something cannot be written.
    """
    facts = probe(clip.survey.path)
    encoding = Encoding() if fault.encoding is None else fault.encoding(dose)
    if fault.sound is not None:
        out = _plant_sound(clip, facts, _blocks(clip, fault.sound(clip, dose), on_position), encoding, folder)
        if keep is not None:
            _keep_sound(facts, _blocks(clip, fault.sound(clip, dose), None), keep)
        return Planted(facts.path, str(out))
    if fault.picture is None:
        raise ValueError(f"the fault {fault.name!r} plants nothing")
    if facts.video is None:
        raise Unplantable("the file has no picture")
    transform = fault.picture(clip, dose)
    if clip.survey.brand_file is not None and fault.is_harmless and fault not in BASES:
        transform = _in_turn(as_drawn(clip, 0.0), transform)
    out = keep or folder / f"{fault.name}.mp4"
    # The sound goes along, as the clip's clock begins with whichever comes first; its own file is what is measured.
    has_sound = clip.survey.sound_file is not None
    anew: tuple[Part, ...] = ("picture", "sound") if has_sound else ("picture",)
    reader = Reader(facts, sound_rates_hz=recorded_rates_hz(facts) if has_sound else ())
    write_playable(
        facts if has_sound else replace(facts, audio=None),
        out,
        anew=anew,
        chunks=_change_pictures(reader, transform, on_position),
        crf=encoding.crf,
        preset=encoding.preset,
    )
    return Planted(str(out), clip.survey.path if facts.audio is not None else None)


def _plant_sound(
    clip: Material, facts: ClipFacts, chunks: Iterable[AudioChunk], encoding: Encoding, folder: Path
) -> Path:
    """Write the damaged sound alone, and return its file."""
    if encoding.sound_kbit_per_s is None:
        out = folder / "sound.wav"
        write_wave(out, chunks, clip.survey.sound_rate_hz)
    else:
        out = folder / "sound.m4a"
        write_playable(
            replace(facts, video=None),
            out,
            anew=_SOUND,
            chunks=chunks,
            sound_bits_per_s=1000 * encoding.sound_kbit_per_s,
        )
    return out


def _keep_sound(facts: ClipFacts, sound: Iterable[AudioChunk], keep: Path) -> None:
    """Write the clip with the damaged sound."""
    copied = facts.video is None or "picture" not in find_obstacles(facts)
    anew: tuple[Part, ...] = ("sound",) if copied else ("picture", "sound")
    write_playable(facts, keep, anew=anew, chunks=sound if copied else chain(Reader(facts), sound))


def _in_turn(first: Transform, then: Transform) -> Transform:
    return lambda chunks: then(first(chunks))


def _change_pictures(
    reader: Reader,
    transform: Callable[[Iterable[FrameChunk]], Iterator[FrameChunk]],
    on_position: Callable[[float], None] | None,
) -> Iterator[FrameChunk | AudioChunk]:
    """Give the changed pictures with the sound as it comes."""
    heard: list[AudioChunk] = []

    def pictures() -> Iterator[FrameChunk]:
        for chunk in reader:
            if isinstance(chunk, AudioChunk):
                heard.append(chunk)
                continue
            if on_position is not None:
                on_position(float(chunk.times_s[0]))
            yield chunk

    for chunk in transform(pictures()):
        yield from heard
        heard.clear()
        yield chunk
    yield from heard


def _blocks(
    clip: Material, block: Block, on_position: Callable[[float], None] | None
) -> Iterator[AudioChunk]:
    rate_hz, n = clip.survey.sound_rate_hz, len(clip.samples)
    step = max(1, round(_BLOCK_S * rate_hz))
    for first in range(0, n, step):
        samples = block(first, min(n, first + step))
        if on_position is not None:
            on_position(first / rate_hz)
        yield AudioChunk(first / rate_hz, rate_hz, samples)
