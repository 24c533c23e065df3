"""Parties that make their material themselves, as threads of this process."""

import threading
from concurrent.futures import Future
from queue import SimpleQueue

from tacit.errors import TacitError
from tacit.preprocessing.lattice import LatticeSource
from tacit.transport import memory


class Crew:
    """n sources that live on: keys take seconds, and many tests can use the same ones."""

    def __init__(self, n, timeout=120.0, wrap=lambda channel, me: channel, make=LatticeSource, **options):
        self.n = n
        self.channels = [wrap(c, i) for i, c in enumerate(memory.network(n, timeout=timeout))]
        self._work = [SimpleQueue() for _ in range(n)]
        for me in range(n):
            threading.Thread(target=self._serve, args=(me, make, options), daemon=True).start()

    def _serve(self, me, make, options):
        source = failure = None
        try:
            source = make(me, self.n, self.channels[me], b"a test's session", **options)
        except TacitError as error:
            self.channels[me].stop(str(error))
            failure = error
        while (job := self._work[me].get()) is not None:
            work, future = job
            try:
                if failure is not None:
                    raise failure
                future.set_result(work(source))
            except BaseException as error:
                self.channels[me].stop(str(error))
                future.set_exception(error)

    def results(self, work, within=120):
        """work(source) of each party, or its error."""
        futures = [Future() for _ in range(self.n)]
        for queue, future in zip(self._work, futures, strict=True):
            queue.put((work, future))
        return [f.exception(within) or f.result() for f in futures]

    def run(self, n, work):
        """As the conformance suite wants it."""
        assert n == self.n
        found = self.results(work)
        for error in found:
            if isinstance(error, BaseException):
                raise error
        return found

    def close(self):
        for queue in self._work:
            queue.put(None)
