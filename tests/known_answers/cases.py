"""What the core answers to fixed questions: `python -m tests.known_answers.cases` writes `core.json`.

Parties of two versions, or two implementations, that answer differently cannot work together: a file that changes is a change of
the protocol, and says so in CHANGELOG.md.
"""

import hashlib
import json
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np

from tacit import _core, field
from tacit.engine.history import Admission, Entry
from tacit.field import P
from tacit.interaction.rounds import HEADER
from tacit.numbers.saving import _part
from tacit.preprocessing import vault
from tacit.protocols.gadgets.truncation import Rounding, result
from tacit.protocols.shamir.randomness import hyper_invertible
from tacit.protocols.shamir.shares import Group, Shares, hashed
from tacit.sessions import saved
from tacit.transport.calls import Call
from tacit.transport.wire import Answer, Introduction, Kind, Verdict, header

FILE = Path(__file__).with_name("core.json")
EDGES = [0, 1, 2, P - 1, P - 2, P // 2, P // 2 + 1, (1 << 60) + 12345, (1 << 52) - 1, 0x1555555555555555]
SESSION = bytes(range(32))
SECRETS = [0, 1, P - 1, 123456789]


def digest(a):
    return hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()


def words(a):
    return [int(v) for v in np.asarray(a).reshape(-1)]


def fields():
    a, b = (np.array(v, np.uint64) for v in zip(*[(x, y) for x in EDGES for y in EDGES], strict=True))
    return {
        "add": words(_core.add(a, b)),
        "sub": words(_core.sub(a, b)),
        "mul": words(_core.mul(a, b)),
        "inverse": words(_core.inverse(np.array(EDGES, np.uint64))),
        "signed": words(_core.to_signed(np.array(EDGES, np.uint64))),
        "encode": words(_core.encode(np.array([0.0, 1.5, -2.25, 3e-6, -1 / 3]), 16, 40)),
    }


STREAMS = [
    ("field", 16, 0, 9000, P),
    ("field", 32, 7, 5, P),
    ("below", 16, 1 << 40, 100, 1000),
    ("below", 16, 3, 4097, (1 << 40) + 1),
    ("bits", 16, 0, 130, 2),
    ("bytes", 32, 0, 21, 0),
]


def drawn(kind, length, stream, count, bound):
    prg = _core.Prg(bytes(range(length)), stream)
    if kind == "bytes":
        return np.frombuffer(prg.bytes(count), np.uint8)
    return prg.below(count, bound) if kind == "below" else prg.bits(count) if kind == "bits" else prg.field(count)


def streams():
    """First three, last, and a hash of all."""
    made = [drawn(*case) for case in STREAMS]
    return [
        {"case": case, "ends": words([*v[:3], v[-1]]), "sha256": digest(v)}
        for case, v in zip(STREAMS, made, strict=True)
    ]


def group(me, parties, threshold):
    """With fixed keys: each pair's and each set's is a hash of its members."""
    made = Group(me, range(parties), threshold, SESSION)
    made.seeds.pairs = {i: hashed("pair", bytes(sorted((i, me)))) for i in made.others}
    made.seeds.sets = {a: hashed("set", bytes(a)) for a in made.sets if me in a}
    return made


def dealt(parties, threshold, dealer):
    """Each party's share of what the dealer deals, and of a random number that nobody knows."""
    shares = {i: Shares(group(i, parties, threshold), "online") for i in range(parties)}
    mine = np.array(SECRETS, np.uint64)
    steps = {i: s.deal([dealer], mine if i == dealer else None, mine.shape) for i, s in shares.items()}
    sent = {i: next(s) for i, s in steps.items()}
    out = {}
    for i, s in steps.items():
        came = {dealer: memoryview(sent[dealer].out[i][0]).cast("B")} if i in sent[dealer].out else {}
        try:
            s.send(came)
        except StopIteration as end:
            out[i] = words(end.value[dealer])
    random = {}
    for i, s in shares.items():
        try:
            next(s.random((2,)))
        except StopIteration as end:
            random[i] = words(end.value)
    return {"dealt": out, "random": random}


def sharing():
    return {
        "3 1 0": dealt(3, 1, 0),
        "5 2 3": dealt(5, 2, 3),
        "7 2 6": dealt(7, 2, 6),
        "hyper_invertible 4": hyper_invertible(4),
    }


def truncations():
    found = {}
    for divisor, summands in ((1, 1), (1 << 16, 1), (1 << 16, 3), (1 << 20, 35), (12345, 5)):
        r = Rounding.alone(divisor, summands)
        c = np.array([0, 1, P // 2 - 1, P // 2, P - 1, 1 << 57, 987654321987654321], np.uint64)
        (y,) = result(c, (np.arange(7, dtype=np.uint64),), (np.full(7, 5, np.uint64),), (1,), r)
        found[f"{divisor} {summands}"] = {
            "digits": r.digits,
            "offset": r.offset,
            "weights": r.weights,
            "result": words(y),
        }
    return found


def encodings():
    element = np.array([0, 1, P - 1], np.uint64)
    made = {
        "frame": header(Kind.DATA, 123456) + header(Kind.STOP, 17) + header(Kind.END, 0),
        "round": HEADER.pack(bytes(range(8)), 3, 2),
        "introduction": Introduction(2, 0, 1234).encode(),
        "answer": Answer(Verdict.NOT_ME, 77, bytes(range(32))).encode(),
        "call": Call(2, 4, 5, 9, True, False, frozenset({0, 3}), frozenset({0, 2, 3}), bytes(range(16))).pack(),
        "reveal": Entry("reveal", [element], (0, 1, 2), (3,)).pack(),
        "shape": Entry("shape", (4, 5), (0, 1), ()).pack(),
        "admission": Admission(1, 2, 3, 4, (0, 1, 2), (1,), ((1, 1),)).pack(),
        "hash": hashed("coin", SESSION, b"abc"),
        "elements": field.contiguous(element).astype("<u8").tobytes(),
    }
    return {name: data.hex() for name, data in made.items()}


KEY = bytes(range(100, 132))
"""The user's, that stores and files of saved shares are sealed with."""
MATERIAL = [(b"mask", b"a piece of material"), (b"product", b"another")]
SHARE = {
    **{"tacit share": 1, "origin": "0123/4", "party": 1, "parties": 2, "needed": 2, "signers": "", "signer": ""},
    **{"kind": "array", "shape": [2], "scale": 16, "bits": 28},
    **{"values": bytes(range(16)), "blind": bytes(8), "tags": bytes(range(1, 25)), "key": bytes([7] + 7 * [0])},
}


def drawing(*numbers):
    """In place of the operating system's random numbers."""
    return mock.patch("secrets.token_bytes", side_effect=numbers)


def store():
    """A party's material on its disk: the head and its pieces."""
    with tempfile.TemporaryDirectory() as folder, drawing(bytes(range(32)), bytes(range(32, 64))):
        with vault.Writer(Path(folder), KEY) as writer:
            for kind, piece in MATERIAL:
                writer.write(kind, piece)
            sizes = {"me": 1, "parties": 2, "summands": 1, "lists": 3, "late": True}
            writer.seal(version="0.1.0", id=SESSION[:16], key=5, binary_key=9, binary=True, **sizes)
        return {name: (Path(folder) / name).read_bytes().hex() for name in (vault.HEAD, vault.MATERIAL)}


def shares():
    """A sealed file of saved shares, and what a share says."""
    part = _part(SHARE)
    with drawing(bytes(range(64, 96))):
        sealed = saved.sealed(b"a file of saved shares", KEY)
    return {"sealed": sealed.hex(), "what": part.what(), "words": [words(w) for w in part.words()]}


OPERANDS = [[1, 2, P - 1, 1 << 60, 0], [3, P - 5, 7, 11, 1 << 40], [P - 1, 0, 1, 2, 3]]
"""Encrypted; multiplied; added."""


def preparing():
    """Two parties: messages of a preparation, and what party 0 opens of answers to its numbers, and to its MAC key."""
    e, f, r = (np.array(v, np.uint64) for v in OPERANDS)
    parties = [_core.LatticeParty(SESSION, i, 2, bytes([i + 1]) * 32) for i in range(2)]
    made = {"keys": parties[1].hello()}
    for i, party in enumerate(parties):
        party.meet(1 - i, octets(parties[1 - i].hello()))
    few, whole = (parties[0].elementwise(n) for n in (e.size, parties[0].slots))
    made["ciphertexts"] = parties[0].encrypt([few, whole], [e, np.full(parties[0].slots, 77, np.uint64)])
    encrypted, alpha = parties[1].accept(0, [few, whole], octets(made["ciphertexts"]))
    made["products"] = parties[1].respond(0, few, encrypted, f, r)
    made["MACs"] = parties[1].scale(0, parties[1].multiplier(alpha), f, r)
    opened = {
        "products": parties[0].open(few, e.size, octets(made["products"])),
        "MACs": parties[0].open_scaled(e.size, octets(made["MACs"])),
    }
    return parties, made, opened


def octets(data):
    return np.frombuffer(data, np.uint8)


def lattice():
    """Each message's length, beginning and hash: it has many kilobytes."""
    _, made, opened = preparing()
    messages = {
        name: {"bytes": len(data), "begins": data[:32].hex(), "sha256": hashlib.sha256(data).hexdigest()}
        for name, data in made.items()
    }
    return {"messages": messages, "opened": {name: words(v) for name, v in opened.items()}}


def answers():
    made = {
        "fields": fields(),
        "streams": streams(),
        "sharing": sharing(),
        "truncations": truncations(),
        "encodings": encodings(),
        "store": store(),
        "shares": shares(),
        "lattice": lattice(),
    }
    return json.loads(json.dumps(made))


if __name__ == "__main__":
    FILE.write_text(json.dumps(answers(), indent=1) + "\n")
