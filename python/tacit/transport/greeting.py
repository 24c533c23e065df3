"""Connections that come to a port: one thread reads the first bytes of each, and drops those that prove nothing.

A party begins with a proof that it holds its private key (`wire.Introduction`), under a key that each two parties share before
they have ever talked. It is in the first packet, and to check it takes microseconds; whoever has none gets no thread and no TLS.
A bounded number of connections that have said nothing yet is held; if there are more, one goes at random of the address that has
most of them: a party, which says all at once, is let in at the first try or soon after, however many strangers come.
"""

from __future__ import annotations

import contextlib
import logging
import random
import secrets
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tacit.errors import TacitError
from tacit.transport.wire import INTRODUCTION_SIZE, STAMP, Introduction, Malformed

SILENT = 10.0
"""Seconds in which a connection has to show who it is."""
STRANGERS = 256
"""Connections that have not shown it yet."""
MINUTE = 60.0
PAUSE = 0.05

MOST_STAMPS = 4096
OLD = 3600 * 10**9
"""Nanoseconds that a party's clock may go back while a session lasts."""

log = logging.getLogger("tacit.transport")


class TurnedAway(Exception):
    """Why a connection is dropped; `answer`: what its other end is told."""

    def __init__(self, why: str, answer: bytes = b"") -> None:
        super().__init__(why)
        self.answer = answer


class Seen:
    """First messages of one party: each is taken once, so that one that somebody recorded buys no TLS handshake."""

    def __init__(self) -> None:
        self._newest = 0
        self._stamps: dict[bytes, None] = {}

    def new(self, stamp: bytes) -> bool:
        at = int.from_bytes(stamp[:8], "little")
        if stamp in self._stamps or at < self._newest - OLD:
            return False
        self._newest = max(at, self._newest)
        self._stamps[stamp] = None
        if len(self._stamps) > MOST_STAMPS:
            del self._stamps[next(iter(self._stamps))]
        return True


def stamp() -> bytes:
    return time.time_ns().to_bytes(8, "little") + secrets.token_bytes(STAMP - 8)


@dataclass(eq=False)
class Stranger:
    sock: socket.socket
    host: str
    end: float
    data: bytearray = field(default_factory=bytearray)


class Greeter:
    """The greeter of one listening socket. `judge(message, certificate)` answers or raises `TurnedAway`; `admit` goes on."""

    def __init__(
        self,
        listener: socket.socket,
        judge: Callable[[Introduction, bytes], bytes],
        admit: Callable[[socket.socket, int], None],
    ) -> None:
        self._listener, self._judge, self._admit = listener, judge, admit
        self._strangers: dict[Stranger, None] = {}
        self._hosts: Counter[str] = Counter()
        self._random = random.Random()
        self._closed = False
        self._away, self._told = 0, time.monotonic()
        self._why = ""
        self._selector = selectors.DefaultSelector()
        self._bell = socket.socketpair()
        listener.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ)
        self._selector.register(self._bell[0], selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="tacit-accept", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed = True
        self._bell[1].send(b"!")
        self._thread.join(SILENT)

    def _run(self) -> None:
        while not self._closed:
            oldest = next(iter(self._strangers), None)  # all have the same time
            wait = None if oldest is None else max(0.0, oldest.end - time.monotonic())
            for key, _ in self._selector.select(wait):
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.data, Stranger) and key.data in self._strangers:
                    self._hear(key.data)
            now = time.monotonic()
            while (oldest := next(iter(self._strangers), None)) is not None and oldest.end <= now:
                self._drop(oldest, "it said nothing")
            self._tell(now)
        for stranger in list(self._strangers):
            self._drop(stranger, "")
        self._selector.close()
        self._listener.close()
        for end in self._bell:
            end.close()

    def _accept(self) -> None:
        for _ in range(STRANGERS):
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:  # out of file descriptors, or the other side left at once
                if self._strangers:
                    self._crowd_out()
                else:
                    time.sleep(PAUSE)
                return
            if len(self._strangers) >= STRANGERS:
                self._crowd_out()
            sock.setblocking(False)
            stranger = Stranger(sock, address[0], time.monotonic() + SILENT)
            self._strangers[stranger] = None
            self._hosts[stranger.host] += 1
            self._selector.register(sock, selectors.EVENT_READ, stranger)
            self._hear(stranger)  # a party's proof comes with the connection, or right behind it

    def _crowd_out(self) -> None:
        host = self._hosts.most_common(1)[0][0]
        self._drop(self._random.choice([s for s in self._strangers if s.host == host]), "there were too many")

    def _hear(self, stranger: Stranger) -> None:
        try:
            self._read(stranger, INTRODUCTION_SIZE)
            first = Introduction.decode(stranger.data[:INTRODUCTION_SIZE])
            self._read(stranger, INTRODUCTION_SIZE + first.size)
            answer = self._judge(first, bytes(stranger.data[INTRODUCTION_SIZE:]))
            stranger.sock.send(answer)  # into an empty buffer
        except BlockingIOError:
            return
        except TurnedAway as away:
            with contextlib.suppress(OSError):
                stranger.sock.send(away.answer)
            self._drop(stranger, str(away))
        except (OSError, Malformed, TacitError) as error:
            self._drop(stranger, str(error))
        else:
            self._forget(stranger)
            self._admit(stranger.sock, first.me)

    @staticmethod
    def _read(stranger: Stranger, due: int) -> None:
        """Until so much of it is there; `BlockingIOError` if more has to come."""
        while len(stranger.data) < due:
            piece = stranger.sock.recv(due - len(stranger.data))
            if not piece:
                raise TurnedAway("it left")
            stranger.data += piece

    def _drop(self, stranger: Stranger, why: str) -> None:
        self._forget(stranger)
        stranger.sock.close()
        self._away, self._why = self._away + 1, f"{stranger.host}: {why}"

    def _forget(self, stranger: Stranger) -> None:
        self._selector.unregister(stranger.sock)
        del self._strangers[stranger]
        self._hosts[stranger.host] -= 1
        if not self._hosts[stranger.host]:
            del self._hosts[stranger.host]

    def _tell(self, now: float) -> None:
        """One line a minute, however many they are."""
        if self._away and now - self._told > MINUTE:
            log.info("%d connections were no party's; the last came from %s", self._away, self._why)
            self._away, self._told = 0, now
