"""One clock for a file whose clock starts anew, as transmissions that were cut up or joined with ``cat``, or stumbles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import av

BACK_S = 0.1
"""Decoding times never run back; by more than this, another piece begins."""
AHEAD_S = 60.0
"""A transmission of which no stream goes on for this long is taken for two pieces."""
_UNMOVED = {"avi", "mov,mp4,m4a,3gp,3g2,mj2"}
"""Formats whose index places every packet."""
_TRANSMITTED = {"mpegts", "mpeg"}
"""Formats whose pieces may each have a clock of their own, earlier or later."""


class Clock:
    """Moves the times of packets, so that every piece of a file follows the one before.

    Parameters
    ----------
    container : av.container.InputContainer
        Formats that hold an index of all packets are left as they are.

    Attributes
    ----------
    joints_s : list of float
        Where pieces were joined, in seconds on the clock that runs on.
    """

    def __init__(self, container: av.container.InputContainer) -> None:
        self._moves = container.format.name not in _UNMOVED
        self._counts = container.format.name == "avi"
        self._jumps_ahead = container.format.name in _TRANSMITTED
        self._moved_s = 0.0
        self._last_s: dict[int, float] = {}
        self._ends_s: dict[int, float] = {}
        self._next_ticks: dict[int, int] = {}
        self.joints_s: list[float] = []

    def place(self, packet: av.Packet) -> None:
        """Move the times of the next packet of the file."""
        if self._counts and packet.stream.type == "audio":
            self._count(packet)
        if not self._moves or packet.dts is None or packet.time_base is None:
            return
        stream, base = packet.stream_index, packet.time_base
        time_s = float(packet.dts * base) + self._moved_s
        back = time_s < self._last_s.get(stream, time_s) - BACK_S
        ahead = self._jumps_ahead and time_s > max(self._ends_s.values(), default=time_s) + AHEAD_S
        if back or ahead:
            end_s = max(self._ends_s.values())
            self.joints_s.append(end_s)
            self._moved_s += end_s - time_s
            self._last_s.clear()
            time_s = end_s
        if self._moved_s:
            ticks = round(self._moved_s / base)
            packet.dts += ticks
            if packet.pts is not None:
                packet.pts += ticks
        self._last_s[stream] = time_s
        self._ends_s[stream] = time_s + float((packet.duration or 0) * base)

    def _count(self, packet: av.Packet) -> None:
        """Place the sound of an AVI, which holds no times, after what came before it.

        FFmpeg counts a packet of AAC that is larger than the header's block (``nBlockAlign``) as two.
        """
        if packet.dts is None or not packet.duration:
            return
        packet.dts = packet.pts = self._next_ticks.get(packet.stream_index, packet.dts)
        self._next_ticks[packet.stream_index] = packet.dts + packet.duration
