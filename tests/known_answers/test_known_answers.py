"""The core against files of known answers, and the answers against computations that share no code with it."""

import contextlib
import hashlib
import hmac
import json

import msgpack
import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tacit import _core
from tacit.engine.history import Admission, Entry
from tacit.engine.rejoin import unpacked
from tacit.errors import BadInput, CheatingDetected, Mismatch
from tacit.field import P
from tacit.interaction.exchange import received
from tacit.numbers.saving import _part
from tacit.preprocessing.ahead import _unpacked
from tacit.preprocessing.vault import Reader, StoreError
from tacit.sessions import saved
from tacit.transport.calls import Call
from tacit.transport.handshake import decode_hello
from tacit.transport.wire import Answer, Introduction, Malformed, parse_header
from tests.known_answers import cases

KNOWN = json.loads(cases.FILE.read_text())
REFUSED = json.loads(cases.FILE.with_name("refused.json").read_text())
EDITED = json.loads(cases.FILE.with_name("edited.json").read_text())
"""Refused too: what differs in them from what is known."""


def edited(data, edit):
    """`put` bytes at a place, `cut` so many off its end, `add` some, or `swap` so many at its beginning for the rest."""
    data = bytearray(data)
    if "put" in edit:
        new = bytes.fromhex(edit["put"])
        at = edit["at"] % len(data)
        assert data[at : at + len(new)] != new
        data[at : at + len(new)] = new
    swap = edit.get("swap", 0)
    data = data[swap:] + data[:swap] + bytes.fromhex(edit.get("add", ""))
    return bytes(data[: len(data) - edit.get("cut", 0)])


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


def unsealed(purpose, magic, data, associated, pieces):
    """HKDF-SHA256 of the user's key with the file's salt, then AES-256-GCM, the piece's number as nonce."""
    salt, data = data[len(magic) : len(magic) + 32], data[len(magic) + 32 :]
    extracted = hmac.digest(salt, cases.KEY, "sha256")
    return opened(hmac.digest(extracted, purpose + b"\1", "sha256"), data, associated, pieces)


def opened(key, data, associated, pieces):
    found, at = [], 0
    for k, length in enumerate(pieces):
        counter = Cipher(algorithms.AES(key), modes.GCM(k.to_bytes(12, "big"), data[at + length : at + length + 16]))
        decryptor = counter.decryptor()
        decryptor.authenticate_additional_data(associated[k])
        found.append(decryptor.update(data[at : at + length]) + decryptor.finalize())
        at += length + 16
    assert at == len(data)
    return found


def test_a_store_is_sealed_as_its_page_says():
    magic, head, material = b"tacit store 1\n", *(bytes.fromhex(KNOWN["store"][n]) for n in ("head", "material"))
    about = head[: len(magic) + 32]
    (content,) = unsealed(b"tacit store", magic, head, [about], [len(head) - len(about) - 16])
    content = msgpack.unpackb(content)
    assert content["me"] == 1 and content["key"] == 5 and len(content["secret"]) == 32
    kinds, pieces = zip(*cases.MATERIAL, strict=True)
    assert opened(content["secret"], material, kinds, [len(p) for p in pieces]) == list(pieces)


def test_saved_shares_are_sealed_as_their_page_says():
    magic, data = b"tacit saved shares 1\n", bytes.fromhex(KNOWN["shares"]["sealed"])
    about = data[: len(magic) + 32]
    size = len(data) - len(about) - 16
    assert unsealed(b"tacit saved shares", magic, data, [about + b"\1"], [size]) == [b"a file of saved shares"]


def test_what_answers_to_encrypted_numbers_open_to():
    e, f, r = cases.OPERANDS
    assert KNOWN["lattice"]["opened"]["products"] == [(a * b + c) % P for a, b, c in zip(e, f, r, strict=True)]
    assert KNOWN["lattice"]["opened"]["MACs"] == [(77 * b + c) % P for b, c in zip(f, r, strict=True)]


@pytest.fixture(scope="module")
def prepared():
    return cases.preparing()


@pytest.mark.quick()
@pytest.mark.parametrize("why", EDITED["messages"])
@pytest.mark.parametrize("kind", ["keys", "ciphertexts", "products", "MACs"])
def test_messages_of_a_preparation_that_have_to_be_refused(kind, why, prepared):
    (zero, _), made, _ = prepared
    one = _core.LatticeParty(cases.SESSION, 1, 2, bytes([2]) * 32)
    one.meet(0, cases.octets(zero.hello()))
    few, whole = (zero.elementwise(n) for n in (5, zero.slots))
    data = cases.octets(edited(made[kind], EDITED["messages"][why]))
    fresh = _core.LatticeParty(cases.SESSION, 0, 2, bytes([1]) * 32)
    decode = {
        "keys": lambda: fresh.meet(1, data),
        "ciphertexts": lambda: one.accept(0, [few, whole], data),
        "products": lambda: zero.open(few, 5, data),
        "MACs": lambda: zero.open_scaled(5, data),
    }
    with pytest.raises(_core.PeerError):
        decode[kind]()


@pytest.mark.quick()
@pytest.mark.parametrize("why", EDITED["store"])
def test_stores_that_have_to_be_refused(why, tmp_path):
    for name in ("head", "material"):
        data = bytes.fromhex(KNOWN["store"][name])
        (tmp_path / name).write_bytes(edited(data, EDITED["store"][why].get(name, {})))
    with pytest.raises(StoreError), contextlib.closing(Reader(tmp_path, cases.KEY)) as reader:
        for kind, piece in cases.MATERIAL:
            reader.read(kind, bytearray(len(piece)))


def test_the_store_itself_is_read(tmp_path):
    for name in ("head", "material"):
        (tmp_path / name).write_bytes(bytes.fromhex(KNOWN["store"][name]))
    with contextlib.closing(Reader(tmp_path, cases.KEY)) as reader:
        for kind, piece in cases.MATERIAL:
            reader.read(kind, into := bytearray(len(piece)))
            assert into == piece
    with pytest.raises(StoreError):
        Reader(tmp_path, cases.KEY[::-1])


@pytest.mark.quick()
@pytest.mark.parametrize("why", EDITED["sealed shares"])
def test_sealed_shares_that_have_to_be_refused(why):
    sealed = bytes.fromhex(KNOWN["shares"]["sealed"])
    assert saved.opened(sealed, cases.KEY) == b"a file of saved shares"
    with pytest.raises(BadInput):
        saved.opened(edited(sealed, EDITED["sealed shares"][why]), cases.KEY)


@pytest.mark.quick()
@pytest.mark.parametrize("why", EDITED["share"])
def test_shares_that_have_to_be_refused(why):
    share = {**cases.SHARE, **EDITED["share"][why]}
    share = {k: bytes.fromhex(v["hex"]) if isinstance(v, dict) else v for k, v in share.items()}
    with pytest.raises(BadInput):
        _part(share)


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
