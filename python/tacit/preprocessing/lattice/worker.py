"""One thread that works off what it is given, in that order: alike at all parties, whatever their speed."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
PATIENCE = 60.0
"""Seconds."""


class Worker:
    """Once something fails, everything after it fails alike."""

    def __init__(self, name: str) -> None:
        self._name = name
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
