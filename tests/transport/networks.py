"""Makers of channels for the tests of this folder."""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import pytest

from tacit.transport import Endpoint, Identity, listen, make_identity, mending, tcp
from tacit.transport import connection as links
from tacit.transport.tcp import TcpChannel


@cache
def identity(i: int) -> Identity:
    return make_identity(f"party {i}")


def pins(n: int, me: int) -> dict[int, bytes]:
    return {j: identity(j).certificate for j in range(n) if j != me}


def endpoints(n: int, names: Mapping[int, str] | None = None) -> list[Endpoint]:
    listeners = [listen("127.0.0.1", 0) for _ in range(n)]
    addresses = {i: listener.getsockname() for i, listener in enumerate(listeners)}
    return [Endpoint(i, addresses, identity(i), pins(n, i), listener=listeners[i], names=names) for i in range(n)]


def together(*calls: Any) -> list[Any]:
    """Call all at once; results or exceptions."""
    results: list[Any] = [None] * len(calls)

    def one(i: int) -> None:
        try:
            results[i] = calls[i]()
        except Exception as error:
            results[i] = error

    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "hangs"
    return results


def tls(n: int, *, timeout: float = 60.0, names: Mapping[int, str] | None = None) -> list[TcpChannel]:
    """Parties in threads, with real connections between them."""
    ends = endpoints(n, names)
    channels = together(*[lambda e=e: e.channel("online", range(n), timeout=timeout, within=20) for e in ends])
    for end in ends:
        end.close()
    for channel in channels:
        if isinstance(channel, Exception):
            raise channel
    return channels


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for it."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.002)


class Clock:
    """The clock of connections: the real time, put forward by a test."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._ahead = 0.0
        for module in (tcp, links, mending):
            patch.setattr(module, "time", self)
        patch.setattr(tcp, "LATE", math.inf)

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead

    def forward(self, seconds: float, *channels: TcpChannel) -> None:
        """`channels` look at it at once."""
        self._ahead += seconds
        for channel in channels:
            channel.wake()


def connection(channel: TcpChannel, peer: int) -> ssl.SSLSocket:
    """The connection to `peer` that the channel has now."""
    sock = channel._links[peer].sock
    assert sock is not None
    return sock


def place(end: Endpoint) -> tuple[str, int]:
    """Where it listens."""
    assert end.address is not None
    return end.address


class Breaking:
    """A proxy in front of `target` whose connections break: the k-th after `limits[k]` bytes of both directions, then none.

    `how`: "reset" both ends, "end" them in order, reset only the side that "listens" or that "connects", or go "silent".
    """

    def __init__(self, target: tuple[str, int], limits: Iterable[int] = (), how: str = "reset") -> None:
        self.target, self.how = target, how
        self.made = self.carried = 0
        self.last: bytes = b""
        self._limits = iter(limits)
        self._lock = threading.Lock()
        self._live: list[tuple[socket.socket, socket.socket]] = []
        self._listener = listen("127.0.0.1", 0)
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self.target)
            except OSError:
                return
            with self._lock:
                self.made += 1
                pair, left = (client, server), [next(self._limits, None)]
                self._live.append(pair)
            for a, b in (pair, pair[::-1]):
                threading.Thread(target=self._pump, args=(a, b, left, pair), daemon=True).start()

    def _pump(self, a: socket.socket, b: socket.socket, left: list[int | None], pair: tuple) -> None:
        try:
            while data := a.recv(1 << 16):
                with self._lock:
                    if left[0] is not None:
                        data, left[0] = data[: left[0]], left[0] - len(data[: left[0]])
                    self.carried += len(data)
                b.sendall(data)
                if left[0] == 0:
                    return self._end(pair)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(pair, "reset")

    def _end(self, pair: tuple[socket.socket, socket.socket], how: str | None = None) -> None:
        how = how or self.how
        for sock, name in zip(pair, ("connects", "listens"), strict=True):
            if how == "silent" or how not in ("reset", "end", name):
                continue
            with contextlib.suppress(OSError):
                if how != "end":
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.shutdown(socket.SHUT_RD)  # wakes the thread that reads from it
            sock.close()

    def cut(self) -> None:
        """All connections break now."""
        with self._lock:
            live, self._live = self._live, []
        for pair in live:
            self._end(pair)

    def close(self) -> None:
        """No connection can be made any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()


def behind(n: int, proxy: Callable[[int, int, tuple[str, int]], Breaking]) -> tuple[list[Endpoint], dict]:
    """Endpoints of which each reaches each by a proxy of their own: proxy(from, to, address)."""
    listeners = [listen("127.0.0.1", 0) for _ in range(n)]
    addresses = {i: listener.getsockname() for i, listener in enumerate(listeners)}
    proxies = {(i, j): proxy(i, j, addresses[j]) for i in range(n) for j in range(n) if i != j}
    ends = [
        Endpoint(
            i,
            {j: addresses[j] if i == j else proxies[i, j].address for j in range(n)},
            identity(i),
            pins(n, i),
            listener=listeners[i],
        )
        for i in range(n)
    ]
    return ends, proxies
