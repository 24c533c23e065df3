"""The one interface through which parties talk: rounds of one frame to, and one frame from, each peer.

Time-outs. A wait ends with `PartyLost` when nothing came from, or could be sent to, some awaited peer for `timeout`
seconds; every byte starts that peer's clock anew, so that a large frame on a slow line is not cut. A peer that sends a
byte now and then cannot hold a round for ever: in each time-out, `SLOWEST` bytes a second have to move on average.

A frame that comes before it is expected is kept; how much is kept is bounded, then its sender has to wait.
A peer that sends its frame and then dies does not take the frame with it: the next wait on that peer fails.

A channel belongs to one thread.
"""

from __future__ import annotations

import abc
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tacit.errors import Mismatch, PartyLost, PeerStopped, reason
from tacit.transport.meter import Label, Meter, label_text

if TYPE_CHECKING:
    from typing_extensions import Buffer as Buffer
else:
    Buffer = bytes | bytearray | memoryview
"""Anything with the buffer protocol, C-contiguous: bytes, bytearray, memoryview, NumPy arrays."""

DEFAULT_TIMEOUT = 60.0
LARGEST_FRAME = 1 << 40
LONGEST_REASON = 4096
SLOWEST = 1024
"""Bytes a second."""

CLOSED = "it closed its connection"
BROKE_OFF = "its connection broke off; the process died or the network failed"


class Skip(int):
    """The most bytes that a frame may have, where a longer one is thrown away as it comes, and is no fault."""

    def __add__(self, more: int) -> Skip:
        return Skip(int(self) + more)


@dataclass(frozen=True)
class Round:
    """One frame to each peer in `out`, in pieces, and one from each in `expect`, of so many bytes at most.

    `where`: what errors say that it was for. `timeout`: seconds. `came`: the frames, also those that came before an error.
    """

    out: Mapping[int, Sequence[memoryview]]
    expect: Mapping[int, int]
    where: str
    timeout: float
    came: dict[int, bytearray] = field(default_factory=dict)


class Channel(abc.ABC):
    """One party's connection to some others, in rounds."""

    def __init__(
        self,
        me: int,
        peers: Sequence[int],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        meter: Meter | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        self.me = me
        self.peers: tuple[int, ...] = tuple(sorted(peers))
        self.timeout = timeout
        self.meter = Meter() if meter is None else meter
        self.names: dict[int, str] = dict(names or {})
        self.remark = ""
        """In what the parties differ and may (`handshake`)."""
        self.resumes = False
        self.brisk = False
        self.overhead = 0  # bytes that a channel around this one adds to each frame; messages leave them out

    def exchange(
        self,
        out: Mapping[int, Sequence[Buffer]],
        expect: Mapping[int, int],
        *,
        label: Label = "",
        timeout: float | None = None,
    ) -> dict[int, bytearray]:
        """One round: send each peer in `out` one frame, and return one frame of each peer in `expect`.

        A frame is the concatenation of the buffers; `expect` gives the most bytes that a frame may have (`Skip`: longer
        ones are passed over). The buffers must not change until the call returns. Raises PartyLost, PeerStopped, or
        Mismatch for a frame that is too long.
        """
        if not out and not expect:
            return {}
        if strangers := {*out, *expect}.difference(self.peers):
            raise ValueError(f"{min(strangers)} is not a peer on this channel; the peers of {self.me} are {self.peers}")
        pieces = {peer: [view for b in buffers if (view := as_bytes(b)).nbytes] for peer, buffers in out.items()}
        asked = Round(pieces, expect, label_text(label), self.timeout if timeout is None else timeout)
        start = time.monotonic()
        try:
            self._round(asked)
        finally:
            self.meter.record(
                label,
                [(peer, sum(map(len, views))) for peer, views in pieces.items()],
                [(peer, len(frame)) for peer, frame in asked.came.items()],
                time.monotonic() - start,
            )
        return asked.came

    @abc.abstractmethod
    def _round(self, asked: Round) -> None:
        """Do the work of `exchange`: send `asked.out`, and put what came into `asked.came`."""

    @abc.abstractmethod
    def stop(self, message: str) -> None:
        """Tell every peer why this party stops, as far as that is possible within a second. Does not raise."""

    @abc.abstractmethod
    def close(self) -> None:
        """End in good order: a peer that still waits gets PartyLost. May be called twice; does not raise."""

    def progress(self, peer: int) -> int:
        """Bytes of frames that have moved to and from `peer` so far. It grows while a long frame is under way."""
        return 0

    def wake(self) -> None:  # noqa: B027
        """Another thread has made a connection again, or given it up: a wait that goes on has to look."""

    def now(self) -> float:
        """The seconds of the clock that time-outs are measured by."""
        return time.monotonic()

    def hurry(self, on: bool) -> None:
        """A round ends when its time-out is over, though bytes are still moving, with what has come whole."""
        self.brisk = on

    def resume(self) -> None:
        """From now on the next round sends first what one that lost another peer had not sent yet."""
        self.resumes = True

    def part(self, peers: Collection[int]) -> None:
        """Never send to `peers` or wait for them again."""
        self.peers = tuple(p for p in self.peers if p not in peers)

    def adopt(self, other: Channel) -> None:
        """Take over the connections of `other`, which is not used any more: its peers are peers here from now on."""
        raise NotImplementedError(f"a {type(self).__name__} cannot take over connections")

    def who(self, peer: int) -> int | str:
        """The name of a peer in errors: its name if it has one, else its index."""
        return self.names.get(peer, peer)

    def lost(self, peer: int, why: str, where: str = "", silent: bool = False) -> PartyLost:
        return PartyLost(self.who(peer), why, where, silent)

    def stopped(self, peer: int, message: str) -> PeerStopped:
        return PeerStopped(self.who(peer), message)

    def too_long(self, peer: int, size: int, limit: int, where: str) -> Mismatch:
        who = self.who(peer)
        return Mismatch(
            f"{f'party {who}' if isinstance(who, int) else f'the {who}'} sent {size - self.overhead} bytes"
            f"{f' during {where}' if where else ''}, where at most {limit - self.overhead} are due; "
            "the parties do not run the same operation: compare their scripts, options and versions of tacit"
        )

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            self.stop(reason(error))
        self.close()


class Around(Channel):
    """A channel that does something to the rounds of another one, whose meter counts on."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel.me, channel.peers, timeout=channel.timeout, meter=channel.meter, names=channel.names)
        self._inner = channel
        self.remark = channel.remark

    def progress(self, peer: int) -> int:
        return self._inner.progress(peer)

    def now(self) -> float:
        return self._inner.now()

    def hurry(self, on: bool) -> None:
        self._inner.hurry(on)

    def resume(self) -> None:
        self._inner.resume()

    def part(self, peers: Collection[int]) -> None:
        self._inner.part(peers)
        self.peers = self._inner.peers

    def adopt(self, other: Channel) -> None:
        self._inner.adopt(other)
        self.peers = self._inner.peers

    def stop(self, message: str) -> None:
        self._inner.stop(message)

    def close(self) -> None:
        self._inner.close()


def as_bytes(buffer: Any) -> memoryview:
    """The bytes of a C-contiguous buffer, without a copy."""
    view = memoryview(buffer)
    if view.nbytes == 0:
        return memoryview(b"")  # cast refuses views with a zero in their shape
    if not view.c_contiguous:
        raise ValueError("a buffer to send is not contiguous; copy it first (numpy.ascontiguousarray)")
    return view if view.ndim == 1 and view.format == "B" else view.cast("B")


def reason_text(message: str) -> bytes:
    """A stop reason as bytes, cut to LONGEST_REASON."""
    return message.encode("utf-8", "replace")[:LONGEST_REASON]


def reason_from(data: bytes | bytearray) -> str:
    """A stop reason from a peer: shown to people, so anything but printable text is replaced."""
    text = bytes(data[:LONGEST_REASON]).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else " " for c in text).strip() or "no reason given"
