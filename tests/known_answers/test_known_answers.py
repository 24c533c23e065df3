"""The core against files of known answers, and the answers against computations that share no code with it."""

import hashlib
import json

import msgpack
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tacit import _core
from tacit.engine.history import Admission, Entry
from tacit.engine.rejoin import unpacked
from tacit.errors import CheatingDetected, Mismatch
from tacit.field import P
from tacit.interaction.exchange import received
from tacit.preprocessing.ahead import _unpacked
from tacit.transport.calls import Call
from tacit.transport.handshake import decode_hello
from tacit.transport.wire import Answer, Introduction, Malformed, parse_header
from tests.known_answers import cases

KNOWN = json.loads(cases.FILE.read_text())
REFUSED = json.loads(cases.FILE.with_name("refused.json").read_text())


@pytest.mark.parametrize("part", KNOWN)
def test_the_core_answers_as_ever(part):
    assert cases.answers()[part] == KNOWN[part]


def test_products_and_inverses_are_those_of_integers():
    pairs = [(x, y) for x in cases.EDGES for y in cases.EDGES]
    known = KNOWN["fields"]
    assert known["add"] == [(x + y) % P for x, y in pairs]
    assert known["sub"] == [(x - y) % P for x, y in pairs]
    assert known["mul"] == [x * y % P for x, y in pairs]
    assert known["inverse"] == [pow(x, -1, P) if x else 0 for x in cases.EDGES]
    assert known["signed"] == [x if x <= P // 2 else x - P for x in cases.EDGES]


def stream(kind, length, number, count, bound):
    """block_(j, b) = AES_key(number, 2^24 j + b): words, cut to the bits of the bound; those that reach it are left out."""
    cipher = Cipher(algorithms.AES(bytes(range(length))), modes.ECB()).encryptor()

    def words(chunk):
        for block in range(1 << 24):
            data = cipher.update(((chunk << 24) | block).to_bytes(8, "little") + number.to_bytes(8, "little"))
            yield from (int.from_bytes(half, "little") for half in (data[:8], data[8:]))

    if kind == "bytes":
        found = words(0)
        return b"".join(next(found).to_bytes(8, "little") for _ in range(-(-count // 8)))[:count]
    if kind == "bits":
        found = words(0)
        return [word >> i & 1 for word in (next(found) for _ in range(-(-count // 64))) for i in range(64)][:count]
    out, mask = [], (1 << (bound - 1).bit_length()) - 1
    for chunk in range(-(-count // 4096)):
        kept = (w & mask for w in words(chunk) if w & mask < bound)
        out += [next(kept) for _ in range(min(4096, count - 4096 * chunk))]
    return out


@pytest.mark.parametrize("known", KNOWN["streams"], ids=lambda known: "-".join(map(str, known["case"][:4])))
def test_streams_are_those_of_aes(known):
    made = stream(*known["case"])
    data = made if isinstance(made, bytes) else np.array(made, np.uint64).tobytes()
    assert hashlib.sha256(data).hexdigest() == known["sha256"]
    assert [*made[:3], made[-1]] == known["ends"]


@pytest.mark.parametrize("setting", ["3 1 0", "5 2 3", "7 2 6"])
def test_shares_are_on_polynomials_with_the_secrets_at_zero(setting):
    n, t, _ = map(int, setting.split())

    def at(points, a):
        total = 0
        for x, y in points:
            w = y
            for other, _ in points:
                if other != x:
                    w = w * (a - other) * pow(x - other, -1, P) % P
            total += w
        return total % P

    for kind, count in (("dealt", len(cases.SECRETS)), ("random", 2)):
        shares = KNOWN["sharing"][setting][kind]
        for k in range(count):
            points = [(int(i) + 1, values[k]) for i, values in shares.items()]
            assert all(at(points[: t + 1], x) == y for x, y in points) and len(points) == n
            if kind == "dealt":
                assert at(points[: t + 1], 0) == cases.SECRETS[k]


DECODERS = {
    "frame": (parse_header, Malformed),
    "introduction": (Introduction.decode, Malformed),
    "answer": (Answer.decode, Malformed),
    "greeting": (decode_hello, ValueError),
    "call": (Call.unpack, Mismatch),
    "entry": (Entry.unpack, Mismatch),
    "admission": (Admission.unpack, Mismatch),
    "past": (lambda data: unpacked(data, 1), CheatingDetected),
    "elements": (lambda data: received(memoryview(data), (3,), 1), CheatingDetected),
    "requests": (lambda data: _unpacked(msgpack.unpackb(data)), Mismatch),
}


@pytest.mark.quick()
@pytest.mark.parametrize(("kind", "why"), [(kind, why) for kind, ways in REFUSED.items() for why in ways])
def test_what_has_to_be_refused(kind, why):
    """Negative transcripts: what an honest party never sends."""
    decode, error = DECODERS[kind]
    with pytest.raises(error):
        decode(bytes.fromhex(REFUSED[kind][why]))


@pytest.mark.parametrize("backend", _core.backends())
def test_every_backend_gives_them(backend):
    a, b = (np.array(v, np.uint64) for v in zip(*[(x, y) for x in cases.EDGES for y in cases.EDGES], strict=True))
    for name in ("add", "sub", "mul"):
        assert cases.words(getattr(_core, name)(a, b, backend=backend)) == KNOWN["fields"][name]
