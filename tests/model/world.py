"""The product's own modules, imported a second time over a core modulo a small prime; and how their parties are run.

Nothing is copied: what runs is the choreography of `protocols`, `preprocessing`, `engine` and `numbers.saving`.
"""

import functools
import importlib
import sys
import threading
from collections import defaultdict
from queue import SimpleQueue
from types import ModuleType

import numpy as np

from tacit import errors, steps
from tests.model.core import Core
from tests.model.tape import Tape

ROOMS = (
    "protocols.spdz.protocol",
    "protocols.shamir.protocol",
    "protocols.shamir.masked_opening",
    "protocols.shamir.resharing",
    "preprocessing.dealer",
    "preprocessing.lattice.batch",
    "engine.engine",
    "numbers.saving",
)
SHARED = {"tacit.errors": errors, "tacit.steps": steps}
HEADER = 16
"""Bytes before what a round of the engine carries."""


class Secrets(ModuleType):
    """In place of the standard module of this name."""

    def __init__(self, tape):
        super().__init__("secrets")
        self.token_bytes = tape.token

    def randbelow(self, bound):
        return int.from_bytes(self.token_bytes(16), "little") % bound

    def randbits(self, count):
        return self.randbelow(1 << count)


class World:
    """tacit modulo p: `world.module("protocols.spdz.protocol")`."""

    def __init__(self, p):
        self.p, self.tape = p, Tape()
        self.core = Core(p, self.tape)
        for name in ROOMS:  # so that whatever else they need is there already
            importlib.import_module(f"tacit.{name}")
        mine = {"secrets": Secrets(self.tape), "tacit._core": self.core, **SHARED}
        others = {n: m for n, m in sys.modules.items() if _ours(n)}
        for name in others:
            del sys.modules[name]
        sys.modules.update(mine)
        try:
            for name in ROOMS:
                importlib.import_module(f"tacit.{name}")
            self._modules = {n: m for n, m in sys.modules.items() if _ours(n)}
        finally:
            for name in [n for n in sys.modules if _ours(n)]:
                del sys.modules[name]
            sys.modules.update(others)

    def module(self, name):
        return self._modules[f"tacit.{name}"]


@functools.cache
def world(p):
    return World(p)


def _ours(name):
    return name in ("tacit", "secrets") or name.startswith("tacit.")


class Heard(list):
    """(receiver, sender, label, bytes) of every message."""

    def columns(self, colluders, lanes, only=None, header=0, size=None):
        """The numbers that colluders heard from all others: an array for each, with a place for each lane.

        `only`: of messages with these labels; `size`: of so many bytes.
        """
        found = []
        for receiver, sender, label, data in sorted(self, key=lambda m: m[0]):  # threads have no order among them
            if receiver not in colluders or sender in colluders or (only is not None and label not in only):
                continue
            if size in (None, len(data)):
                found += list(np.frombuffer(data[header:], np.uint64).reshape(-1, lanes))
        return found


def together(parties, heard=None):
    """Runs one primitive (`interaction.exchange.Rounds`) at each party, round by round; results by party."""
    results, wanted = {}, {}

    def advance(i, came):
        try:
            wanted[i] = parties[i].send(came)
        except StopIteration as end:
            results[i] = end.value
            wanted.pop(i, None)

    for i in parties:
        advance(i, None)
    while wanted:
        given = {i: dict(wanted[i].expect) for i in wanted}
        for i, exchange in wanted.items():
            for j, parts in exchange.out.items():
                data = b"".join(bytes(memoryview(p).cast("B")) if len(p) else b"" for p in parts)
                assert given[j][i] == len(data), "a message that nobody waits for"
                given[j][i] = data
                if heard is not None:
                    heard.append((j, i, "", data))
        for i in list(wanted):
            advance(i, {j: memoryview(data) for j, data in given[i].items()})
    return results


def aside(tape, steps):
    """A primitive whose draws are fixed: a coin, which is public and depends on nothing."""
    came = None
    try:
        while True:
            with tape.aside():
                wanted = steps.send(came)
            came = yield wanted
    except StopIteration as end:
        return end.value


class Line:
    """One party's channel to all others."""

    remark = ""

    def __init__(self, me, queues, heard):
        self.me, self._queues, self._heard = me, queues, heard
        self.peers = [i for i in range(len(queues)) if i != me]

    def exchange(self, out, expect, *, label="", timeout=None):
        for peer, parts in out.items():
            self._queues[peer][self.me].put(bytearray().join(memoryview(p).cast("B") if len(p) else b"" for p in parts))
        came = {}
        for peer in expect:
            data = came[peer] = self._queues[self.me][peer].get(timeout=20)
            self._heard.append((self.me, peer, label if isinstance(label, str) else "online", data))
        return came


def lines(count, heard):
    queues = [defaultdict(SimpleQueue) for _ in range(count)]
    for i in range(count):
        for j in range(count):
            queues[i][j] = SimpleQueue()
    return [Line(i, queues, heard) for i in range(count)]


def in_threads(*works):
    """Results of all; the first error is raised."""
    results, failures = [None] * len(works), []

    def run(i):
        try:
            results[i] = works[i]()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(i,), name=f"party {i}", daemon=True) for i in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results
