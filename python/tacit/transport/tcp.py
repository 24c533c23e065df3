"""A channel over TLS connections that are already made (`endpoint.py` makes them)."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Collection, Mapping

from tacit.errors import PartyLost, TacitError
from tacit.transport.channel import DEFAULT_TIMEOUT, LARGEST_FRAME, SLOWEST, Channel, Round, Skip, reason_text
from tacit.transport.connection import Copies, Link, cut
from tacit.transport.mending import Line, quiet
from tacit.transport.meter import Meter
from tacit.transport.wire import Kind

FAREWELL = 1.0
LINGER = 5.0
LATE = 1.0
"""Seconds by which a sleep may end too late; by more, this process was halted meanwhile, and cannot tell who was silent."""


class TcpChannel(Channel):
    """Rounds over one TLS connection to each peer; no threads, no waiting but in one poll for all of them."""

    def __init__(
        self,
        me: int,
        sockets: Mapping[int, ssl.SSLSocket],
        *,
        lines: Mapping[int, Line] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        meter: Meter | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        super().__init__(me, list(sockets), timeout=timeout, meter=meter, names=names)
        """`lines`: by which connections that break off are made again."""
        self._links = {peer: Link(self, peer, sock, (lines or {}).get(peer)) for peer, sock in sockets.items()}
        self._closed = False
        self._quiet = quiet(self.timeout)
        self._bell = socket.socketpair()  # rung by threads that make connections again
        for end in self._bell:
            end.setblocking(False)
        self._woken = False
        for peer, line in (lines or {}).items():
            line.mender.watch(self._links[peer])

    def _round(self, asked: Round) -> None:
        if self._closed:
            raise TacitError("this channel was closed; open a new one")
        out, expect, where = asked.out, asked.expect, asked.where
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
            self._move(asked, sending, [(self._links[peer], limit) for peer, limit in expect.items()])
        except BaseException as error:
            # The caller may change these buffers now: what is left of them is copied, or must never be sent.
            kept = self.resumes and isinstance(error, PartyLost)
            for link in sending:
                link.abandon(kept)
            raise
        finally:
            if out:
                self._own()

    def _move(self, asked: Round, sending: list[Link], awaited: list[tuple[Link, int]]) -> None:
        where, frames = asked.where, asked.came
        start = last = time.monotonic()
        for link in (*sending, *(link for link, _ in awaited)):
            link.mark = start, link.moved
        alive: dict[int, float] = {}  # when something last moved to or from each peer
        # Who is read without asking poll, which says nothing of bytes that are out of the socket already. All others are
        # asked for: a read that finds nothing costs more, an exception; but not more than asking for one alone.
        here = {link.peer for link, limit in awaited if len(awaited) == 1 or link.has(limit)}
        writable = sending
        until = start + min(asked.timeout, self._quiet)  # nobody can have been silent for too long before
        copied = False
        while True:
            moved = False
            for link in writable:
                if link.push():
                    moved = True
                    alive[link.peer] = last
            gone = []
            for link in sending:
                if link.cannot_send:
                    link.read_out(where)
                    here.add(link.peer)
                if link.failed(where) is not None:
                    gone.append(link)
            sending = [link for link in sending if link.unsent or (link.broken and link not in gone)]
            if not sending and not awaited and not gone:
                return
            events: dict[int, int] = {}
            if sending or len(here) < len(awaited):
                if not (here or gone or sending or copied):
                    self._own()  # while nothing else is to be done
                    copied = True
                asleep = time.monotonic()
                left = 0.0 if here or gone else max(0.0, until - asleep)
                # Straight to sleep: looking again for some microseconds first gained nothing, and cost on busy cores.
                events = self._wait(sending, awaited, left)
                last = time.monotonic()
                if (late := last - asleep - left) > LATE:
                    start, until = start + late, until + late
                    alive = {peer: at + late for peer, at in alive.items()}
                    for link in {*sending, *(link for link, _ in awaited)}:
                        link.mark, link.heard = (link.mark[0] + late, link.mark[1]), link.heard + late
            faults: list[TacitError] = []
            waiting: list[tuple[Link, int]] = []
            here_still = set()
            for link, limit in awaited:
                peer = link.peer
                frame = None
                if peer in here or events.get(peer, 0) & ~select.POLLOUT:  # an end, too, is found by reading
                    link.heard = last
                    came, frame = link.pull(limit, where)
                    if came:
                        moved = True
                        alive[peer] = last
                    if frame is None and (fault := link.failed(where)) is not None:
                        faults.append(fault)
                    elif frame is None and link.has(limit):
                        here_still.add(peer)
                elif self._woken and link.has(
                    limit
                ):  # nothing says so but the thread that gave it another connection, or up
                    here_still.add(peer)
                if frame is None:
                    waiting.append((link, limit))
                else:
                    frames[peer] = frame
            awaited, here = waiting, here_still
            for link in gone:
                # A frame that came is not withheld because the peer died after it: the next wait on it will fail.
                if link.peer not in frames and all(link is not other for other, _ in awaited):
                    faults += [fault for fault in [link.failed(where)] if fault is not None]
            if faults:
                # Who is dead says more than who stopped because of it.
                raise min(faults, key=lambda fault: not isinstance(fault, PartyLost))
            writable = [
                link for link in sending if link.unsent and (self._woken or events.get(link.peer, 0) & ~select.POLLIN)
            ]
            self._woken = False
            if self.brisk:
                last = time.monotonic()
            if last >= until and (not moved or (self.brisk and (sending or awaited))):
                until = self._patience(asked, sending, awaited, alive, start, last)

    def _patience(
        self,
        asked: Round,
        sending: list[Link],
        awaited: list[tuple[Link, int]],
        alive: Mapping[int, float],
        start: float,
        now: float,
    ) -> float:
        """The moment at which somebody will have been silent, or slow, for too long; raises if it has come."""
        where, timeout = asked.where, asked.timeout
        links = {link.peer: link for link in (*sending, *(link for link, _ in awaited))}
        peers = {link.peer: "nothing could be sent to it" for link in sending}
        peers.update((link.peer, "nothing came from it") for link, _ in awaited)
        peer = min(peers, key=lambda p: alive.get(p, start))
        silent = alive.get(peer, start) + timeout
        if self.brisk:
            silent = min(silent, start + timeout)
        if now >= silent:
            link = links[peer]
            if link.waits and now >= link.since + self.timeout:
                raise self.lost(peer, link.problem, where)
            broken = f", and {link.problem}" if link.waits else ""
            raise self.lost(peer, f"{peers[peer]} for {timeout:g} s{broken}", where, silent=True)
        # A short look does not judge by the few bytes that can come in it.
        span = max(timeout, self.timeout)
        for link in links.values():
            since, moved = link.mark
            if now >= since + span:
                if link.moved - moved < SLOWEST * span:
                    raise self.lost(link.peer, f"it is slower than {SLOWEST} bytes a second", where)
                link.mark = since + span, link.moved
            silent = min(silent, link.mark[0] + span)
        for link, _ in awaited:
            if link.line is not None and not link.broken:
                doubt = max(start, link.heard) + self._quiet
                if now >= doubt:
                    link.doubt("no sign of life came over its connection")
                else:
                    silent = min(silent, doubt)
        return silent

    def _own(self) -> None:
        """Frames that may have to be sent again are copied; each buffer once."""
        copies: Copies = {}
        for link in self._links.values():
            link.own(copies)

    def _wait(self, sending: list[Link], awaited: list[tuple[Link, int]], seconds: float) -> dict[int, int]:
        """Sleep until one of the connections can move, or for `seconds`; what poll says of the peers that it names."""
        poll = select.poll()
        peers: dict[int, int] = {}
        # A connection may be replaced at any moment, and its number be that of another socket by the time of the sleep.
        bell = self._bell[0].fileno()
        poll.register(bell, select.POLLIN)
        for links, wanted in (([link for link, _ in awaited], select.POLLIN), (sending, select.POLLOUT)):
            for link in links:
                sock = link.sock
                if sock is None or (fd := sock.fileno()) < 0:
                    continue
                poll.register(fd, select.POLLIN | select.POLLOUT if fd in peers else wanted)
                peers[fd] = link.peer
        events = dict(poll.poll(int(seconds * 1000) + 1 if seconds else 0))
        if events.pop(bell, 0):
            self._woken = bool(self._bell[0].recv(64))
        return {peers[fd]: event for fd, event in events.items()}

    def wake(self) -> None:
        with contextlib.suppress(OSError):  # full: it will be heard; closed: nobody listens
            self._bell[1].send(b"!")

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
            link.own({})
            self._links[peer] = link
        self.peers = tuple(sorted(self._links))
        other._links, other.peers, other._closed = {}, (), True
        other._unhang()

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
            self._wait(links, [], left)
        for link in links:
            link.half_sent = True

    def cut(self) -> None:
        """End the connections while another thread may be using the channel, which closes it."""
        for link in self._links.values():
            link.finish()
            if (sock := link.sock) is not None:
                cut(sock)

    def close(self) -> None:
        if self._closed:
            return
        for link in self._links.values():
            link.tell()
        self._farewell(Kind.END, b"", FAREWELL / 4)
        self._linger()
        self._closed = True
        for link in self._links.values():
            link.close()
        self._unhang()

    def _linger(self) -> None:
        """Until the peers have what was sent last, or for a moment: for longer only where a connection is being made again."""
        start = time.monotonic()
        while True:
            links = [link for link in self._links.values() if not link.told and link.failed("") is None]
            within = min(self.timeout, LINGER) if any(link.waits for link in links) else FAREWELL / 4
            left = start + within - time.monotonic()
            if not links or left <= 0:
                return
            self._wait([link for link in links if link.unsent], [(link, 0) for link in links], left)
            for link in links:
                link.push()
                more = True
                while more:
                    came, _ = link.pull(Skip(0), "")
                    more = link.failed("") is None and (came or link.has(Skip(0)))

    def _unhang(self) -> None:
        for end in self._bell:
            end.close()
