"""`python -m tacit.launch.liar script.py ...`: a party of `tacit attack`, which notes what it reveals, and lies if told to."""

import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tacit.errors import TacitError
from tacit.launch import child
from tacit.sessions.session import Session
from tacit.testing import cheating
from tacit.testing.lies import Computing, Lying, Order, Outcome
from tacit.transport.channel import Channel
from tacit.transport.endpoint import Endpoint

VARIABLE = "TACIT_ATTACK"
"""Names the file of an `Order`."""
NUMBERS = 64
"""Revealed numbers that are kept of each value."""


def _kept(x: Any, found: list[list[float]]) -> None:
    if isinstance(x, dict):
        x = list(x.values())
    if isinstance(x, list | tuple):
        for part in x:
            _kept(part, found)
    elif x is not None and not callable(getattr(x, "state_dict", None)):
        found.append([float(v) for v in np.asarray(x, np.float64).reshape(-1)[:NUMBERS]])


def main() -> int:
    order = Order.load(os.environ.pop(VARIABLE))
    outcome = Outcome()
    channel, reveal = Endpoint.channel, Session.reveal

    def attacked(self: Endpoint, *given: Any, **named: Any) -> Channel:
        return Lying(channel(self, *given, **named), outcome, order.lie)

    def noted(self: Session, *given: Any, **named: Any) -> Any:
        shown = reveal(self, *given, **named)
        _kept(shown.state_dict() if hasattr(shown, "state_dict") else shown, outcome.revealed)
        return shown

    computing = Computing(outcome, order.lie)
    script = child.script()

    def run() -> None:
        try:
            script()
            outcome.finished = True
        except BaseException as error:
            outcome.error = type(error).__name__
            outcome.message = str(error) if isinstance(error, TacitError) else ""
            raise
        finally:
            outcome.ended_at = time.time()
            outcome.save(Path(order.outcome))

    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(Endpoint, "channel", attacked))
        stack.enter_context(mock.patch.object(Session, "reveal", noted))
        for step in cheating.steps().values():
            stack.enter_context(cheating.replaced(step, None, computing.of(step.name)))
        return child.guarded(run)


if __name__ == "__main__":
    sys.exit(main())
