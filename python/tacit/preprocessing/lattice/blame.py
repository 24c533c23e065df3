"""Who cheated, while there is nothing to lose: no material was given out yet, so all open the keys of their random numbers, and
everybody repeats the whole preparation with them.

A party's messages depend on its key and on what it received in earlier rounds. So the first frame that differs from the one its
sender says in the repetition was altered by its sender, unless the sender itself was told something wrong before, and says so.
Frames are kept as hashes. A party that opens another key than it used differs from the first frame on.
"""

import hashlib
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tacit.errors import TacitError
from tacit.preprocessing.lattice.worker import patiently
from tacit.steps import protocol_step
from tacit.transport import memory

if TYPE_CHECKING:
    from tacit.preprocessing.lattice.link import Link
    from tacit.transport.channel import Channel

NEVER = (1 << 32) - 1
REPEATED = 600.0
"""Seconds that one round of a repetition may take, in which all parties compute in this process."""
CLAIM = struct.Struct("<II")
"""Who was the first to differ, and in which round."""


class Record:
    """Hashes of what one party said and heard, round by round."""

    def __init__(self) -> None:
        self.said: list[dict[int, bytes]] = []
        self.heard: list[dict[int, bytes]] = []

    def note(self, said: Mapping[int, Sequence[Any]], heard: Mapping[int, Any]) -> None:
        self.said.append({i: _hash(parts) for i, parts in said.items()})
        self.heard.append({i: _hash([frame]) for i, frame in heard.items()})


def _hash(parts: Sequence[Any]) -> bytes:
    h = hashlib.sha256(b"tacit blame")  # processors have it: twice as fast as BLAKE2b
    for part in parts:
        h.update(part)
    return h.digest()


@protocol_step
def accuse(link: "Link", record: Record, again: Callable[[int, "Channel", bytes], Record]) -> str:
    """Says who it was. `again(i, channel, key)` is the whole preparation as party i, up to where it failed here."""
    keys = link.exchange(
        {i: [link.random.key] for i in link.others}, dict.fromkeys(link.others, len(link.random.key)), "blame"
    )
    said = _repeated(link.parties, {link.me: link.random.key} | {i: bytes(k) for i, k in keys.items()}, again)
    mine = _first(record, said, link.me)
    claims = {link.me: mine}
    came = link.exchange({i: [CLAIM.pack(*mine)] for i in link.others}, dict.fromkeys(link.others, CLAIM.size), "blame")
    for i, claim in came.items():
        accused, number = CLAIM.unpack(claim.data)
        claims[i] = (accused, number if accused < link.parties and accused != i else NEVER)
    number = min(n for _, n in claims.values())
    if number == NEVER:
        return "nobody's messages differ from what they should have been"
    if mine[1] == number:
        return f"party {mine[0]} did not send what it should have"
    who = next(i for i, (_, n) in claims.items() if n == number)
    return f"party {who} says that party {claims[who][0]} did not send what it should have: one of the two cheats"


def _repeated(
    parties: int, keys: Mapping[int, bytes], again: Callable[[int, "Channel", bytes], Record]
) -> dict[int, list[dict[int, bytes]]]:
    """Everybody's messages, with all parties in this process."""
    channels = memory.network(parties, timeout=REPEATED)
    said: dict[int, list[dict[int, bytes]]] = {i: [] for i in range(parties)}

    def party(i: int) -> None:
        try:
            said[i] = again(i, channels[i], keys[i]).said
        except TacitError as error:
            channels[i].stop(str(error))
        finally:
            channels[i].close()

    threads = [threading.Thread(target=party, args=(i,), daemon=True) for i in range(parties)]
    for thread in threads:
        thread.start()

    def done(seconds: float) -> bool:
        threads[-1].join(seconds)
        return not threads[-1].is_alive()

    while threads:
        if not patiently(done, lambda: sum(c.meter.total().rounds for c in channels), REPEATED):
            raise TacitError("the repetition of a failed preparation hangs; who cheated is not found. Start again")
        threads.pop()
    return said


def _first(record: Record, said: Mapping[int, list[dict[int, bytes]]], me: int) -> tuple[int, int]:
    """Who differs first from what was heard, and in which round."""
    for number, heard in enumerate(record.heard):
        for i, digest in sorted(heard.items()):
            rounds = said[i]
            if number >= len(rounds) or rounds[number].get(me) != digest:
                return i, number
    return 0, NEVER
