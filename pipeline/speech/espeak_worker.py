"""The program that runs espeak-ng's C library, whose state is global and whose faults end a process.

Started by `pipeline.speech.espeak` with the file itself, for one text; imports the standard library only.
Standard input: JSON with ``library``, ``data`` (folder), ``voice``, ``text``, ``max_s``. Standard output: one line of
JSON (``rate_hz``, ``version``, ``phonemes`` as pairs of symbol and first sample, ``cut`` if ``max_s`` was reached),
then the samples, 16-bit mono in native order.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

# The values are those of espeak-ng's speak_lib.h.
_OUTPUT_SYNCHRONOUS = 2
_PHONEME_EVENTS, _PHONEMES_IN_IPA, _DO_NOT_EXIT = 0x0001, 0x0002, 0x8000
_CHARACTERS_UTF8 = 1
_EVENT_LIST_TERMINATED, _EVENT_PHONEME = 0, 7
_OK = 0


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


def synthesise(job: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Speak one text; return the head (see the module) and the samples."""
    library = ctypes.CDLL(job["library"])
    library.espeak_Initialize.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int)
    library.espeak_Info.argtypes = (ctypes.c_void_p,)
    library.espeak_Info.restype = ctypes.c_char_p
    library.espeak_SetVoiceByName.argtypes = (ctypes.c_char_p,)
    library.espeak_Synth.argtypes = (
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_uint,
        ctypes.c_uint,
        ctypes.c_void_p,
        ctypes.c_void_p,
    )
    rate_hz = library.espeak_Initialize(
        _OUTPUT_SYNCHRONOUS, 0, job["data"].encode(), _PHONEME_EVENTS | _PHONEMES_IN_IPA | _DO_NOT_EXIT
    )
    if rate_hz <= 0:
        raise RuntimeError(f"espeak-ng found no usable data in {job['data']}")
    if library.espeak_SetVoiceByName(job["voice"].encode()) != _OK:
        raise RuntimeError(f"espeak-ng cannot load the voice {job['voice']!r}")
    sound = bytearray()
    phonemes: list[tuple[str, int]] = []
    max_bytes = int(job["max_s"] * rate_hz) * 2

    def take(samples: Any, n_samples: int, events: Any) -> int:
        if samples and n_samples > 0:
            sound.extend(ctypes.string_at(samples, 2 * n_samples))
        index = 0
        while events[index].type != _EVENT_LIST_TERMINATED:
            event = events[index]
            if event.type == _EVENT_PHONEME:
                phonemes.append((event.id.string.decode("utf-8", "ignore"), event.sample))
            index += 1
        return int(len(sound) > max_bytes)  # other than 0 stops it

    callback = _Callback(take)
    library.espeak_SetSynthCallback(callback)
    text = job["text"].encode() + b"\0"
    status = library.espeak_Synth(text, len(text), 0, 1, 0, _CHARACTERS_UTF8, None, None)
    cut = len(sound) > max_bytes
    if status != _OK and not cut:
        raise RuntimeError(f"espeak-ng failed with status {status}")
    head = {
        "rate_hz": rate_hz,
        "version": library.espeak_Info(None).decode(),
        "phonemes": phonemes,
        "cut": cut,
    }
    return head, bytes(sound)


def main() -> None:
    """Read one job, write its sound."""
    head, sound = synthesise(json.load(sys.stdin.buffer))
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n")
    sys.stdout.buffer.write(sound)


if __name__ == "__main__":
    main()
