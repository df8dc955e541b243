"""The track of how the voice sounds: DNSMOS and PLCMOS by the networks of Microsoft's package, run by onnxruntime."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalkit.errors import UsageError
from evalkit.metrics import speech_quality
from evalkit.metrics.speech_quality import HOP_S, RATE_HZ, SHORT_S, WINDOW_S, WINDOW_SAMPLES
from evalkit.tracks.base import TrackBuilder, load_library
from evalkit.types import AudioChunk, Track
from pipeline.errors import RequestError
from pipeline.extras import how_to_install
from pipeline.pinned import PinnedFile, PinnedFiles

EXTRA = "speech-quality"
MODELS = PinnedFiles(
    "DNSMOS and PLCMOS",
    {"speechmos": "0.0.1.1"},
    {
        "dnsmos": PinnedFile(
            (("speechmos", "speechmos/dnsmos_models/sig_bak_ovr.onnx"),),
            "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
        ),
        "plcmos": PinnedFile(
            (("speechmos", "speechmos/plcmos_models/plcmos_v2.onnx"),),
            "c0ad3fc64ef9682b4749c0e96636b41c73b4b30bd123b9348feea06a96895286",
        ),
    },
    EXTRA,
)
WEIGHTS = {name: file.sha256 for name, file in MODELS.files.items()}
TOUCHING = round(WINDOW_S)
"""Windows of long sound begin at every multiple of this many seconds: they overlap by 10 ms."""
SHORTEST_S = 0.1
"""What is shorter is no sound to have an opinion about."""
_SIGNAL, _BACKGROUND, _OVERALL = columns = ("signal", "background", "overall")


def find_obstacle() -> str:
    """Say what keeps the networks from running, and how to get it; empty where nothing does."""
    if find_spec("onnxruntime") is None:
        return f"onnxruntime is not installed: {how_to_install(EXTRA)}"
    return MODELS.find_obstacle()


class SpeechQualityTracker:
    """Asks DNSMOS and PLCMOS about windows of 9.01 s, one row each, at the window's start.

    Columns, each from about 1 to 5, higher is better
    -------------------------------------------------
    signal, background, overall
        DNSMOS P.835: how natural the voice is, how little is to be heard beside it, and both.
    packet_loss
        PLCMOS: how little it sounds as if pieces were missing and filled in. Of sound of up to 30 s it is that of the whole
        sound, in every row, as in the reference.

    Sound of up to 30 s has a window every second, as in the reference, and is repeated where it does not fill one. In longer sound
    windows touch, the last one ends with the sound. The facts carry ``window_s``; ``is_whole``, whether `packet_loss` is that of
    the whole; and ``is_repeated``, whether the windows are of the sound repeated, and reach beyond its end.

    Raises
    ------
    UsageError
        When it first computes, if a network cannot be used.
    """

    name = "speech_quality"
    version = 2
    rate_hz = RATE_HZ

    def __init__(self) -> None:
        self._rows = TrackBuilder(self.name, (*columns, "packet_loss"))
        self._start_s = 0.0
        self._held: NDArray[np.float32] = np.empty(0, dtype=np.float32)
        self._n_gone = 0
        self._is_long = False
        self._next = 0

    def update(self, chunk: AudioChunk) -> None:
        """Take the next samples; ask about each window of long sound as soon as it is whole."""
        if not self._n_gone and not self._held.size:
            self._start_s = chunk.start_s
        self._held = np.concatenate([self._held, chunk.samples])
        if self._n_gone + self._held.size > SHORT_S * RATE_HZ:
            self._is_long = True
        if self._is_long:
            while self._next + WINDOW_SAMPLES <= self._n_gone + self._held.size:
                self._ask(self._next)
                self._next += TOUCHING * RATE_HZ
            self._forget(self._n_gone + self._held.size - WINDOW_SAMPLES)

    def finish(self) -> Track:
        """Return the whole track."""
        n_samples = self._n_gone + self._held.size
        if self._is_long:
            last = n_samples - WINDOW_SAMPLES
            if last > self._next - TOUCHING * RATE_HZ:
                self._ask(last)
        elif n_samples >= SHORTEST_S * RATE_HZ:
            self._ask_short(self._held)
        is_repeated = n_samples < WINDOW_SAMPLES
        return self._rows.track(
            {"window_s": WINDOW_S, "is_whole": not self._is_long, "is_repeated": is_repeated}
        )

    def _ask_short(self, samples: NDArray[np.float32]) -> None:
        packet_loss = ask_plcmos(samples)
        repeated = speech_quality.repeat_to_window(samples)
        for window in range(speech_quality.count_windows(repeated.size)):
            first = window * HOP_S * RATE_HZ
            self._append(first, repeated[first : first + WINDOW_SAMPLES], packet_loss)

    def _ask(self, first: int) -> None:
        window = self._held[first - self._n_gone :][:WINDOW_SAMPLES]
        self._append(first, window, ask_plcmos(window))

    def _append(self, first: int, window: NDArray[np.float32], packet_loss: float) -> None:
        row = np.array([*ask_dnsmos(window), packet_loss], dtype=np.float32)
        self._rows.append(self._start_s + first / RATE_HZ, row)

    def _forget(self, before: int) -> None:
        """Let go of samples that neither the next window nor one that ends with the sound needs."""
        n = min(before, self._next) - self._n_gone
        if n > 0:
            self._held = self._held[n:].copy()
            self._n_gone += n


def ask_dnsmos(window: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return signal, background and overall of `WINDOW_SAMPLES` samples; shape (3,)."""
    (answers,) = _session("dnsmos").run(None, {"input_1": window[None].astype(np.float32, copy=False)})
    opinions: NDArray[np.float64] = speech_quality.mean_opinions(answers.astype(np.float64))[0]
    return opinions


def ask_plcmos(samples: NDArray[np.float32]) -> float:
    """Return the mean opinion of the imagined raters about a sound."""
    spectrum = speech_quality.log_power_spectrum(samples)[None, None]
    session = _session("plcmos")
    answers = [
        float(session.run(None, {"degraded_audio": spectrum, "rater_embed": rater})[0])
        for rater in speech_quality.imagine_raters()
    ]
    return float(np.mean(answers))


@cache
def _session(name: str) -> Any:
    """Load a network, once for a process; sessions may be used by several threads."""
    onnxruntime = load_library("onnxruntime")
    try:
        content = MODELS.read(name)
    except RequestError as error:
        raise UsageError(str(error)) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # other trackers work beside this one
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
