"""Speak sentences with espeak-ng and note when the lips must be shut (p, b, m) and when the mouth stands open (a).

``python training/motion/speak.py CACHE`` writes ``CACHE/space/spoken.npz``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from pipeline.reference.features import FOLD, MOTION_RATE_HZ, log_mel
from pipeline.speech.espeak import Espeak

SENTENCES = {
    "en-us": (
        "Maybe Bob bought a big apple pie for my mother, and a paper map of the public park by the bay.",
        "Please compare the monthly payment plans before you submit the application form to the bank.",
        "My name is Emma. I am happy to present the new mobile plan, simple, cheap and available now.",
        "Both of them jumped up when the bus stopped; people bumped into each other and apologised.",
    ),
    "en-gb": (
        "Good morning. Today we open a new branch in the centre of town, and everybody may come and have a look.",
        "Above all, be prompt: problems that are spotted in the first minute seldom become important.",
    ),
    "cmn": (
        "妈妈把苹果放在桌子上，爸爸跑步回来买面包。",
        "欢迎光临本店，今天我们为您准备了品牌特惠，请慢慢看。",
        "朋友们，明天北部有暴雨，请大家不忘带雨伞，保护自己。",
    ),
    "de": (
        "Am Abend probieren wir beim Bäcker um die Ecke ein paar Brötchen mit Butter und Marmelade.",
        "Bitte melden Sie sich beim Empfang, bevor Sie die Probefahrt mit dem blauen Wagen machen.",
    ),
    "es": (
        "Buenos días, mi nombre es Pablo y hoy hablamos de los nuevos precios para las pequeñas empresas.",
        "Mañana por la mañana salimos en barco para buscar una playa bonita y comer paella.",
    ),
}
VOICES = (None, "f2", "m3", "f4")


def main(cache: Path) -> None:
    """Speak everything in several voices."""
    engine = Espeak()
    out: dict[str, np.ndarray] = {}
    for language, sentences in SENTENCES.items():
        for i, sentence in enumerate(sentences):
            for j, voice in enumerate(VOICES):
                speech = engine.speak(sentence, language, voice)
                samples = resample_poly(speech.samples / 32768, 320, 441).astype(np.float32)
                mel = log_mel([samples])
                n = len(mel) // FOLD
                times = np.arange(n) / MOTION_RATE_HZ
                shut, ajar = np.zeros(n, bool), np.zeros(n, bool)
                for symbol, start, end in speech.phonemes:
                    bare = symbol.strip("ˈˌ")
                    low, high = start + 0.15 * (end - start), start + 0.75 * (end - start)
                    inside = (times >= low) & (times <= high)
                    if not inside.any():
                        inside = np.abs(times - (low + high) / 2) <= 0.5 / MOTION_RATE_HZ
                    if bare[:1] in {"p", "b", "m"}:
                        shut |= inside
                    elif bare[:1] in {"a", "ɑ", "æ"} and end - start > 0.06:
                        ajar |= inside
                key = f"{language}_{i}_{j}"
                out[f"mel_{key}"], out[f"shut_{key}"], out[f"ajar_{key}"] = mel[: n * FOLD], shut, ajar
    np.savez_compressed(cache / "space" / "spoken.npz", **out)
    total = sum(len(v) for k, v in out.items() if k.startswith("shut")) / MOTION_RATE_HZ
    print(f"{len(out) // 3} utterances, {total:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
