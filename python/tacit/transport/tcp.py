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
            if sum(piece.nbytes for piece in pieces) > LARGEST_FRAME:
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
        alive: dict[int, float] = {}  # when something last moved to or from each peer
        to_send = sum(piece.nbytes for link in sending for piece in link.unsent)
        while True:
            moved = False
            faults: list[TacitError] = []
            for link in sending:
                if link.push():
                    moved = True
                    alive[link.peer] = last
            for link, limit in awaited:
                if link.fault is None:
                    came, frame = link.pull(limit, where)
                    if frame is not None:
                        frames[link.peer] = frame
                    if came:
                        moved = True
                        alive[link.peer] = last
                if link.fault is not None:
                    faults.append(link.fault)
            if moved or faults:
                awaited = [(link, limit) for link, limit in awaited if link.peer not in frames]
                waiting = {link.peer for link, _ in awaited}
                for link in sending:
                    # A frame that came is not withheld because the peer died after it: the next wait on it will fail.
                    if link.cannot_send and link.peer not in waiting and link.peer not in frames:
                        faults.append(link.fault or link.last_words(where))
                sending = [link for link in sending if link.unsent]
                if faults:
                    # Who is dead says more than who stopped because of it.
                    raise min(faults, key=lambda fault: not isinstance(fault, PartyLost))
                if not sending and not awaited:
                    return
                last = time.monotonic()
                continue
            # Straight to sleep: looking again for some microseconds first gained nothing, and cost on busy cores.
            left = self._patience(sending, awaited, alive, start, time.monotonic(), to_send, where, timeout)
            _wait(sending, awaited, left)
            last = time.monotonic()

    def _patience(
        self,
        sending: list[Link],
        awaited: list[tuple[Link, int]],
        alive: Mapping[int, float],
        start: float,
        now: float,
        to_send: int,
        where: str,
        timeout: float,
    ) -> float:
        """Seconds until somebody has been silent for too long; raises if that is now."""
        coming = to_send + sum(link.size for link, _ in awaited)
        latest = start + timeout + coming / SLOWEST
        peers = {link.peer: "nothing could be sent to it" for link in sending}
        peers.update((link.peer, "nothing came from it") for link, _ in awaited)
        peer = min(peers, key=lambda p: alive.get(p, start))
        silent = alive.get(peer, start) + timeout
        if now >= silent:
            raise self.lost(peer, f"{peers[peer]} for {timeout:g} s", where, silent=True)
        if now >= latest:
            raise self.lost(peer, f"it is slower than {SLOWEST} bytes a second", where)
        return min(silent, latest) - now

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


def _wait(sending: list[Link], awaited: list[tuple[Link, int]], seconds: float) -> None:
    """Sleep until one of the connections can move, or for `seconds`."""
    events: dict[int, int] = {}
    for link, _ in awaited:
        events[link.sock.fileno()] = select.POLLIN
    for link in sending:
        fd = link.sock.fileno()
        events[fd] = events.get(fd, 0) | select.POLLOUT
    poll = select.poll()
    for fd, mask in events.items():
        if fd >= 0:
            poll.register(fd, mask)
    poll.poll(max(1, int(seconds * 1000) + 1))
