"""One thread that works off what it is given, in that order: alike at all parties, whatever their speed."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

from tacit.errors import TacitError

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds, at least."""
TIMES = 10
"""Times the time-out that a thread may compute between two rounds: the others may not wait as long for one."""
LOOK = 1.0


class Worker:
    """Once something fails, everything after it fails alike.

    `pace`: grows with what the thread does: rounds, bytes. `timeout`: that of its rounds, in seconds.
    """

    def __init__(self, name: str, pace: Callable[[], int], timeout: float) -> None:
        self._name, self._pace, self._patience = name, pace, max(PATIENCE, TIMES * timeout)
        self._work: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, work: Callable[[], T]) -> "Future[T]":
        if self._thread is None:
            # A daemon: a script that forgets its session must not hang.
            self._thread = threading.Thread(
                target=copy_context().run, args=(self._serve,), name=self._name, daemon=True
            )
            self._thread.start()
        future: Future[T] = Future()
        self._work.put((work, future))
        return future

    def result(self, future: "Future[T]") -> T:
        """Wait for it, as long as the thread gets on; `TacitError` if it does not."""
        if not patiently(lambda seconds: bool(wait([future], seconds).done), self._pace, self._patience):
            raise TacitError(
                f"the preparation hangs at this party: no round of it has ended for {self._patience:g} s, and no byte moved. "
                "Start a new session, on a slow machine with a longer time-out"
            )
        return future.result(0)

    def stop(self) -> None:
        """Nothing more comes, and what is under way fails for want of a connection: wait for that.

        A thread that is in the core when Python ends would take the process down with it.
        """
        self._work.put(None)
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _serve(self) -> None:
        failure: BaseException | None = None
        while (job := self._work.get()) is not None:
            work, future = job
            try:
                if failure is not None:
                    raise failure
                future.set_result(work())
            except BaseException as error:
                failure = error
                future.set_exception(error)
            del work, future, job  # what they hold is large, and the next job may be long in coming


def patiently(done: Callable[[float], bool], pace: Callable[[], int], patience: float) -> bool:
    """Wait for `done(seconds)`, which waits for so long at most; false once `pace()` has been the same for `patience` seconds."""
    last, since = pace(), time.monotonic()
    while not done(min(LOOK, patience)):
        now = time.monotonic()
        if (found := pace()) != last:
            last, since = found, now
        elif now - since > patience:
            return False
    return True
