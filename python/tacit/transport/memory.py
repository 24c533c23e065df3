"""Channels between threads of one process. The model that the other channels are compared with."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tacit.errors import TacitError
from tacit.transport.channel import CLOSED, DEFAULT_TIMEOUT, Channel, Round, Skip, reason_from, reason_text
from tacit.transport.meter import Meter

AHEAD = 1 << 26
"""Bytes that one peer may have waiting at another before it has to wait itself; one frame may always."""


class Inbox:
    """Messages that the others have sent to one party. Its owner waits on `filled`, senders on `drained`."""

    def __init__(self, peers: Sequence[int], condition: Callable[[threading.Lock], Any] = threading.Condition) -> None:
        lock = threading.Lock()
        self.filled = condition(lock)
        self.drained = condition(lock)
        self.frames: dict[int, deque[bytearray]] = {peer: deque() for peer in peers}
        self.held: dict[int, int] = dict.fromkeys(peers, 0)
        self.ended: dict[int, str | None] = {}  # peer -> why it stopped, None if it closed
        self.missing: set[int] = set()
        self.closed = False


class MemoryChannel(Channel):
    """One party's end of a `network`."""

    def __init__(
        self,
        me: int,
        inboxes: Sequence[Inbox],
        *,
        timeout: float,
        meter: Meter | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:
        super().__init__(me, [i for i in range(len(inboxes)) if i != me], timeout=timeout, meter=meter, names=names)
        self._inboxes = inboxes
        self._closed = False

    def _round(self, asked: Round) -> None:
        if self._closed:
            raise TacitError("this channel was closed; open a new one")
        refused = [p for p, views in asked.out.items() if not self._put(p, bytearray().join(views), asked)]
        for peer in refused:  # after all others got theirs
            if peer not in asked.expect:
                raise self._gone(peer, asked.where)
        self._take(asked)

    def _take(self, asked: Round) -> None:
        expect, where = asked.expect, asked.where
        inbox = self._inboxes[self.me]
        end = self.now() + asked.timeout
        with inbox.filled:
            awaited = set(expect)
            while awaited:
                for peer in list(awaited):
                    queue = inbox.frames[peer]
                    while queue and len(queue[0]) > expect[peer] and isinstance(expect[peer], Skip):
                        inbox.held[peer] -= len(queue.popleft())
                        inbox.drained.notify_all()
                    if queue:
                        if len(queue[0]) > expect[peer]:
                            raise self.too_long(peer, len(queue[0]), expect[peer], where)
                        asked.came[peer] = queue.popleft()
                        inbox.held[peer] -= len(asked.came[peer])
                        inbox.drained.notify_all()
                        awaited.discard(peer)
                if not awaited:
                    break
                if gone := awaited & inbox.ended.keys():
                    raise self._ended(min(gone, key=lambda p: (inbox.ended[p] is not None, p)), inbox, where)
                left = end - self.now()
                if left <= 0:
                    raise self.lost(min(awaited), f"nothing came from it for {asked.timeout:g} s", where, silent=True)
                inbox.missing = set(awaited)
                inbox.filled.wait(left)
                inbox.missing = set()

    def _put(self, peer: int, frame: bytearray, asked: Round) -> bool:
        """Leave a frame with a peer; false if the peer is gone."""
        inbox = self._inboxes[peer]
        with inbox.filled:
            if not inbox.drained.wait_for(
                lambda: inbox.closed or not inbox.frames[self.me] or inbox.held[self.me] + len(frame) <= AHEAD,
                asked.timeout,
            ):
                raise self.lost(peer, f"it took no data for {asked.timeout:g} s", asked.where, silent=True)
            if inbox.closed:
                return False
            inbox.frames[self.me].append(frame)
            inbox.held[self.me] += len(frame)
            inbox.missing.discard(self.me)
            if not inbox.missing:
                inbox.filled.notify()
            return True

    def _gone(self, peer: int, where: str) -> TacitError:
        inbox = self._inboxes[self.me]
        with inbox.filled:
            return self._ended(peer, inbox, where)

    def _ended(self, peer: int, inbox: Inbox, where: str) -> TacitError:
        message = inbox.ended.get(peer)
        return self.lost(peer, CLOSED, where) if message is None else self.stopped(peer, message)

    def _leave(self, message: str | None) -> None:
        own = self._inboxes[self.me]
        for peer in self.peers:
            inbox = self._inboxes[peer]
            with inbox.filled:
                inbox.ended.setdefault(self.me, message)
                inbox.filled.notify()
        with own.filled:
            own.closed = True
            own.drained.notify_all()

    def stop(self, message: str) -> None:
        if not self._closed:
            self._leave(reason_from(reason_text(message)))

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._leave(None)


def network(
    n: int,
    *,
    timeout: float = DEFAULT_TIMEOUT,
    names: Mapping[int, str] | None = None,
    extra: int = 0,
) -> list[Channel]:
    """Channels 0..n-1 between every two of n parties in one process, each to be used by a thread of its own.

    `extra` adds participants that are no parties (a dealer), with the indices n, n+1, ...; `names` tells what they are.
    """
    size = n + extra
    inboxes = [Inbox([j for j in range(size) if j != i]) for i in range(size)]
    return [MemoryChannel(i, inboxes, timeout=timeout, names=names) for i in range(size)]
