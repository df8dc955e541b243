"""Texts that encoders leave in packets of AAC: FFmpeg and FAAC write their versions into the first ones."""

from __future__ import annotations

_DATA_STREAM, _FILL = 4, 6
_WITHOUT_MEANING = {0b0000, 0b0001, 0b0010}
"""Kinds of fill elements that no decoder reads; others hold the high frequencies of HE-AAC, or loudness."""


def blank_texts(packet: bytes) -> bytes:
    """Return a packet with zeros in the elements before its sound that no decoder reads; of the same length.

    Parameters
    ----------
    packet : bytes
        A raw data block (ISO/IEC 14496-3, table 4.3), without an ADTS header.

    Notes
    -----
    Fill elements (table 4.11) and data stream elements (table 4.10) come before the sound where an encoder signs its work.

    Examples
    --------
    A fill element of three bytes, of which the first four bits are its kind, 0, and an ``A`` at the next whole byte; then
    the end of the block:

    >>> blank_texts(bytes([0b110_0011_0, 0, 0x41, 0b000_0000_1, 0b11_000000])).hex(" ")
    'c6 00 00 01 c0'
    """
    bits = _Bits(packet)
    while bits.n_left >= 8:
        element = bits.take(3)
        if element == _FILL:
            n_bytes = bits.take(4)
            if n_bytes == 15:
                n_bytes += bits.take(8) - 1
            is_blank = n_bytes > 0 and bits.peek(4) in _WITHOUT_MEANING
        elif element == _DATA_STREAM:
            bits.take(4)
            is_aligned = bits.take(1)
            n_bytes = bits.take(8)
            if n_bytes == 255:
                n_bytes += bits.take(8)
            if is_aligned:
                bits.take(-bits.place % 8)
            is_blank = True
        else:
            break
        if 8 * n_bytes > bits.n_left:
            break  # no such element: damage
        if is_blank:
            bits.clear(8 * n_bytes)
        bits.take(8 * n_bytes)
    return bits.to_bytes()


class _Bits:
    """Bits of some bytes, the highest first; beyond the end there are none, which reads as 0."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._n = 8 * len(data)
        self.place = 0

    @property
    def n_left(self) -> int:
        return self._n - self.place

    def peek(self, n: int) -> int:
        n = max(0, min(n, self.n_left))
        return self._value >> (self.n_left - n) & ((1 << n) - 1)

    def take(self, n: int) -> int:
        value = self.peek(n)
        self.place = min(self._n, self.place + n)
        return value

    def clear(self, n: int) -> None:
        self._value &= ~(((1 << n) - 1) << (self.n_left - n))

    def to_bytes(self) -> bytes:
        return self._value.to_bytes(self._n // 8, "big")
