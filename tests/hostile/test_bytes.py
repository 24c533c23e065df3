"""Whatever bytes come from a peer, or out of a file: a named error or a value, and memory for what came, never more.

Each decoder gets noise, what is right but for a few bytes, and right containers of wrong things. `make fuzz` goes on from
there, by what the code does with them (`fuzz.py`).
"""

from dataclasses import replace

import msgpack
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tacit.transport.calls import MAGIC, frame
from tests.hostile import fuzz
from tests.hostile.decoders import CALL, DECODERS, PACKED, PARTIES, RECORDS, decoded, refused

EXAMPLES = 50

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
    if name in PACKED:
        ways += [things.map(msgpack.packb), replaced(samples)]
    return st.one_of(ways)


@pytest.mark.quick()
@pytest.mark.parametrize("name", DECODERS)
def test_what_is_right_is_taken(name):
    decode, samples = DECODERS[name]
    for sample in samples:
        decode(sample)


@pytest.mark.quick()
@pytest.mark.parametrize("name", DECODERS)
def test_what_fuzzing_has_kept(name):
    for data in fuzz.kept(name):
        decoded(name, data)


@pytest.mark.quick()
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
        ("parties", PARTIES.replace(b"7000", "²".encode())),  # a digit, and no number
        ("parties", PARTIES.replace(b"7000", b"7" * 5000)),
        ("parties", b"threshold = " + b"[" * 5000),
        ("parties", PARTIES.replace(b"fingerprint", b"certificate").replace(b"ab" * 32, b"a\\u0000b")),
    ],
)
def test_what_was_found(name, data):
    """Each is refused, by its name."""
    with pytest.raises(refused(name)):
        DECODERS[name][0](data)
    decoded(name, data)
