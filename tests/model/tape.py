"""All that is drawn at random: hidden numbers go through all values that they may have, all others are fixed.

A *case* is a number; each hidden number that is drawn, and each secret, is its next digit. So the cases 0 ... n - 1 are all
that may happen, each once, where n is the product of what the digits may be. Either a choreography computes on arrays that have a
lane for each case, or it is played again for each. Hidden is what is drawn from a key that no colluder has (`hidden`); what
colluders draw themselves, and coins, depends on the seed only, and is the same in all cases.
"""

import hashlib
import threading
import weakref
from contextlib import contextmanager

import numpy as np


class Tape:
    def __init__(self):
        self._generators, self._lock = weakref.WeakSet(), threading.RLock()
        self._thread = threading.local()
        self.reset(b"")

    def reset(self, seed):
        self.seed = seed
        self.hidden = set()
        """Keys that no colluder has."""
        self.honest = set()
        """Parties that do not collude."""
        self.blank = set()
        """A broken choreography: generators that draw nothing but zeros."""
        self.restarted = False
        """A broken choreography: every stream of a key draws the same numbers."""
        self.begin([0])

    def begin(self, cases):
        """Play these cases, each in a lane of its own, from the beginning."""
        self.cases = np.array(cases, np.uint64)
        self.count = 1
        """Cases that there are, by the digits so far."""
        self._columns = {}
        self._octets = {}
        for generator in self._generators:
            generator.at = 0

    @property
    def lanes(self):
        return len(self.cases)

    def made(self, generator):
        with self._lock:
            self._generators.add(generator)

    def digit(self, bound):
        """The next digit of each case."""
        with self._lock:
            column = self.cases // np.uint64(self.count) % np.uint64(bound)
            self.count *= bound
        return column

    def draw(self, place, n, bound):
        key, _, at = place
        if key in self.blank:
            return np.zeros(n, np.uint64)
        if self.restarted:
            place = key, 0, at
        if n % self.lanes:
            return self.public(place, n, bound)
        if key not in self.hidden or self._aside():
            return np.repeat(self.public(place, n // self.lanes, bound), self.lanes)
        columns = [self._column((*place, k, bound)) for k in range(n // self.lanes)]
        return np.concatenate([np.zeros(0, np.uint64), *columns])

    def _column(self, place):
        with self._lock:
            if place not in self._columns:
                self._columns[place] = self.digit(place[-1])
            return self._columns[place]

    def public(self, place, n, bound):
        """Numbers that depend on the seed only."""
        return np.frombuffer(self.octets(place, 8 * n), np.uint64) % np.uint64(bound)

    def octets(self, place, n):
        return hashlib.shake_128(repr((self.seed, place)).encode()).digest(n)

    def token(self, n):
        """In place of the operating system's random bytes: by thread, so that it does not matter which runs first."""
        name = threading.current_thread().name
        with self._lock:
            number = self._octets[name] = self._octets.get(name, 0) + 1
        return self.octets(("token", name, number), n)

    @contextmanager
    def aside(self):
        """What this thread draws meanwhile is fixed."""
        self._thread.aside = True
        try:
            yield
        finally:
            self._thread.aside = False

    def _aside(self):
        return getattr(self._thread, "aside", False)
