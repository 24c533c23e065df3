"""Whose saved share a party brings, where some of the shares put a value together.

    saved:      party i draws an Ed25519 key (RFC 8032), and tells all parties the public one
    restored:   who says that it brings the share of i signs (coin, i) with i's key, for a coin that nobody knew before
So a cheater brings no share but one that a cheater had: with a false point the shares of honest parties get other weights, and
may cancel (docs/security/saved-shares.md). A signature shows nothing, and serves for its coin alone.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tacit.engine.engine import Engine
from tacit.errors import BadInput, CheatingDetected, PartyLost
from tacit.field import Field
from tacit.graph.operations import Input

KEY = 32
"""Bytes of a private key, and of a public one."""
SIGNATURE = 64
BYTES = 7
"""In an element."""
NOBODY = bytes(KEY)
"""In place of the key of a party that was lost before."""


def drawn(engine: Engine) -> tuple[str, str]:
    """This party's private key; the public keys of all parties, one after another. In hexadecimal."""
    protocol, key = engine.protocol, Ed25519PrivateKey.generate()
    while True:
        members = engine.members
        try:
            told = _told(engine, members, key.public_key().public_bytes_raw, KEY, "keys of saved shares")
            break
        except PartyLost:  # what only it could tell was not shared before: the others save without it
            if engine.members == members:
                raise
    public = [NOBODY] * protocol.parties
    for i, data in zip(members, told, strict=True):
        public[i] = data or NOBODY
    return key.private_bytes_raw().hex(), b"".join(public).hex()


def are_keys(text: object, count: int) -> bool:
    return isinstance(text, str) and re.fullmatch(f"[0-9a-f]{{{2 * KEY * count}}}", text) is not None


def prove(
    engine: Engine, members: Sequence[int], brought: Sequence[int], keys: Sequence[tuple[str, str]], coin: bytes
) -> None:
    """`CheatingDetected` unless each of `members` has the keys of the party that it brings the share of.

    `keys`: for each save, what `drawn` gave. `coin`: drawn when it was said who brings what.
    """
    said = dict(zip(members, brought, strict=True))

    def signatures() -> bytes:
        message = _message(coin, said[engine.protocol.me])
        return b"".join(
            Ed25519PrivateKey.from_private_bytes(bytes.fromhex(private)).sign(message) for private, _ in keys
        )

    told = _told(engine, members, signatures, SIGNATURE * len(keys), "signatures of saved shares")
    for i, data in zip(members, () if engine.dry else told, strict=not engine.dry):
        if data is None:
            raise BadInput(f"party {i} was lost before it had brought its share")
        for k, (_, public) in enumerate(keys):
            theirs = bytes.fromhex(public)[KEY * said[i] : KEY * (said[i] + 1)]
            if not _signed(theirs, data[SIGNATURE * k : SIGNATURE * (k + 1)], _message(coin, said[i])):
                engine.cheated(
                    CheatingDetected(
                        f"party {i} brought other shares of a saved secret than it had saved: it does not have the key of party "
                        f"{said[i]}, whose share it said to bring"
                    )
                )


def _message(coin: bytes, party: int) -> bytes:
    return b"tacit restore" + coin + party.to_bytes(4, "little")


def _signed(key: bytes, signature: bytes, message: bytes) -> bool:
    if key == NOBODY:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def _told(
    engine: Engine, members: Sequence[int], mine: Callable[[], bytes], count: int, label: str
) -> list[bytes | None]:
    """The bytes that each of `members` tells all parties, the same at all; None for a party that was lost."""
    words = -(-count // BYTES)
    inputs = [
        engine.record(
            Input(i, (lambda: _words(mine(), words)) if i == engine.protocol.me else None), (), (words,), label
        )
        for i in members
    ]
    return [
        None if told is None else _bytes(told, count) for told in engine.reveal(inputs, detail=f" of {count} bytes")
    ]


def _words(data: bytes, words: int) -> Field:
    octets = np.zeros((words, 8), np.uint8)
    octets[:, :BYTES] = np.frombuffer(data.ljust(words * BYTES, b"\0"), np.uint8).reshape(words, BYTES)
    return octets.view("<u8").reshape(-1).astype(np.uint64)


def _bytes(told: Field, count: int) -> bytes:
    """The low bytes of each element; higher bits are dropped, since a wrong key or signature is refused where it is used."""
    return told.astype("<u8").view(np.uint8).reshape(-1, 8)[:, :BYTES].tobytes()[:count]
