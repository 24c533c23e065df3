"""Decoders of bytes from a peer, or out of a file: by name, with right ones; and what has to be true of any others."""

import json
import tempfile
import tracemalloc
from pathlib import Path

import msgpack
import numpy as np

from tacit.correlations.masks import Mask
from tacit.correlations.requests import MaskRequest, ProductRequest, TruncationRequest, pack
from tacit.engine.history import Admission, Entry
from tacit.engine.rejoin import unpacked
from tacit.errors import TacitError
from tacit.graph.forms import Elementwise
from tacit.interaction.exchange import received
from tacit.launch.parties import load_parties
from tacit.numbers.saving import _part
from tacit.preprocessing import vault
from tacit.preprocessing.ahead import _unpacked
from tacit.sessions import data as entering
from tacit.sessions import public, saved
from tacit.transport import wire
from tacit.transport.calls import MAGIC, Call, Calls, frame
from tacit.transport.handshake import decode_hello, encode_hello
from tacit.transport.identity import make_identity
from tacit.transport.signing import Signatures
from tacit.transport.wire import Answer, Ask, Introduction, Kind, Reply, Request, Told, Verdict, header, parse_header

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

FOLDER = tempfile.TemporaryDirectory()
STORE_KEY = bytes(range(32))


def file(name, data):
    path = Path(FOLDER.name) / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def store():
    """A head and a piece."""
    path = Path(FOLDER.name) / "written"
    with vault.Writer(path, STORE_KEY) as writer:
        writer.write(b"kind", b"material")
        plain = {"key": 1, "binary_key": 1, "binary": True, "summands": 1, "late": True, "lists": 1}
        writer.seal(version="0.1.0", id=bytes(16), me=0, parties=2, **plain)
    return (path / vault.HEAD).read_bytes(), (path / vault.MATERIAL).read_bytes()


HEAD, PIECE = store()


def read_store(head, material):
    file(f"store/{vault.MATERIAL}", material)
    reader = vault.Reader(file(f"store/{vault.HEAD}", head).parent, STORE_KEY)
    try:
        reader.read(b"kind", bytearray(8))
    finally:
        reader.close()


PARTIES = b"""threshold = 1
[[party]]
name = "bank"
address = "bank.example:7000"
fingerprint = "%s"
[[party]]
address = "[::1]:7001"
fingerprint = "%s"
""" % (b"ab" * 32, b"cd" * 32)
SHARE = {
    **{
        "tacit share": 1,
        "origin": "00/1",
        "party": 0,
        "parties": 2,
        "needed": 2,
        "kind": "array",
        "scale": 16,
        "bits": 28,
    },
    **{
        "signers": "",
        "signer": "",
        "shape": [2],
        "values": bytes(16),
        "blind": bytes(8),
        "tags": bytes(24),
        "key": bytes(8),
    },
}

DECODERS = {
    "frame header": (
        lambda data: parse_header(data[:8].ljust(8, b"\0")),
        [header(Kind.DATA, 1 << 20), header(Kind.STOP, 5)],
    ),
    "introduction": (Introduction.decode, [Introduction(1, 0, 900).encode()]),
    "answer": (Answer.decode, [Answer(Verdict.NOT_ME, 900).encode()]),
    "request": (Request.decode, [Request(Ask.MEND, bytes(16), 3, purpose="online").encode()[: wire.REQUEST_SIZE]]),
    "reply": (Reply.decode, [Reply(Told.BUSY, process=7, began=9).encode()]),
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
    "saved share": (lambda data: _part(msgpack.unpackb(data)), [msgpack.packb(SHARE)]),
    "store": (lambda data: read_store(data, PIECE), [HEAD]),
    "stored piece": (lambda data: read_store(HEAD, data), [PIECE]),
    "parties": (lambda data: load_parties(file("parties.toml", data)), [PARTIES]),
    "public numbers": (
        lambda data: public.unpacked(data, 0),
        [public.packed(x) for x in (2.5, np.arange(3), np.ones((2, 2), np.float32))],
    ),
    "length of public numbers": (
        lambda data: public._length(data, 1, "x", 0),
        [json.dumps(["public", "x", n]).encode() for n in (None, 24)],
    ),
    "shape": (
        lambda data: entering._read(data, 1, "x", 0),
        [json.dumps(["enter", "x", shape]).encode() for shape in (None, [3, 4])],
    ),
    "requests": (lambda data: _unpacked(msgpack.unpackb(data)), [msgpack.packb(requests())]),
}
ERRORS = {
    **dict.fromkeys(("frame header", "introduction", "answer", "request", "reply"), wire.Malformed),
    "greeting": ValueError,
    **dict.fromkeys(("requests", "saved share"), (TacitError, ValueError)),
}
"""Others than errors of tacit: who reads the greeting makes one of it, and in the last two msgpack is the test's."""


PACKED = ("entry", "admission", "past", "requests", "saved share")
"""Those that take msgpack."""


def refused(name):
    """How a decoder says that it does not take some bytes."""
    return ERRORS.get(name, TacitError)


def decoded(name, data):
    """Nothing but an error that is named, and memory for what came."""
    tracemalloc.start()
    try:
        DECODERS[name][0](data)
    except refused(name):
        pass
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert most < ROOM + TIMES * len(data), (name, data[:80], most)
