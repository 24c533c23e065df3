"""Connections that break off are made again, by the side that made them first; and parties say that they are there.

A broken connection (a NAT, a balancer, Wi-Fi) tells neither side whether the other one still lives. So the side that
connected tries again, and the one that listened waits, for as long as the session's time-out; both give up sooner where they
know more: the other process answers that it has no such session, or nothing listens at its address any more.

Who may go on with a stream: the owner of the pinned certificate, who alone passes TLS, and who names the stream's `token`. The
epochs of its connections only grow, so that an older one that was held up never takes the place of a later one.
"""

from __future__ import annotations

import contextlib
import random
import select
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tacit.errors import TacitError
from tacit.transport.connection import Link
from tacit.transport.wire import Ask, Malformed, Reply, Request, Told

HEARTBEAT = 10.0
"""Seconds between two signs of life of a party that has nothing else to send: NATs forget a connection after 30 s or more."""
BEATS = 6
"""In one time-out, at least."""
SILENT = 3
"""Heartbeats that a peer may miss before its connection counts as broken: a NAT that has forgotten it says nothing."""
SOONEST = 2.0
FIRST, LONGEST = 0.02, 1.0
"""Seconds between two tries to connect again."""
CALL = 0.3
"""Seconds until the side that listens asks the other one to connect again, which most often does so by itself."""
REFUSED = 1.0
"""Seconds for which nothing has to listen at a peer's address before its process counts as dead."""
TRY, LONGEST_TRY = 2.0, 10.0
"""Seconds for one try: for the first, and for any."""

Dial = Callable[[int, Request, float], tuple[ssl.SSLSocket, Reply]]


@dataclass(eq=False)
class Line:
    """One end's state of a stream. `dials`: it made the connection; `listens`: the other end can be connected to."""

    mender: Mender
    peer: int
    purpose: str
    token: bytes
    dials: bool
    listens: bool
    epoch: int = 0
    mending: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    """One connection at a time takes the place of another."""

    def broke(self, link: Link) -> None:
        self.mender.mend(link)

    def forget(self, link: Link) -> None:
        self.mender.forget(link)


def heartbeat(timeout: float) -> float:
    return min(HEARTBEAT, timeout / BEATS)


def quiet(timeout: float) -> float:
    """Seconds without a sign of life after which a connection counts as broken."""
    return max(SILENT * heartbeat(timeout), SOONEST)


class Mender:
    """All streams of one endpoint. `dial` connects to a peer, and has a request answered."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._lock = threading.Lock()
        self._links: dict[tuple[int, bytes], Link] = {}
        self._random = random.Random()  # not the module's own, whose numbers may be the script's
        self._closed = threading.Event()
        self._beating: threading.Thread | None = None

    def watch(self, link: Link) -> None:
        line = link.line
        assert line is not None
        with self._lock:
            self._links[line.peer, line.token] = link
            if self._beating is None and not self._closed.is_set():
                self._beating = threading.Thread(target=self._beat, name="tacit-alive", daemon=True)
                self._beating.start()

    def forget(self, link: Link) -> None:
        line = link.line
        assert line is not None
        with self._lock:
            self._links.pop((line.peer, line.token), None)

    def knows(self, peer: int, token: bytes) -> bool:
        with self._lock:
            return (peer, token) in self._links

    def busy(self, purpose: str) -> bool:
        """Return whether there are streams for this purpose."""
        with self._lock:
            return any(link.line is not None and link.line.purpose == purpose for link in self._links.values())

    def close(self) -> None:
        self._closed.set()
        with self._lock:
            links = list(self._links.values())
        for link in links:
            link.finish()
            if link.waits:
                link.give_up(link.problem)

    # Signs of life.

    def _beat(self) -> None:
        due: dict[Link, float] = {}
        while True:
            with self._lock:
                links = list(self._links.values())
            now = time.monotonic()
            due = {link: due.get(link, now) for link in links}
            for link in links:
                if due[link] <= now:
                    link.beat()
                    due[link] = now + heartbeat(link.channel.timeout) / 2
            if self._closed.wait(max(0.01, min([*due.values(), now + HEARTBEAT / 4]) - now)):
                return

    # Connections made again.

    def mend(self, link: Link) -> None:
        line = link.line
        assert line is not None
        with self._lock:
            if line.mending or self._closed.is_set():
                return
            line.mending = True
        threading.Thread(target=self._mend, args=(link, line), name=f"tacit-mend-{line.peer}", daemon=True).start()

    def _mend(self, link: Link, line: Line) -> None:
        while True:
            self._try(link, line)
            with self._lock:
                if not link.waits or self._closed.is_set():
                    line.mending = False
                    return

    def _try(self, link: Link, line: Line) -> None:
        """Until there is a connection, or no hope."""
        timeout = link.channel.timeout
        pause, limit, refused, problem = FIRST, TRY, None, ""
        while link.waits and not self._closed.is_set():
            now = time.monotonic()
            if (left := link.since + timeout - now) <= 0:
                tried = f" ({problem})" if problem else ""
                return link.give_up(f"{link.problem}, and no other was made within {timeout:g} s{tried}")
            try:
                if line.dials:
                    self._redial(link, line, min(left, limit))
                elif line.listens and now - link.since > CALL:
                    self._call(link, line, min(left, limit))
                    refused = None
            except ConnectionRefusedError:
                refused, problem = refused or now, "nothing listens at its address"
                if now - refused >= min(REFUSED, timeout / 2):
                    return link.give_up(f"{link.problem}, and nothing listens at its address any more")
            except (OSError, EOFError, Malformed, TacitError) as error:
                refused, problem = None, str(error)
                limit = min(LONGEST_TRY, limit * 1.5)
            if not link.waits:
                return None
            self._closed.wait(pause * (0.5 + self._random.random()))
            pause = min(LONGEST, pause * 1.5)

    def _redial(self, link: Link, line: Line, limit: float) -> None:
        line.epoch += 1
        request = Request(Ask.MEND, line.token, line.epoch, link.position(), purpose=line.purpose)
        sock, reply = self._dial(line.peer, request, limit)
        if reply.told is Told.TAKEN and link.attach(sock, reply.position):
            self._flush(link, sock)
            return
        sock.close()
        if reply.told is Told.GONE:
            link.give_up(f"{link.problem}, and it has no part in this session any more")

    def _call(self, link: Link, line: Line, limit: float) -> None:
        """Ask the other side to connect again: it may not have noticed that the connection is gone."""
        sock, reply = self._dial(line.peer, Request(Ask.CALL, line.token, line.epoch, purpose=line.purpose), limit)
        sock.close()
        if reply.told is Told.GONE:
            link.give_up(f"{link.problem}, and it has no part in this session any more")

    def answer(self, peer: int, request: Request, sock: ssl.SSLSocket) -> bool:
        """A peer wants to go on with a stream, over `sock`; whether that was taken."""
        with self._lock:
            link = self._links.get((peer, request.token))
        line = None if link is None else link.line
        if link is None or line is None:
            sock.sendall(Reply(Told.GONE).encode())
            return False
        if request.ask is Ask.CALL:
            if line.dials and request.epoch == line.epoch and not link.broken:
                link.detach("its connection broke off at the other end")
                self.mend(link)
            sock.sendall(Reply(Told.CALLED).encode())
            return False
        with line.lock:
            if line.dials or request.epoch <= line.epoch:
                raise Malformed("an older connection than the one that is there")
            line.epoch = request.epoch
            try:
                link.detach("another connection took its place")
                sock.sendall(Reply(Told.TAKEN, link.position()).encode())
                taken = link.attach(sock, request.position)
            finally:
                if link.waits:
                    self.mend(link)
        if taken:
            self._flush(link, sock)
        return taken

    def _flush(self, link: Link, sock: ssl.SSLSocket) -> None:
        """Send what has to be sent again: the channel's own thread may be busy for long."""
        while link.sock is sock and link.unsent and not self._closed.is_set():
            with contextlib.suppress(OSError, ValueError):
                poll = select.poll()
                poll.register(sock, select.POLLOUT)
                poll.poll(100)
            link.push()
            if link.cannot_send:
                link.read_out("")
