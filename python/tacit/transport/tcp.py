"""A channel over TLS connections that are already made (`endpoint.py` makes them)."""

from __future__ import annotations

import select
import ssl
import time
from collections.abc import Collection, Mapping, Sequence

from tacit.errors import PartyLost, TacitError
from tacit.transport.channel import DEFAULT_TIMEOUT, LARGEST_FRAME, SLOWEST, Channel, reason_text
from tacit.transport.link import Link, cut
from tacit.transport.meter import Meter
from tacit.transport.wire import Kind

FAREWELL = 1.0


class TcpChannel(Channel):
    """Rounds over one TLS connection to each peer; no threads, no waiting but in one poll for all of them."""

    def __init__(
        self,
        me: int,
        sockets: Mapping[int, ssl.SSLSocket],
        *,
        timeout: float = DEFAULT_TIMEOUT,
        meter: Meter | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        super().__init__(me, list(sockets), timeout=timeout, meter=meter, names=names)
        self._links = {peer: Link(self, peer, sock) for peer, sock in sockets.items()}
        self._closed = False

    def _round(
        self,
        out: Mapping[int, Sequence[memoryview]],
        expect: Mapping[int, int],
        frames: dict[int, bytearray],
        where: str,
        timeout: float,
    ) -> None:
        if self._closed:
            raise TacitError("this channel was closed; open a new one")
        for peer, pieces in out.items():
            if sum(map(len, pieces)) > LARGEST_FRAME:
                raise ValueError(f"a frame to party {peer} of more than {LARGEST_FRAME} bytes; send it in parts")
        for peer, pieces in out.items():
            link = self._links[peer]
            if link.half_sent:
                raise link.fault or self.lost(link.peer, "an earlier frame to it was cut short", where)
            link.load(pieces)
        # What an earlier round left behind, when it lost another peer, goes first.
        sending = [self._links[peer] for peer in {*out, *expect} if peer in out or self._links[peer].unsent]
        try:
            self._move(sending, [(self._links[peer], limit) for peer, limit in expect.items()], frames, where, timeout)
        except BaseException as error:
            # The caller may change these buffers now: what is left of them is copied, or must never be sent.
            kept = self.resumes and isinstance(error, PartyLost)
            for link in sending:
                if kept:
                    link.unsent = [memoryview(bytes(piece)) for piece in link.unsent]
                elif link.unsent:
                    link.half_sent = True
                    link.unsent.clear()
            raise

    def _move(
        self,
        sending: list[Link],
        awaited: list[tuple[Link, int]],
        frames: dict[int, bytearray],
        where: str,
        timeout: float,
    ) -> None:
        start = last = time.monotonic()
        for link in (*sending, *(link for link, _ in awaited)):
            link.mark = start, link.moved
        alive: dict[int, float] = {}  # when something last moved to or from each peer
        # Who is read without asking poll, which says nothing of bytes that are out of the socket already. All others are
        # asked for: a read that finds nothing costs more, an exception; but not more than asking for one alone.
        here = {link.peer for link, limit in awaited if len(awaited) == 1 or link.has(limit)}
        writable = sending
        until = start + timeout  # nobody can have been silent for too long before
        while True:
            moved = False
            for link in writable:
                if link.push():
                    moved = True
                    alive[link.peer] = last
            gone = [link for link in sending if link.cannot_send]
            sending = [link for link in sending if link.unsent]
            if not sending and not awaited and not gone:
                return
            events: dict[int, int] = {}
            if sending or len(here) < len(awaited):
                left = 0.0 if here or gone else max(0.0, until - time.monotonic())
                # Straight to sleep: looking again for some microseconds first gained nothing, and cost on busy cores.
                events = _wait(sending, awaited, left)
                last = time.monotonic()
            faults: list[TacitError] = []
            waiting: list[tuple[Link, int]] = []
            here_still = set()
            for link, limit in awaited:
                peer = link.peer
                frame = None
                if peer in here or events.get(peer, 0) & ~select.POLLOUT:  # an end, too, is found by reading
                    if link.fault is None:
                        came, frame = link.pull(limit, where)
                        if came:
                            moved = True
                            alive[peer] = last
                    if link.fault is not None:
                        faults.append(link.fault)
                    elif frame is None and link.has(limit):
                        here_still.add(peer)
                if frame is None:
                    waiting.append((link, limit))
                else:
                    frames[peer] = frame
            awaited, here = waiting, here_still
            for link in gone:
                # A frame that came is not withheld because the peer died after it: the next wait on it will fail.
                if link.peer not in frames and all(link is not other for other, _ in awaited):
                    faults.append(link.fault or link.last_words(where))
            if faults:
                # Who is dead says more than who stopped because of it.
                raise min(faults, key=lambda fault: not isinstance(fault, PartyLost))
            writable = [link for link in sending if events.get(link.peer, 0) & ~select.POLLIN]
            if not moved and last >= until:
                until = self._patience(sending, awaited, alive, start, last, where, timeout)

    def _patience(
        self,
        sending: list[Link],
        awaited: list[tuple[Link, int]],
        alive: Mapping[int, float],
        start: float,
        now: float,
        where: str,
        timeout: float,
    ) -> float:
        """The moment at which somebody will have been silent, or slow, for too long; raises if it has come."""
        peers = {link.peer: "nothing could be sent to it" for link in sending}
        peers.update((link.peer, "nothing came from it") for link, _ in awaited)
        peer = min(peers, key=lambda p: alive.get(p, start))
        silent = alive.get(peer, start) + timeout
        if now >= silent:
            raise self.lost(peer, f"{peers[peer]} for {timeout:g} s", where, silent=True)
        # A short look does not judge by the few bytes that can come in it.
        span = max(timeout, self.timeout)
        for link in (*sending, *(link for link, _ in awaited)):
            since, moved = link.mark
            if now >= since + span:
                if link.moved - moved < SLOWEST * span:
                    raise self.lost(link.peer, f"it is slower than {SLOWEST} bytes a second", where)
                link.mark = since + span, link.moved
            silent = min(silent, link.mark[0] + span)
        return silent

    def progress(self, peer: int) -> int:
        return self._links[peer].moved

    def part(self, peers: Collection[int]) -> None:
        super().part(peers)
        for peer in peers:
            if (link := self._links.pop(peer, None)) is not None:
                link.close()

    def adopt(self, other: Channel) -> None:
        assert isinstance(other, TcpChannel)
        for peer, link in other._links.items():
            if (old := self._links.pop(peer, None)) is not None:
                old.close()
            link.channel = self
            self._links[peer] = link
        self.peers = tuple(sorted(self._links))
        other._links, other.peers, other._closed = {}, (), True

    def stop(self, message: str) -> None:
        self._farewell(Kind.STOP, reason_text(message), FAREWELL)

    def _farewell(self, kind: Kind, payload: bytes, within: float) -> None:
        """Send a last frame to every peer whose stream is between two frames, for a bounded time."""
        if self._closed:
            return
        links = []
        for link in self._links.values():
            if not link.half_sent and not link.unsent and not link.cannot_send:
                link.load([memoryview(payload)] if payload else [], kind)
                links.append(link)
        end = time.monotonic() + within
        while True:
            for link in links:
                link.push()
            links = [link for link in links if link.unsent]
            left = end - time.monotonic()
            if not links or left <= 0:
                break
            _wait(links, [], left)
        for link in links:
            link.half_sent = True

    def cut(self) -> None:
        """End the connections while another thread may be using the channel, which closes it."""
        for link in self._links.values():
            cut(link.sock)

    def close(self) -> None:
        if self._closed:
            return
        self._farewell(Kind.END, b"", FAREWELL / 4)
        self._closed = True
        for link in self._links.values():
            link.close()


def _wait(sending: list[Link], awaited: list[tuple[Link, int]], seconds: float) -> dict[int, int]:
    """Sleep until one of the connections can move, or for `seconds`; what poll says of the peers that it names."""
    poll = select.poll()
    peers: dict[int, int] = {}
    for link, _ in awaited:
        if (fd := link.sock.fileno()) >= 0:
            peers[fd] = link.peer
            poll.register(fd, select.POLLIN)
    for link in sending:
        if (fd := link.sock.fileno()) >= 0:
            poll.register(fd, select.POLLIN | select.POLLOUT if fd in peers else select.POLLOUT)
            peers[fd] = link.peer
    return {peers[fd]: event for fd, event in poll.poll(int(seconds * 1000) + 1 if seconds else 0)}
