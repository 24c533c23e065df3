"""A slow, distant network in user space: any channel, with a one-way delay and a bandwidth for each party.

Model: a party has one line out. The frames of a round go onto it when the line is free, share it for
bytes / bandwidth seconds (bytes to all peers together), and are seen `latency` seconds later, all at once. The
receiving line is not a bottleneck. The moment of arrival travels in the frame, so all parties have to be on one
machine (its monotonic clock is common to all processes on Linux) and all of them have to be emulated.
"""

from __future__ import annotations

import struct
import time
from dataclasses import replace

from tacit.transport.channel import Around, Channel, Round
from tacit.transport.meter import HEADER_SIZE

_STAMP = struct.Struct("<Q")
LONGEST_DELAY = 3600.0


class Emulated(Around):
    """`channel` behind a line of `latency` seconds one way and `bandwidth` bytes a second; its meter counts on."""

    def __init__(self, channel: Channel, latency: float, bandwidth: float) -> None:
        if latency < 0 or not bandwidth > 0:
            raise ValueError("a latency of at least 0 seconds and a bandwidth above 0 bytes a second are needed")
        super().__init__(channel)
        channel.overhead += _STAMP.size
        self._latency, self._bandwidth = latency, bandwidth
        self._free = 0.0

    def _round(self, asked: Round) -> None:
        self._free = max(self._free, time.monotonic())
        size = sum(piece.nbytes for pieces in asked.out.values() for piece in pieces)
        self._free += (size + HEADER_SIZE * len(asked.out)) / self._bandwidth
        stamp = memoryview(_STAMP.pack(int((self._free + self._latency) * 1e9)))
        stamped = replace(
            asked,
            out={peer: [stamp, *pieces] for peer, pieces in asked.out.items()},
            expect={peer: limit + _STAMP.size for peer, limit in asked.expect.items()},
            came={},
        )
        seen = 0.0
        try:
            self._inner._round(stamped)
        finally:
            for peer, frame in stamped.came.items():
                if len(frame) >= _STAMP.size:
                    seen = max(seen, _STAMP.unpack_from(frame)[0] / 1e9)
                    del frame[: _STAMP.size]
                    asked.came[peer] = frame
        for peer in stamped.came:
            if peer not in asked.came:
                raise self.lost(peer, "its channel is not emulated", asked.where)
        if (left := seen - time.monotonic()) > 0:
            time.sleep(min(left, LONGEST_DELAY))
