"""Channels between threads whose time-outs run on a clock of their own: it stands still while any party works.

    all parties wait:  now = the first moment at which one of them stops waiting
So what is lost when does not depend on how fast a machine is, and nobody really waits for a time-out.
"""

import threading
import time
from collections.abc import Callable
from typing import Any

from tacit.transport import memory
from tacit.transport.channel import DEFAULT_TIMEOUT, Channel

LONGEST = 600.0
"""Real seconds for which all others may compute while one waits."""


class _Waiter:
    def __init__(self, deadline: float) -> None:
        self.deadline, self.notified = deadline, False
        self.woken = threading.Event()


class Clock:
    """The time of `parties` threads, all of which count as working from the start."""

    def __init__(self, parties: int) -> None:
        self.now = 0.0
        self._lock = threading.Lock()
        self._working = parties
        self._waiting: list[_Waiter] = []

    def sleep(self, seconds: float) -> None:
        self.wait(_Waiter(self.now + seconds))

    def wait(self, waiter: _Waiter) -> bool:
        """Until it is notified (true) or its time has come."""
        with self._lock:
            if not waiter.notified:
                self._waiting.append(waiter)
                self._idle()
            else:
                waiter.woken.set()
        if not waiter.woken.wait(LONGEST):
            raise AssertionError(f"some party's thread works for {LONGEST:g} real seconds, or ended without `leave`")
        return waiter.notified

    def notify(self, waiter: _Waiter) -> None:
        with self._lock:
            waiter.notified = True
            if waiter in self._waiting:
                self._wake(waiter)

    def leave(self) -> None:
        """A party's thread does nothing more that others could wait for."""
        with self._lock:
            self._idle()

    def _idle(self) -> None:
        self._working -= 1
        if not self._working and self._waiting:
            first = min(self._waiting, key=lambda waiter: waiter.deadline)
            self.now = max(self.now, first.deadline)
            self._wake(first)

    def _wake(self, waiter: _Waiter) -> None:
        self._waiting.remove(waiter)
        self._working += 1
        waiter.woken.set()


class _Condition:
    """As threading.Condition, on a `Clock`. All of its methods are called with the lock held."""

    def __init__(self, clock: Clock, lock: threading.Lock) -> None:
        self._clock, self._lock = clock, lock
        self._waiters: list[_Waiter] = []

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._lock.__exit__(*error)

    def wait(self, timeout: float) -> bool:
        waiter = _Waiter(self._clock.now + timeout)
        self._waiters.append(waiter)
        self._lock.release()
        try:
            return self._clock.wait(waiter)
        finally:
            self._lock.acquire()
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        end = self._clock.now + timeout
        while not predicate():
            if self._clock.now >= end:
                return False
            self.wait(end - self._clock.now)
        return True

    def notify(self, count: int = 1) -> None:
        woken, self._waiters = self._waiters[:count], self._waiters[count:]
        for waiter in woken:
            self._clock.notify(waiter)

    def notify_all(self) -> None:
        self.notify(len(self._waiters))


class VirtualChannel(memory.MemoryChannel):
    clock: Clock

    def now(self) -> float:
        return self.clock.now

    def leave(self) -> None:
        """This party's thread ends, and its connections stay as they are."""
        clock, self.clock = self.clock, Clock(1)
        clock.leave()

    def close(self) -> None:
        if not self._closed:
            super().close()
            self.leave()


def network(n: int, *, timeout: float = DEFAULT_TIMEOUT) -> list[VirtualChannel]:
    """As `memory.network`. Each party's thread has to `close` its channel, or to `leave` it, when it ends."""
    clock = Clock(n)
    inboxes = [memory.Inbox([j for j in range(n) if j != i], lambda lock: _Condition(clock, lock)) for i in range(n)]
    channels = [VirtualChannel(i, inboxes, timeout=timeout) for i in range(n)]
    for channel in channels:
        channel.clock = clock
    return channels


def innermost(channel: Channel) -> Channel:
    """The innermost channel, under all that is `Around` it."""
    while (inner := getattr(channel, "_inner", None)) is not None:
        channel = inner
    return channel


def sleep(channel: Channel, seconds: float) -> None:
    """By the clock of the channel."""
    found = innermost(channel)
    if isinstance(found, VirtualChannel):
        found.clock.sleep(seconds)
    else:
        time.sleep(seconds)
