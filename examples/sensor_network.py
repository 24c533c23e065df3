"""Nine nodes in the field train one classifier on what each of them sees, and lose each other while they do.

    tacit run -n 9 --protocol shamir --threshold 2 --rejoin examples/sensor_network.py

Every node holds a stream of observations of its own (scikit-learn's breast cancer data, standardised by public constants),
and shares each round's batch while it is there. What is trained is a linear classifier, by gradient descent on squared errors.
Now and then a node is lost: it kills itself, at a moment drawn from the seed. The others go on, as long as 2 t + 1 are left, and
with `--rejoin` it comes back. At the end one node asks for the classes of new observations, and it alone is told. The data are
public here, so that node 0 then runs the same training in the clear, once with the same losses and once without any, to compare.
"""

import argparse
import os
import signal
import threading
import time
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer

import tacit

ROUNDS, BATCH, RATE = 24, 12, 0.05
PAUSE = 0.3
"""Seconds between two rounds of observations."""
TESTED = np.arange(0, 569, 5)


def observations() -> tuple[Any, Any, Any, Any]:
    """(what the nodes will see, its classes as 1 and -1, new observations, their classes as 1 and 0)"""
    data = load_breast_cancer()
    x = (data.data - data.data.mean(0)) / data.data.std(0)
    x = np.clip(np.hstack([x, np.ones((len(x), 1))]), -4, 4)
    seen = np.setdiff1d(np.arange(len(x)), TESTED)
    return x[seen], 2.0 * data.target[seen][:, None] - 1, x[TESTED], data.target[TESTED]


def streams(nodes: int) -> list[Any]:
    """For each node the rows that it sees, round by round."""
    rng = np.random.default_rng(1)
    x, _, _, _ = observations()
    return [rng.integers(0, len(x), (ROUNDS, BATCH)) for _ in range(nodes)]


def fates(nodes: int, spare: int, seed: int) -> dict[int, tuple[int, float]]:
    """Which nodes are lost, in which round, and how many seconds after its beginning. Node 0 asks at the end, and stays."""
    rng = np.random.default_rng(seed)
    lost = rng.choice(np.arange(1, nodes), spare, replace=False)
    return {int(i): (int(rng.integers(2, ROUNDS)), float(rng.uniform(0, 0.2))) for i in lost}


def clear(present: list[list[int]], rows: list[Any]) -> float:
    """The accuracy of the same training on the same data, in floats."""
    x, y, tested, right = observations()
    w = np.zeros((x.shape[1], 1))
    for turn, nodes in enumerate(present):
        chosen = np.concatenate([rows[i][turn] for i in nodes])
        a, b = x[chosen], y[chosen]
        w -= RATE / len(chosen) * a.T @ (a @ w - b)
    return float((((tested @ w)[:, 0] >= 0) == right).mean())


def die(after: float) -> None:
    """Kills this process a little later, in the middle of whatever it does then."""
    threading.Timer(after, os.kill, (os.getpid(), signal.SIGKILL)).start()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lose", type=int, default=3, help="how many nodes are lost")
    parser.add_argument("--seed", type=int, default=0, help="of the losses")
    given = parser.parse_args()
    x, y, tested, right = observations()
    with tacit.session(timeout=3.0, format=tacit.Format(16, 8)) as s:
        rows = streams(s.parties)
        fate = fates(s.parties, given.lose, given.seed)
        start = time.monotonic()
        present: list[list[int]] = []
        known, there = 0, {*s.survivors}
        w = s.materialize(s.secret(np.zeros((x.shape[1], 1)), owner=0))
        for turn in range(ROUNDS):
            if s.me in fate and fate[s.me][0] == turn and not s.returning:
                die(fate[s.me][1])
            parts = []
            for node in s.survivors:
                try:
                    chosen = rows[node][turn]
                    batch = s.materialize(s.secret(np.hstack([x[chosen], y[chosen]]), owner=node))
                    parts.append((node, batch[:, :-1], batch[:, -1:]))
                except tacit.PartyLost as loss:  # what a lost node had not shared yet is lost with it
                    if loss.party != node:
                        raise
            present.append([node for node, _, _ in parts])
            gradient = sum(a.T @ (a @ w - b) for _, a, b in parts)
            w = s.materialize(w - gradient * (RATE / (BATCH * len(parts))))
            if s.me == 0:
                moment = f"round {turn}, {time.monotonic() - start:.1f} s"
                for loss in s.lost_parties[known:]:
                    print(f"{moment}: {loss}; {len(s.survivors)} nodes go on", flush=True)
                known = len(s.lost_parties)
                for node in sorted({*s.survivors} - there):
                    print(f"{moment}: node {node} is back", flush=True)
                there = {*s.survivors}
            time.sleep(0 if s.returning else PAUSE)
        queries = s.secret(tested, owner=0)
        answers = s.reveal(queries @ w >= 0, to=0)
        if s.me == 0:
            accuracy = float((answers[:, 0] == right).mean())
            everyone = [list(range(s.parties))] * ROUNDS
            print(f"node 0 alone learned the classes of {len(right)} new observations: {accuracy:.1%} are right")
            print(
                f"in the clear with the same losses {clear(present, rows):.1%}, without losses {clear(everyone, rows):.1%}"
            )


if __name__ == "__main__":
    main()
