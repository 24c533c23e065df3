"""The shallow MNIST network of a published study of private training.

    tacit run -n 2 --dealer examples/mnist_cnn.py --data DIR [--steps 469] [--activation polynomial]

DIR holds MNIST's four gzipped IDX files. Party 0 holds the images, party 1 the labels. conv 32 of 3 x 3 -> average pool 2 x 2 ->
ReLU (or a polynomial) -> dense 10, batches of 128, SGD, mean squared error on one-hot labels. The outputs for the test images are
revealed.
"""

import argparse
import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

import tacit

BATCH = 128


class Polynomial(nn.Module):
    """x^2 / 8 + x / 2 + 1 / 4, instead of a ReLU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 0.125 * x**2 + 0.5 * x + 0.25


ACTIVATIONS = {"relu": nn.ReLU, "polynomial": Polynomial}


def network(activation: str) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.AvgPool2d(2),
        ACTIVATIONS[activation](),
        nn.Flatten(),
        nn.Linear(6272, 10),
    )


def read(path: Path, header: int) -> np.ndarray:
    """An IDX file of bytes without its header."""
    if not path.exists():
        raise tacit.BadInput(f"{path} is missing: --data names the folder with MNIST's four .gz files")
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8)[header:]


def images(folder: Path, part: str, count: int) -> np.ndarray:
    return read(folder / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)[:count] / 256


def labels(folder: Path, part: str, count: int) -> np.ndarray:
    return read(folder / f"{part}-labels-idx1-ubyte.gz", 8)[:count]


def train(model: nn.Module, batches: Iterable[Any]) -> None:
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for x, y in batches:
        loss = nn.functional.mse_loss(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def in_the_clear(folder: Path, activation: str, rows: int, test: int) -> float:
    x = torch.tensor(images(folder, "train", rows)).float()
    y = torch.tensor(np.eye(10)[labels(folder, "train", rows)]).float()
    order = np.random.default_rng(0).permutation(rows)
    model = network(activation)
    train(model, ((x[order[s : s + BATCH]], y[order[s : s + BATCH]]) for s in range(0, rows, BATCH)))
    with torch.no_grad():
        return accuracy(model(torch.tensor(images(folder, "t10k", test)).float()), folder, test)


def accuracy(outputs: torch.Tensor, folder: Path, test: int) -> float:
    return float((outputs.argmax(1).numpy() == labels(folder, "t10k", test)).mean())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True, help="the folder with MNIST's four .gz files")
    parser.add_argument("--activation", choices=sorted(ACTIVATIONS), default="relu")
    parser.add_argument("--steps", type=int, default=100, help="batches of 128 (an epoch has 469)")
    parser.add_argument("--test", type=int, default=1000, help="test images")
    given = parser.parse_args()
    rows = min(60000, given.steps * BATCH)
    torch.set_num_threads(1)
    pixels = tacit.Format(8, 1)
    with tacit.session(format=tacit.Format(16, 6)) as session:
        X = session.secret(lambda: images(given.data, "train", rows), owner=0, shape=(rows, 1, 28, 28), format=pixels)
        y = session.secret(lambda: np.eye(10)[labels(given.data, "train", rows)], owner=1, shape=(rows, 10))
        model = session.share(network(given.activation))
        train(model, session.batches(X, y, size=BATCH, progress=True))
        test = session.secret(
            lambda: images(given.data, "t10k", given.test), owner=0, shape=(given.test, 1, 28, 28), format=pixels
        )
        with torch.no_grad():
            parts = [session.reveal(model(x)) for x in session.batches(test, size=BATCH, shuffle=False, progress=True)]
        outputs = torch.cat(parts)
        if session.me == 0:
            print(f"accuracy of the private model:          {accuracy(outputs, given.data, given.test):.1%}")
            print(
                f"accuracy of the same run in the clear:  {in_the_clear(given.data, given.activation, rows, given.test):.1%}"
            )
            print(session.report())


if __name__ == "__main__":
    main()
