"""The faults that are planted: one entry each. Which metric is meant to see a fault is decided here, before any is measured.

A dose has the same unit for every clip, and goes from just noticeable to gross. A fault that changes nothing that a viewer
would mind is *harmless*: what it moves is what a metric's value means nothing below.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from evalkit.errors import UsageError
from evalkit.formatting import three_digits
from evalkit.validation import mark_faults, mouth_faults, picture_faults, sound_faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from evalkit.validation.material import Material
    from evalkit.validation.picture_faults import Transform
    from evalkit.validation.sound_faults import Block

    PlantSound: TypeAlias = Callable[[Material, float], Block]
    PlantPicture: TypeAlias = Callable[[Material, float], Transform]

Way: TypeAlias = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How what is planted is written.

    Parameters
    ----------
    crf : int
        Constant rate factor of the picture; 12 is not told from the original.
    preset : str
        How hard x264 tries.
    sound_kbit_per_s : int or None
        Of AAC; None for sound without loss.
    """

    crf: int = 12
    preset: str = "ultrafast"
    sound_kbit_per_s: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that can be wrong with a clip.

    Parameters
    ----------
    name, title : str
        What options and files call it, and people.
    unit : str
        Of a dose.
    doses : tuple of float
        From just noticeable to gross.
    sound, picture : callable or None
        What plants it: one of the two.
    sees : str
        The metric that is meant to see it; empty for what is harmless.
    way : {"up", "down"}
        Where that metric goes.
    also : tuple of str
        Metrics that are shown beside it; nothing is promised of them.
    steady : tuple of str
        Metrics that it must not move.
    is_harmless : bool
        Whether no metric but those of `may_move` may move.
    may_move : tuple of str
        Metrics that a harmless change moves by their definition.
    encoding : callable or None
        How the dose is written, where that is the change.
    needs_brand : bool
    """

    name: str
    title: str
    unit: str
    doses: tuple[float, ...]
    sound: PlantSound | None = None
    picture: PlantPicture | None = None
    sees: str = ""
    way: Way = "up"
    also: tuple[str, ...] = ()
    steady: tuple[str, ...] = ()
    is_harmless: bool = False
    may_move: tuple[str, ...] = ()
    encoding: Callable[[float], Encoding] | None = None
    needs_brand: bool = False

    def write(self, dose: float) -> str:
        """Write a dose for people.

        >>> fault_named("late").write(40.0)
        '40 ms'
        """
        return f"{three_digits(dose)} {self.unit}"


_OFFSET, _EXPLAINED = "lip_sync.offset_ms", "lip_sync.explained_variance"
_QUALITY = ("speech.quality_overall", "speech.word_error_rate", "speech.char_error_rate")

FAULTS = (
    Fault(
        "early",
        "sound early",
        "ms",
        (20, 40, 80, 120, 200),
        sound=sound_faults.early,
        sees=_OFFSET,
        also=("lip_sync.error", "lip_sync.closure_offset_ms"),
        steady=("lip_sync.residual_error",),
    ),
    Fault(
        "late",
        "sound late",
        "ms",
        (20, 40, 80, 120, 200),
        sound=sound_faults.late,
        sees=_OFFSET,
        way="down",
        also=("lip_sync.error", "lip_sync.closure_offset_ms"),
        steady=("lip_sync.residual_error",),
    ),
    Fault(
        "drift",
        "sound drifting",
        "ms/min",
        (150, 300, 600, 1200, 2400),
        sound=sound_faults.drifting,
        sees="lip_sync.drift_ms_per_min",
        also=("lip_sync.error", _OFFSET),
    ),
    Fault(
        "mouth_damped",
        "mouth opens less",
        "%",
        (20, 40, 60, 80, 95),
        picture=mouth_faults.damped,
        sees="lip_sync.articulation",
        way="down",
        also=("lip_sync.residual_error", "lip_sync.confidence"),
        steady=(_OFFSET,),
    ),
    Fault(
        "mouth_frozen",
        "mouth stands still",
        "% of the time",
        (10, 20, 40, 60, 80),
        picture=mouth_faults.frozen,
        # A still mouth has no movement for the sound to explain, so that the share falls as the still time grows; the errors are
        # ranks of windows of 3 s, which a shorter standstill leaves among the best.
        sees=_EXPLAINED,
        way="down",
        also=("lip_sync.residual_error", "lip_sync.error", "lip_sync.confidence", "lip_sync.articulation"),
    ),
    Fault(
        "other_words",
        "mouth of other words",
        "% of the time",
        (10, 20, 30, 40, 60),
        sound=sound_faults.other_words,
        # What the sound of other words explains of the mouth's movement is chance, so that the share falls with their time: as
        # its square, which at 60 % leaves a sixth, and beyond that nothing that is told from chance.
        sees=_EXPLAINED,
        way="down",
        also=("lip_sync.residual_error", "lip_sync.error", "lip_sync.confidence"),
    ),
    Fault(
        "dropped",
        "frames dropped",
        "%",
        (2, 5, 10, 20, 40),
        picture=picture_faults.dropped,
        sees="technical.fps",
        way="down",
        steady=(_OFFSET,),
    ),
    Fault(
        "repeated",
        "frames repeated",
        "%",
        (2, 5, 10, 20, 40),
        picture=picture_faults.repeated,
        sees="motion.freeze_ratio",
        also=("technical.freeze_ratio", _OFFSET),  # a frame shown again comes late
    ),
    Fault(
        "slowed",
        "picture slowed",
        "%",
        (0.5, 1, 2, 4, 8),
        picture=picture_faults.slowed,
        sees="technical.av_duration_gap_ms",
        also=("lip_sync.drift_ms_per_min", _OFFSET, "lip_sync.error"),
    ),
    Fault(
        "tremble",
        "picture trembles",
        "deg",
        (0.1, 0.2, 0.4, 0.8, 1.6),
        picture=picture_faults.trembling,
        sees="motion.jitter_ratio",
        also=("expression.head_motion_deg", "stability.background_flicker"),
        steady=(_OFFSET,),
    ),
    Fault(
        "blur",
        "picture blurred",
        "‰ of its side",
        (0.5, 1, 2, 4, 8),
        picture=picture_faults.blurred,
        sees="technical.sharpness",
        way="down",
        steady=(_OFFSET,),
    ),
    Fault(
        "noise",
        "noise in the sound",
        "dB SNR",
        (30, 20, 10, 5, 0),
        sound=sound_faults.noisy,
        sees="speech.quality_background",
        way="down",
        also=(*_QUALITY, "lip_sync.confidence"),
        steady=(_OFFSET,),
    ),
    Fault(
        "clipping",
        "sound clipped",
        "% of samples",
        (0.1, 0.3, 1, 3, 10),
        sound=sound_faults.clipped,
        sees="technical.clipping_ratio",
        also=_QUALITY,
        steady=(_OFFSET,),
    ),
    Fault(
        "gaps",
        "packets of the sound lost",
        "% of them",
        (1, 3, 7, 15, 30),
        sound=sound_faults.with_gaps,
        sees="speech.packet_loss_quality",
        way="down",
        also=_QUALITY,
        steady=(_OFFSET,),
    ),
    Fault(
        "jumps",
        "jumps at borders",
        "1/min",
        (12, 24, 48, 72, 120),
        picture=picture_faults.jumping,
        sees="stability.seams_per_min",
        steady=(_OFFSET,),
    ),
    Fault(
        "colour_drift",
        "colours drifting",
        "ΔE00/min",
        (2, 5, 10, 20, 40),
        picture=picture_faults.drifting_in_colour,
        sees="stability.color_drift_per_min",
        steady=(_OFFSET,),
    ),
    Fault(
        "mark_hue",
        "mark in another hue",
        "deg",
        (10, 20, 40, 80, 160),
        picture=mark_faults.turned_in_hue,
        sees="brand.color_delta_e",
        also=("brand.fidelity",),
        needs_brand=True,
    ),
    Fault(
        "mark_occluded",
        "mark covered",
        "%",
        (10, 20, 40, 60, 80),
        picture=mark_faults.occluded,
        sees="brand.fidelity",
        way="down",
        also=("brand.logo_coverage",),
        needs_brand=True,
    ),
    Fault(
        "mark_faded",
        "mark transparent",
        "%",
        (20, 40, 60, 80, 95),
        picture=mark_faults.faded,
        sees="brand.fidelity",
        way="down",
        also=("brand.logo_coverage",),
        needs_brand=True,
    ),
    Fault(
        "reencoded",
        "picture re-encoded",
        "crf",
        (18, 23, 28),
        picture=picture_faults.as_shown,
        is_harmless=True,
        encoding=lambda dose: Encoding(crf=round(dose), preset="medium"),
    ),
    Fault(
        "cropped",
        "picture cropped",
        "%",
        (3, 6, 10),
        picture=picture_faults.cropped,
        is_harmless=True,
        may_move=("technical.width", "technical.height", "technical.sharpness"),
    ),
    Fault(
        "scaled",
        "picture made smaller",
        "% of its size",
        (80, 65, 50),
        picture=picture_faults.scaled,
        is_harmless=True,
        may_move=("technical.width", "technical.height", "technical.sharpness"),
    ),
    Fault(
        "frame_rate",
        "another frame rate",
        "frames/s",
        (24, 30, 50),
        picture=picture_faults.at_another_rate,
        is_harmless=True,
        may_move=("technical.fps", "technical.freeze_ratio", "motion.freeze_ratio", "motion.jitter_ratio"),
    ),
    Fault(
        "sound_reencoded",
        "sound re-encoded",
        "kbit/s",
        (192, 128, 64),
        sound=sound_faults.as_recorded,
        is_harmless=True,
        encoding=lambda dose: Encoding(sound_kbit_per_s=round(dose)),
    ),
)
"""All of them; a new one joins here."""

AS_SHOWN = Fault(
    "as_shown", "encoded as it is", "", (0.0,), picture=picture_faults.as_shown, is_harmless=True
)
AS_RECORDED = Fault(
    "as_recorded", "sound read as it is", "", (0.0,), sound=sound_faults.as_recorded, is_harmless=True
)
AS_DRAWN = Fault(
    "as_drawn",
    "mark as drawn",
    "",
    (0.0,),
    picture=mark_faults.as_drawn,
    is_harmless=True,
    needs_brand=True,
)
BASES = (AS_SHOWN, AS_RECORDED, AS_DRAWN)
"""What doses are compared with: written in the same way, and nothing damaged."""


def base_of(fault: Fault) -> Fault:
    """Return what the doses of a fault are compared with."""
    if fault.needs_brand:
        return AS_DRAWN
    return AS_SHOWN if fault.picture is not None else AS_RECORDED


def bases_of(faults: Iterable[Fault]) -> tuple[Fault, ...]:
    """Return all that the doses of faults are compared with; the first two always."""
    own = {base_of(fault).name for fault in faults}
    return tuple(base for base in BASES if base is not AS_DRAWN or base.name in own)


def fault_named(name: str) -> Fault:
    """Return a fault by its name.

    Raises
    ------
    UsageError
        If there is none.
    """
    known = {fault.name: fault for fault in (*FAULTS, *BASES)}
    if name not in known:
        names = [fault.name for fault in FAULTS]
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
        raise UsageError(f"no fault is named {name!r}; {hint}")
    return known[name]


def choose_faults(names: Iterable[str] | None, *, has_brand: bool) -> tuple[Fault, ...]:
    """Return the faults to plant: those named with everything harmless, or all that there are.

    Raises
    ------
    UsageError
        For an unknown name, none at all, or one that needs a brand where there is none.
    """
    if names is None:
        return tuple(fault for fault in FAULTS if has_brand or not fault.needs_brand)
    wanted = {fault_named(name).name for name in names}
    chosen = tuple(fault for fault in FAULTS if fault.name in wanted or fault.is_harmless)
    if all(fault.is_harmless for fault in chosen) and not wanted:
        raise UsageError("no fault is named; give at least one, or leave the option out for all")
    for fault in chosen:
        if fault.needs_brand and not has_brand:
            raise UsageError(f"the fault {fault.name!r} needs a brand: name its file")
    return chosen
