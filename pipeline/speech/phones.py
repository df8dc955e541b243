"""When each speech sound of a script is heard: forced alignment, with borders on a grid of 10 ms.

The acoustic model is pocketsphinx' English one. What p, b and m sound like is much the same in all languages: of 63 of them spoken by
espeak-ng in German, French and Spanish, 90 % begin within 20 ms of where they are found, and in Mandarin too.
"""

from __future__ import annotations

import re
from contextlib import suppress
from functools import lru_cache
from math import log
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import RequestError
from pipeline.languages import primary_language
from pipeline.phonemes import Alignment, Phoneme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RATE_HZ = 16_000
FRAME_S = 0.01
"""Of pocketsphinx's front end."""
_BORDER_S = 0.0128 - FRAME_S / 2
"""From the first sample of a frame, whose window is 25.6 ms long, to half-way between its middle and that of the frame before."""
_LOG_BASE = log(1.0001)
"""Of pocketsphinx' scores."""
_BEAM = 1e-100
LARGEST_MISFIT = 42.0
"""The scripts of 24 English recordings fit within 41; those of other clips, where they could be laid over the sound at all, by 43 to 58."""
LARGEST_FOREIGN_MISFIT = 46.0
"""With the sounds of another language in place of its own: of 19 recordings in Mandarin, German and French all but one fit within
45.6, scripts of other clips by 46.4 to 57."""
_PHONE = "phone-"
_FILLERS = ("<", "[", "+")

# From IPA, as espeak-ng writes it, to the phones of pocketsphinx' model; the longest match counts.
_TO_ARPABET = {
    "tʃ": "CH", "dʒ": "JH", "aɪ": "AY", "aʊ": "AW", "eɪ": "EY", "oʊ": "OW", "əʊ": "OW", "ɔɪ": "OY",
    "iː": "IY", "uː": "UW", "ɑː": "AA", "ɔː": "AO", "ɜː": "ER", "ɪɹ": "IH R", "ɛɹ": "EH R", "ʊɹ": "UH R",
    "əl": "AH L", "oːɹ": "AO R", "aɪɚ": "AY ER", "aɪə": "AY AH",
    "i": "IY", "ɪ": "IH", "ᵻ": "IH", "ɛ": "EH", "e": "EH", "æ": "AE", "a": "AE", "ɑ": "AA", "ɒ": "AA", "ɔ": "AO",
    "o": "OW", "ʊ": "UH", "u": "UW", "ʌ": "AH", "ə": "AH", "ɐ": "AH", "ɚ": "ER", "ɜ": "ER", "ɝ": "ER",
    "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "ɾ": "T", "ʔ": "T", "f": "F", "v": "V",
    "θ": "TH", "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH", "m": "M", "n": "N", "ŋ": "NG",
    "l": "L", "ɫ": "L", "r": "R", "ɹ": "R", "w": "W", "ʍ": "W", "j": "Y", "x": "K", "ç": "HH", "ɬ": "L", "y": "UW",
    "ø": "ER", "œ": "ER",
}  # fmt: skip
_LONGEST_IPA = max(map(len, _TO_ARPABET))
_FROM_ARPABET = {
    "AA": "ɑː", "AE": "æ", "AH": "ʌ", "AO": "ɔː", "AW": "aʊ", "AY": "aɪ", "B": "b", "CH": "tʃ", "D": "d", "DH": "ð",
    "EH": "ɛ", "ER": "ɚ", "EY": "eɪ", "F": "f", "G": "ɡ", "HH": "h", "IH": "ɪ", "IY": "iː", "JH": "dʒ", "K": "k",
    "L": "l", "M": "m", "N": "n", "NG": "ŋ", "OW": "oʊ", "OY": "ɔɪ", "P": "p", "R": "ɹ", "S": "s", "SH": "ʃ",
    "T": "t", "TH": "θ", "UH": "ʊ", "UW": "uː", "V": "v", "W": "w", "Y": "j", "Z": "z", "ZH": "ʒ",
}  # fmt: skip


def spell(ipa: str) -> str:
    """Spell a word for pocketsphinx, from IPA.

    >>> spell("ˈɛvəɹi"), spell("mˈaɪkɹoʊfˌoʊn")
    ('EH V AH R IY', 'M AY K R OW F OW N')
    """
    phones: list[str] = []
    at = 0
    while at < len(ipa):
        for length in range(min(_LONGEST_IPA, len(ipa) - at), 0, -1):
            found = _TO_ARPABET.get(ipa[at : at + length])
            if found is not None:
                phones.append(found)
                break
        at += length
    return " ".join(phones)


@lru_cache(maxsize=4096)
def _speak(text: str, language: str) -> tuple[Phoneme, ...]:
    from pipeline.speech.espeak import Espeak

    return Espeak().speak(text, language).phonemes


def make_decoder() -> Any:
    """Make what aligns: the model of pocketsphinx' wheel, without a language model.

    The beams are wide, because nothing but the script is searched. The best path through the lattice would give words fewer
    frames than they have sounds.
    """
    from pocketsphinx import Decoder

    beams = dict.fromkeys(("beam", "pbeam", "wbeam"), _BEAM)
    return Decoder(samprate=RATE_HZ, loglevel="FATAL", lm=None, bestpath=False, **beams)


def align(decoder: Any, samples: NDArray[np.float32], text: str, language: str) -> Alignment:
    """Lay a text over the sound in which it is spoken.

    An English text is aligned by word first, which also settles which of its pronunciations each word has. Texts of other
    languages are taken as espeak-ng speaks them, each sound as the English one that is nearest. Then the sounds are aligned: each is
    a word of its own to the decoder, so that the search takes memory by the length of the sound alone.

    Parameters
    ----------
    decoder : pocketsphinx.Decoder
        From `make_decoder`.
    samples : float32 array, shape (n,)
        At `RATE_HZ`.
    text, language : str
        The language is English or one that espeak-ng speaks.

    Raises
    ------
    RequestError
        If espeak-ng cannot read the text, or is needed and not installed.
    """
    pcm = np.clip(np.round(samples * 32767), -32768, 32767).astype("<i2").tobytes()
    decoder.reinit_feat()  # it would go on with what it knows of the noise in the sound before
    is_english = primary_language(language) == "en"
    if is_english:
        pronounced = _pronounce_english(decoder, pcm, text)
    else:
        pronounced = [phone for phoneme in _speak(text, language) for phone in spell(phoneme.symbol).split()]
    words = [_PHONE + phone.lower() for phone in pronounced]
    for word, phone in set(zip(words, pronounced, strict=True)):
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, phone, True)
    found = [segment for segment in _segments(decoder, pcm, words) if segment.word.startswith(_PHONE)]
    if not found:
        return Alignment(())
    if min(segment.ascore for segment in found) <= 0:  # so unlikely that there is no number for it
        return Alignment(())
    n_frames = sum(segment.end_frame - segment.start_frame + 1 for segment in found)
    misfit = -sum(log(segment.ascore) for segment in found) / _LOG_BASE / n_frames
    fits = misfit <= (LARGEST_MISFIT if is_english else LARGEST_FOREIGN_MISFIT)
    return Alignment(tuple(map(_read, found)) if fits else (), misfit)


def _pronounce_english(decoder: Any, pcm: bytes, text: str) -> list[str]:
    """Return the phones of a text as they are spoken in a sound; empty where its words cannot be what is said.

    A word that nothing can pronounce, as one in the letters of another language, is left out.
    """
    from pipeline.speech.espeak import Espeak

    words = re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'"))
    for word in dict.fromkeys(words):
        if decoder.lookup_word(word) is None and "en-us" in Espeak().languages():
            with suppress(RequestError):
                spoken = spell("".join(phoneme.symbol for phoneme in _speak(word, "en-us")))
                if spoken:
                    decoder.add_word(word, spoken, True)
    known = [word for word in words if decoder.lookup_word(word) is not None]
    return [
        phone
        for segment in _segments(decoder, pcm, known)
        if not segment.word.startswith(_FILLERS)
        for phone in decoder.lookup_word(segment.word).split()
    ]


def _segments(decoder: Any, pcm: bytes, words: Sequence[str]) -> list[Any]:
    """Return where each word lies; nothing where they cannot be what is said."""
    if not words:
        return []
    decoder.set_align_text(" ".join(words))
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
    return [] if decoder.hyp() is None else list(decoder.seg())


def _read(segment: Any) -> Phoneme:
    """Read one sound; a border lies half-way between the middles of the frames before and after it."""
    phone = segment.word.removeprefix(_PHONE).partition("(")[0].upper()
    start_s = segment.start_frame * FRAME_S + _BORDER_S
    return Phoneme(_FROM_ARPABET[phone], start_s, (segment.end_frame + 1) * FRAME_S + _BORDER_S)
