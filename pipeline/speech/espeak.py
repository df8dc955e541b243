"""espeak-ng behind the speech protocol: some 130 languages, no download, 22 050 Hz, phoneme times.

The voices are read from the data folder that the ``espeakng_loader`` wheel brings; the C library itself runs in a
process of its own for each text (some tens of milliseconds), see `pipeline.speech.espeak_worker`.
"""

from __future__ import annotations

import difflib
import json
import subprocess
import sys
import unicodedata
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pipeline.errors import GenerationError, RequestError
from pipeline.extras import explain_missing
from pipeline.options import PlainData
from pipeline.phonemes import Phoneme
from pipeline.sound import MAX_SOUND_S
from pipeline.speech import espeak_worker
from pipeline.speech.base import Speech

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

_TIME_LIMIT_S = 300.0
_N_NEAR = 5
_DEFAULT_PRIORITY = 5
_MAX_CLOSURE_S = 0.06

# First word of the Unicode names of letters: the languages that espeak-ng reads them in. Latin is read in all.
_READ_IN = {
    "ARABIC": "ar fa sd ug ur",
    "ARMENIAN": "hy hyw",
    "BENGALI": "as bn bpy",
    "CHEROKEE": "chr",
    "CJK": "cmn yue",  # not ja: it spells every kanji "Chinese letter"
    "CYRILLIC": "ba be bg bs cv hr kk ky lfn mk nog ru sl sr tt uk uz",
    "DEVANAGARI": "hi kok mr ne",
    "ETHIOPIC": "am ti",
    "GEORGIAN": "ka",
    "GREEK": "el grc",
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "HANGUL": "ko",
    "HEBREW": "he",
    "HIRAGANA": "ja",
    "KANNADA": "kn",
    "KATAKANA": "ja",
    "KATAKANA-HIRAGANA": "ja",
    "MALAYALAM": "ml",
    "MYANMAR": "my shn",
    "ORIYA": "or",
    "SHAVIAN": "en",
    "SINHALA": "si",
    "TAMIL": "ta",
    "TELUGU": "te",
    "THAI": "th",
}


class _Voice(NamedTuple):
    priority: int
    identifier: str
    base: str


class _Settings(PlainData):
    """None: voices are chosen text by text."""


class Espeak:
    """Speech by espeak-ng. Clear and robotic; it needs nothing.

    Latin words are read in every language (as English where it has no Latin letters of its own).
    """

    name = "espeak-ng"
    extra = "conversation"
    Settings = _Settings

    def __init__(self, /, **settings: Any) -> None:
        self.Settings.read(settings, "setting")

    def languages(self) -> tuple[str, ...]:
        """Return the codes of all languages it speaks, sorted; some are names for the same one."""
        return tuple(sorted(_voices_by_language()))

    def check(self, text: str, language: str, voice: str | None = None) -> None:
        """Raise `RequestError` where `speak` would, without speaking."""
        self._resolve(text, language, voice)

    def speak(self, text: str, language: str, voice: str | None = None) -> Speech:
        """Say something.

        Parameters
        ----------
        text : str
            At least one word, in the letters of the language.
        language : str
            One of `languages`; ``en`` is British as in espeak-ng itself.
        voice : str, optional
            A voice variant of espeak-ng (``f3``, ``m2``, ``whisper`` …), which changes the speaker and not the
            language.

        Returns
        -------
        Speech
            A stop (``p b t d k g`` …) begins with its closure, not with its burst.

        Raises
        ------
        RequestError
            If the language or the voice is unknown, the text is empty or in other letters, or the speech would be
            longer than `MAX_SOUND_S`.
        GenerationError
            If espeak-ng itself fails.
        """
        identifier = self._resolve(text, language, voice)
        letters = (unicodedata.normalize("NFKC", sign) if sign.isalpha() else sign for sign in text)
        head, samples = _run("".join(letters), identifier)
        if head["cut"]:
            raise RequestError(
                f"the text takes longer than {MAX_SOUND_S:.0f} s to speak, the limit: cut it up"
            )
        phonemes = _spans(head["phonemes"], samples, head["rate_hz"])
        if not any(phoneme.symbol for phoneme in phonemes):
            raise RequestError(f"text {_shorten(text)!r}: there is nothing in it that {self.name} can speak")
        return Speech(samples, head["rate_hz"], phonemes, language, identifier, self.name, head["version"])

    def _resolve(self, text: str, language: str, voice: str | None) -> str:
        """Check everything; return the voice in espeak-ng's own notation."""
        voices = _voices_by_language()
        found = voices.get(language.lower())
        if found is None:
            near = difflib.get_close_matches(language.lower(), voices, n=_N_NEAR)
            raise RequestError(
                f"{self.name} does not speak the language {language!r}"
                + (f"; did you mean {' or '.join(near)}?" if near else "")
                + f" (it speaks: {', '.join(self.languages())})"
            )
        if not any(character.isalnum() for character in text) or "\0" in text:
            raise RequestError(f"text {_shorten(text)!r}: there are no words in it, or a zero character")
        _refuse_foreign_letters(text, language, found.base)
        if voice is None:
            return found.identifier
        if voice not in _variants():
            raise RequestError(f"{self.name} has no voice {voice!r}; it has: {', '.join(_variants())}")
        return f"{found.identifier}+{voice}"


def _refuse_foreign_letters(text: str, language: str, base: str) -> None:
    own = {"LATIN", *(script for script, languages in _READ_IN.items() if base in languages.split())}
    for word in text.split():
        scripts = [
            unicodedata.name(letter, "unnamed").split()[0]
            for letter in unicodedata.normalize("NFKC", word)
            if letter.isalpha()
        ]
        foreign = [script for script in scripts if script not in own and script != "MODIFIER"]
        if foreign and foreign != ["GREEK"]:  # one Greek letter is a symbol, read by its name everywhere
            raise RequestError(
                f"text: {_shorten(word)!r} is written in {_list_scripts(foreign)}, which "
                f"espeak-ng cannot read as {language!r}; there it reads {_list_scripts(own)}"
            )


def _list_scripts(names: Iterable[str]) -> str:
    return " and ".join(name if name == "CJK" else name.title() for name in sorted(set(names)))


@cache
def _data_folder() -> Path:
    try:
        import espeakng_loader
    except ModuleNotFoundError as error:
        raise RequestError(f"text cannot be spoken: {explain_missing(error)}; or give audio") from None

    return Path(espeakng_loader.get_data_path())


@cache
def _variants() -> tuple[str, ...]:
    return tuple(sorted(path.name for path in (_data_folder() / "voices" / "!v").iterdir()))


@cache
def _voices_by_language() -> dict[str, _Voice]:
    """Read the voice files; for each language code keep the voice of the highest priority (the lowest number)."""
    folder = _data_folder() / "lang"
    best: dict[str, _Voice] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        lines = [line.split() for line in path.read_text("utf-8", "replace").splitlines()]
        languages = [words[1:] for words in lines if words[:1] == ["language"]]
        base = languages[0][0].lower().split("-")[0]
        dictionary = next((words[1] for words in lines if words[:1] == ["dictionary"]), base)
        if not (_data_folder() / f"{dictionary}_dict").is_file():  # the wheel leaves some out
            continue
        for code, *priority in languages:
            voice = _Voice(
                int(priority[0]) if priority else _DEFAULT_PRIORITY, path.relative_to(folder).as_posix(), base
            )
            known = best.get(code.lower())
            if known is None or voice.priority < known.priority:
                best[code.lower()] = voice
    return best


def _run(text: str, voice: str) -> tuple[dict[str, Any], NDArray[np.int16]]:
    import espeakng_loader

    job = {
        "library": espeakng_loader.get_library_path(),
        "data": _data_folder().name,  # relative: it has room for 160 characters
        "voice": voice,
        "text": text,
        "max_s": MAX_SOUND_S,
    }
    try:
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-I", espeak_worker.__file__],
            input=json.dumps(job).encode(),
            capture_output=True,
            cwd=_data_folder().parent,
            timeout=_TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise GenerationError(
            f"espeak-ng did not finish within {_TIME_LIMIT_S:.0f} s", "timed_out"
        ) from error
    if done.returncode:
        reason = (
            done.stderr.decode(errors="replace").strip().rpartition("\n")[2] or f"status {done.returncode}"
        )
        raise GenerationError(f"espeak-ng failed: {reason}")
    head, _, sound = done.stdout.partition(b"\n")
    return json.loads(head), np.frombuffer(sound, dtype=np.int16)


def _spans(
    events: Sequence[tuple[str, int]], samples: NDArray[np.int16], rate_hz: int
) -> tuple[Phoneme, ...]:
    """Turn the starts that espeak-ng reports into spans without gaps.

    Its marks stand where a sound is first heard. The silence before that, when it is inside a word or a short pause
    of its own, is the closure of the sound to come. A nameless mark with sound after it, or the mark of another
    language, goes on with the sound before; a named one with no sound after it was said together with that.
    """
    marks: list[tuple[str, int]] = [("", 0)]
    ends = [start for _, start in events[1:]] + [samples.size]
    for (symbol, start), end in zip(events, ends, strict=True):
        if symbol.startswith("(") or (not symbol and samples[start:end].any()):
            continue
        before, last = marks[-1]
        if symbol and before and not samples[start:end].any():
            marks[-1] = (before + symbol, last)
            continue
        if symbol and before:
            loud = np.flatnonzero(samples[last:start])
            start = last + int(loud[-1]) + 1 if loud.size else start  # noqa: PLW2901 - that is the correction
        elif symbol and start - last <= _MAX_CLOSURE_S * rate_hz:
            marks.pop()
            start = last  # noqa: PLW2901 - as above
        marks.append((symbol, start))
    joined = [mark for previous, mark in pairwise([("first", 0), *marks]) if mark[0] or previous[0]]
    return tuple(
        Phoneme(symbol, start / rate_hz, end / rate_hz)
        for (symbol, start), (_, end) in pairwise([*joined, ("", samples.size)])
        if end > start
    )


def _shorten(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "…"
