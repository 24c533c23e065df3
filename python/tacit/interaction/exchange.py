"""A round as a primitive sees it: what it sends to each peer, and how many bytes come from each."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tacit import _core
from tacit.errors import CheatingDetected
from tacit.field import Field, size
from tacit.graph.maps import Shape


@dataclass(frozen=True)
class Exchange:
    """One message of a primitive in one round: arrays or bytes to each peer, and how many bytes come from each.

    `corrects`: the primitive does without a peer's message that is malformed, which it gets as an empty one.
    """

    out: Mapping[int, Sequence[Any]]
    expect: Mapping[int, int]
    corrects: bool = False


Rounds = Generator[Exchange, Mapping[int, memoryview], Any]
"""An interactive primitive: yields what it sends in a round, gets what came, returns its result."""


def elements(data: memoryview, shape: Shape) -> Field:
    """A received array of field elements, checked to be canonical by the caller's protocol."""
    values = np.frombuffer(data, np.uint64, size(shape)).reshape(shape)
    return values if values.flags.aligned else values.copy()  # packed bits before it in the frame may have any length


def received(data: memoryview, shape: Shape, sender: int) -> Field:
    """Field elements that `sender` sent; `CheatingDetected` unless they are so many, and canonical."""
    if len(data) != 8 * size(shape):
        raise CheatingDetected(f"party {sender} sent {len(data)} bytes where {8 * size(shape)} were due")
    value = elements(data, shape)
    if not _core.is_canonical(value):
        raise CheatingDetected(f"party {sender} sent a number outside the field")
    return value
