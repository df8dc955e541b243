"""What libraries in C++ write to the error output on every use, which says nothing to a person."""

from __future__ import annotations

import re

# abseil's information and warnings, its complaint about itself, and TensorFlow Lite's greeting (mediapipe 0.10)
_CHATTER = re.compile(
    r"[IW]\d{4} [\d:.]+ +\d+ [\w./-]+:\d+\] .*"
    r"|WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR"
    r"|INFO: Created TensorFlow Lite XNNPACK delegate for CPU\.",
    re.DOTALL,
)


def is_chatter(line: str) -> bool:
    """Say whether a line is such words; an error of such a library is none.

    >>> is_chatter("W0000 00:00:1795986326.795792    1999 landmark_projection_calculator.cc:186] Using NORM_RECT")
    True
    >>> is_chatter("E0000 00:00:1795986326.795792    1999 graph.cc:1] no such file")
    False
    """
    return _CHATTER.fullmatch(line.rstrip()) is not None


def without_chatter(text: str) -> str:
    """Return a text without such lines."""
    return "".join(line for line in text.splitlines(keepends=True) if not is_chatter(line))
