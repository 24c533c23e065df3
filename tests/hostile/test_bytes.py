"""Whatever bytes come from a peer, or out of a file: a named error or a value, and memory for what came, never more.

Each decoder gets noise, what is right but for a few bytes, and right containers of wrong things. `make fuzz` does it for longer
(`TACIT_EXAMPLES`: examples for each decoder).
"""

import os
import tracemalloc
from dataclasses import replace

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tacit.correlations.masks import Mask
from tacit.correlations.requests import MaskRequest, ProductRequest, TruncationRequest, pack
from tacit.engine.history import Admission, Entry
from tacit.engine.rejoin import unpacked
from tacit.errors import TacitError
from tacit.graph.forms import Elementwise
from tacit.interaction.exchange import received
from tacit.preprocessing.ahead import _unpacked
from tacit.sessions import saved
from tacit.transport.calls import MAGIC, Call, Calls, frame
from tacit.transport.handshake import decode_hello, encode_hello
from tacit.transport.identity import make_identity
from tacit.transport.signing import Signatures
from tacit.transport.wire import Answer, Introduction, Kind, Verdict, header, parse_header

EXAMPLES = int(os.environ.get("TACIT_EXAMPLES", "50"))
ROOM = 1 << 20
"""Bytes that any decoder may take, besides so many times what came."""
TIMES = 300
"""A tuple of small numbers takes so much for each byte, about, until it is refused."""


def requests():
    masks = [MaskRequest(0, (2, 3)), MaskRequest(1, (2, 3))]
    product = ProductRequest(2, (2, 3), Elementwise(), Mask(masks[0]), Mask(masks[1]))
    return [0, pack([*masks, product, TruncationRequest(3, (4,), 1 << 16, 20)])]


ENTRIES = [
    Entry("reveal", [np.arange(6, dtype=np.uint64).reshape(2, 3)], (0, 1, 3), (2,)).pack(),
    Entry("shape", (4, 5), (0, 1, 2)).pack(),
    Entry("lost", 2, (0, 1), (2,)).pack(),
]
ADMISSION = Admission(5, 17, 4, 2, (0, 1, 2), (2,), ((2, 5),)).pack()
IDENTITIES = [make_identity(str(i)) for i in range(2)]
CERTIFICATES = {i: identity.certificate for i, identity in enumerate(IDENTITIES)}
RECORDS = [Calls(i, b"session", Signatures(identity, CERTIFICATES)) for i, identity in enumerate(IDENTITIES)]
CALL = Call(1, 0, 3, 7, True, True, frozenset({0, 1}), frozenset({0, 1}))

DECODERS = {
    "frame header": (
        lambda data: parse_header(data[:8].ljust(8, b"\0")),
        [header(Kind.DATA, 1 << 20), header(Kind.STOP, 5)],
    ),
    "introduction": (Introduction.decode, [Introduction(1, 0, 900).encode()]),
    "answer": (Answer.decode, [Answer(Verdict.NOT_ME, 900).encode()]),
    "greeting": (decode_hello, [encode_hello({"version": "0.1.0", "protocol": "shamir"})]),
    "call": (lambda data: RECORDS[0].take(MAGIC + data, 1, {0, 1}), [frame([RECORDS[1].sign(CALL)])[len(MAGIC) :]]),
    "entry": (Entry.unpack, ENTRIES),
    "admission": (Admission.unpack, [ADMISSION]),
    "past": (
        lambda data: unpacked(data, 1),
        [msgpack.packb([ENTRIES, b""]), msgpack.packb([[], ADMISSION])],
    ),
    "field elements": (
        lambda data: received(memoryview(data), (3,), 1),
        [np.array([0, 1, 5], np.uint64).tobytes()],
    ),
    "saved shares": (saved.unpacked, [saved.packed({"a": [1, 2.5, b"share"], "b": None})]),
    "sealed shares": (lambda data: saved.opened(data, bytes(32)), [saved.sealed(b"shares", bytes(32))]),
    "requests": (lambda data: _unpacked(msgpack.unpackb(data)), [msgpack.packb(requests())]),
}
REFUSED = (TacitError, ValueError)
"""`wire.Malformed` and what the handshake turns into an error are `ValueError`s, as are those of msgpack's own."""

numbers = st.one_of(
    st.integers(-(1 << 63), (1 << 64) - 1), st.integers(0, 8), st.floats(), st.sampled_from([1 << 40, (1 << 61) - 1])
)
things = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.binary(max_size=24), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


@st.composite
def altered(draw, samples):
    """A right message, but for some places."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["byte", "cut", "add", "many"])):
            case "byte" if data:
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at : at + draw(st.integers(1, 9))]
            case "add":
                data[at:at] = draw(st.binary(min_size=1, max_size=9))
            case _:
                data[at : at + 4] = b"\xff" * 4
    return bytes(data)


@st.composite
def replaced(draw, samples):
    """A right container with other things in it."""
    value = msgpack.unpackb(draw(st.sampled_from(samples)), strict_map_key=False)
    place = value
    while isinstance(place, list) and place:
        at = draw(st.integers(0, len(place) - 1))
        if not isinstance(place[at], list) or not place[at] or draw(st.booleans()):
            place[at] = draw(things)
            break
        place = place[at]
    return msgpack.packb(value)


def hostile(name):
    samples = DECODERS[name][1]
    ways = [st.binary(max_size=80), altered(samples)]
    if name in ("entry", "admission", "past", "requests"):
        ways += [things.map(msgpack.packb), replaced(samples)]
    return st.one_of(ways)


def decoded(name, data):
    """Nothing but an error that is named, and memory for what came."""
    tracemalloc.start()
    try:
        DECODERS[name][0](data)
    except REFUSED:
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < ROOM + TIMES * len(data), (name, data[:80], most)


@pytest.mark.quick()
@pytest.mark.parametrize("name", DECODERS)
def test_what_is_right_is_taken(name):
    decode, samples = DECODERS[name]
    for sample in samples:
        decode(sample)


@pytest.mark.quick()
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", DECODERS)
def test_hostile_bytes(name):
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(hostile(name))
    @example(b"")
    def check(data):
        decoded(name, data)

    check()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("past", msgpack.packb([[1 << 33], b""])),  # bytes(n) makes n bytes
        ("past", msgpack.packb([[], 1 << 33])),
        ("entry", msgpack.packb(["shape", None, [float("inf")], []])),
        ("entry", msgpack.packb(["reveal", [[[1 << 40], b""]], [0], []])),
        ("admission", msgpack.packb([float("nan"), 0, 0, 0, [0], [], []])),
        ("admission", msgpack.packb([0, 0, 0, 0, [[]], [{}], []])),
        ("call", frame([RECORDS[1].sign(replace(CALL, turn=1 << 62))])[len(MAGIC) :]),
        ("call", RECORDS[1].sign(CALL).body + b"\xff\xff" + bytes(99)),
        ("frame header", b"\xff" * 8),
    ],
)
def test_what_was_found(name, data):
    """Each is refused, by its name."""
    with pytest.raises(REFUSED):
        DECODERS[name][0](data)
    decoded(name, data)
