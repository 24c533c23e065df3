"""A slow network between the parties, in the units that people use."""

from tacit.transport.channel import Channel
from tacit.transport.emulated import Emulated

MEGABIT = 125_000.0
"""Bytes a second in one Mbit/s."""


def emulated(channel: Channel, latency: float | None, bandwidth: float | None) -> Channel:
    """`channel` with `latency` milliseconds one way and `bandwidth` Mbit/s out of each party, if any is asked for."""
    if latency is None and bandwidth is None:
        return channel
    return Emulated(channel, (latency or 0.0) / 1000, float("inf") if bandwidth is None else bandwidth * MEGABIT)
