"""`shamir_storm`: a small CNN learns digits among seven nodes that are lost and come back all the time, run after run.

    python benchmarks/storm.py [--runs 100] [--steps 30] [--every 10]

n = 7, t = 2, all nodes in this process (threads, TLS between them). On average every tenth step one of them dies or hangs, at a
random moment, unless two are away, and starts again after a second. What is counted: runs that ended with the right accuracy
at every node that was there at the end; runs that ended wrong; runs that did not end.
"""

import argparse
import json
import threading
import time
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import tacit
from tacit.testing.nodes import Fate, Nodes

PARTIES, THRESHOLD, BATCH, TIMEOUT = 7, 2, 32, 4.0
TEST = np.arange(0, 1797, 6)
TRAIN = np.setdiff1d(np.arange(1797), TEST)
BACK = 16
"""Rounds after which a node that came back holds shares again."""


class Weather:
    """Who is lost when. `given`: rounds until all data are shared, before which nobody is lost: what only its owner has is
    needed until then. `rounds`: of one step; `every`: steps between two losses, of all nodes together."""

    def __init__(self, seed: int, given: int, rounds: int, every: float) -> None:
        self._seed, self._given, self._mean = seed, given, PARTIES * rounds * every
        self._away: set[int] = set()
        self._lock = threading.Lock()
        self.losses = self.returns = 0

    def __call__(self, party: int, life: int) -> Fate:
        rng = np.random.default_rng((self._seed, party, life))
        number, how = rng.exponential(self._mean), str(rng.choice(["die", "hang"]))

        def fate(round: int, where: str) -> str | None:
            with self._lock:
                if round == BACK and life:
                    self._away.discard(party)
                    self.returns += 1
                early = 2 * BACK if life else self._given
                if round < early + number or len(self._away) >= PARTIES - 2 * THRESHOLD - 1:
                    return None
                self._away.add(party)
                self.losses += 1
                return how

        return fate


def training(steps: int, seed: int) -> Any:
    """The script: (accuracy, rounds until the first step, rounds of a step)."""
    drawing = threading.Lock()

    def work(session: tacit.Session) -> tuple[float, int, float]:
        data = load_digits()
        with drawing:  # all nodes have one generator here
            torch.manual_seed(0)
            model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10))
        x = session.secret(data.images[TRAIN, None] / 16, owner=0, format=tacit.Format(8, 1))
        y = session.labels(data.target[TRAIN], num_classes=10, owner=1)
        images = session.secret(data.images[TEST, None] / 16, owner=0, format=tacit.Format(8, 1))
        shared = session.share(model, owner=0)
        for given in (x, y, images, *shared.parameters()):
            session.materialize(given)
        optimiser = torch.optim.SGD(shared.parameters(), lr=0.3, momentum=0.9)
        before = session.meter.total().rounds
        done = 0
        for a, b in session.batches(x, y, batch_size=BATCH, epochs=1 + steps * BATCH // len(TRAIN), seed=seed):
            loss = nn.functional.cross_entropy(shared(a), b)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if (done := done + 1) == steps:
                break
        session.end_step()
        rounds = (session.meter.total().rounds - before) / steps
        with torch.no_grad():
            outputs = session.reveal(shared(images))
        return float((outputs.argmax(1).numpy() == data.target[TEST]).mean()), before, rounds

    return work


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--every", type=float, default=10.0)
    parser.add_argument("--first", type=int, default=0, help="seed of the first run")
    given = parser.parse_args()
    torch.set_num_threads(1)
    options = {"timeout": TIMEOUT, "away": 1.0, "format": tacit.Format(16, 6), "backend": "torch"}

    started = time.monotonic()
    calm = Nodes(training(given.steps, 0), PARTIES, THRESHOLD, lambda party, life: None, **options).run()
    right, given_at, rounds = calm.results[0]
    print(f"without losses: {right:.1%}, {rounds:.0f} rounds a step, {time.monotonic() - started:.0f} s", flush=True)
    ended = wrong = losses = returns = 0
    seconds = []
    for seed in range(given.first, given.first + given.runs):
        weather = Weather(seed, given_at, int(rounds), given.every)
        started = time.monotonic()
        outcome = Nodes(training(given.steps, 0), PARTIES, THRESHOLD, weather, **options).run()
        seconds.append(time.monotonic() - started)
        found = [accuracy for accuracy, *_ in outcome.results.values()]
        there = len(found) >= PARTIES - THRESHOLD
        wrong += bool(found) and (max(found) != min(found) or abs(found[0] - right) > 0.03)
        ended += there
        losses, returns = losses + weather.losses, returns + weather.returns
        shown = f"{found[0]:.1%} at {len(found)} nodes" if found else "no result"
        errors = {i: f"{type(e).__name__}: {e}"[:160] for i, e in outcome.errors.items()}
        if not there:
            errors |= {f"{i} before": [str(e)[:160] for e in ends] for i, ends in outcome.ended.items() if ends}
        print(
            f"run {seed}: {shown}; {weather.losses} lost, {weather.returns} back; {seconds[-1]:.0f} s {errors or ''}",
            flush=True,
        )
    result = {
        "name": "shamir_storm",
        "parties": PARTIES,
        "runs": given.runs,
        "ended": ended,
        "wrong": wrong,
        "losses": losses,
        "returns": returns,
        "seconds": float(np.median(seconds)),
    }
    print("RESULT " + json.dumps(result))


if __name__ == "__main__":
    main()
