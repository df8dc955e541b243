"""A little synthetic speech for tests: text in, samples out.

espeak-ng keeps hidden state between two texts (its flutter runs on), so a text is spoken in a process of its own:
the same text gives the same samples, whatever was spoken before.
"""

from __future__ import annotations

import ctypes
import functools
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SYNCHRONOUS = 2
_NO_EXIT = 0x8000
_POSITION_CHARACTER = 1
_UTF8 = 1


@functools.lru_cache(maxsize=32)
def speak(text: str, voice: str = "en-us") -> tuple[NDArray[np.float32], int]:
    """Say a text with espeak-ng.

    Parameters
    ----------
    text : str
        What is said.
    voice : str
        An espeak-ng voice (``en-us``, ``cmn`` …).

    Returns
    -------
    samples : float32 array, shape (n,), read-only
        In [-1, 1].
    rate_hz : int
        Samples a second.

    Raises
    ------
    ValueError
        If espeak-ng cannot say it.
    """
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "evalkit.testing.speech", text, voice],
        capture_output=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        raise ValueError(f"espeak-ng cannot say {text!r} with voice {voice!r}: {done.stderr.decode()}")
    rate_hz = int.from_bytes(done.stdout[:4], "little")
    samples = np.frombuffer(done.stdout[4:], dtype="<i2").astype(np.float32) / 32768
    samples.flags.writeable = False
    return samples, rate_hz


def _main(text: str, voice: str) -> None:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _NO_EXIT)
    if rate_hz <= 0:
        sys.exit("espeak-ng does not start")
    pieces: list[bytes] = []

    def take(wave: ctypes._Pointer[ctypes.c_short], n_samples: int, _events: int) -> int:
        if wave and n_samples > 0:
            pieces.append(ctypes.string_at(wave, 2 * n_samples))
        return 0

    callback_type = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
    )
    callback = callback_type(take)  # kept alive until the synthesis ends
    library.espeak_SetSynthCallback(callback)
    if library.espeak_SetVoiceByName(voice.encode()):
        sys.exit("no such voice")
    spoken = text.encode()
    size = ctypes.c_size_t(len(spoken) + 1)
    if library.espeak_Synth(spoken, size, 0, _POSITION_CHARACTER, 0, _UTF8, None, None):
        sys.exit("synthesis failed")
    if not pieces:
        sys.exit("there is nothing to say")
    sys.stdout.buffer.write(int(rate_hz).to_bytes(4, "little") + b"".join(pieces))


if __name__ == "__main__":
    _main(*sys.argv[1:])
