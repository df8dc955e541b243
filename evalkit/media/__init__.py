"""The one place that opens video and sound."""

from evalkit.media.probe import probe
from evalkit.media.reader import Decoded, Reader, read_frames_at

__all__ = ["Decoded", "Reader", "probe", "read_frames_at"]
