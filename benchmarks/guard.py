"""What a guard of every step costs a step of an MNIST CNN, with a dealer and without: bytes and rounds, from shapes alone.

    python benchmarks/guard.py [--net shallow|deep]

Nothing is computed. With a dealer, its corrections count; without, about what the parties send each other for the material.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from tacit.numbers.format import Format
from tacit.preprocessing.lattice.maker import expected_bytes
from tacit.sessions.dry import DrySource
from tacit.sessions.options import Options
from tacit.sessions.session import Session

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
import mnist_cnn

PARTIES, STEPS = 2, 3


def step(net: str, dealer: bool, guard: int) -> dict[str, float]:
    """Of one step, after the first: rounds, and megabytes of the online phase and of the material."""
    source = DrySource(PARTIES, dealer, lambda request: expected_bytes(request, PARTIES))
    session = Session(
        PARTIES - 1, PARTIES, Options(format=Format(16, 6), guard=guard, backend="torch"), None, source, b"price"
    )
    model = session.share(mnist_cnn.network(net), owner=0)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    x = session.secret(np.zeros((128, 1, 28, 28)), owner=0, format=Format(8, 1))
    y = session.labels(np.zeros(128), num_classes=10, owner=1)

    def costs() -> np.ndarray[Any, np.dtype[np.float64]]:
        found = session.engine.costs
        return np.array([found.rounds, found.sends / 1e6, source.material / 1e6])

    for turn in range(1 + STEPS):
        if turn == 1:
            before = costs()
        loss = functional.cross_entropy(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        session.end_step()
    return dict(zip(("rounds", "online MB", "material MB"), (costs() - before) / STEPS, strict=True))


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--net", choices=("shallow", "deep"), default="shallow")
    net = arguments.parse_args().net
    for dealer in (True, False):
        without, with_guard = step(net, dealer, 0), step(net, dealer, 1)
        print(f"{'with' if dealer else 'without'} a dealer, party {PARTIES - 1} of {PARTIES}")
        for what, least in without.items():
            print(f"  {what:<12} {least:10.1f} {with_guard[what]:10.1f}   {with_guard[what] / least - 1:+.0%}")
