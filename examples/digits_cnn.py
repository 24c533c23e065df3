"""Two parties train a small CNN: party 0 holds images of digits, party 1 knows which digits they are.

    tacit run -n 2 examples/digits_cnn.py                          # two minutes; nobody is trusted
    tacit run -n 2 --dealer examples/digits_cnn.py --epochs 10     # with a dealer, seconds

The data are scikit-learn's bundled digits (1797 images of 8 x 8). What is revealed is the trained model's predictions for the
test images. Since the data are public here, party 0 then runs the same training in the clear, to compare.
"""

import argparse
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import tacit

DIGITS = 1797
TEST = np.arange(0, DIGITS, 6)
TRAIN = np.setdiff1d(np.arange(DIGITS), TEST)
BATCH = 64


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 8, 3), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10))


def images(rows: np.ndarray) -> np.ndarray:
    return load_digits().images[rows, None] / 16


def labels(rows: np.ndarray) -> np.ndarray:
    return load_digits().target[rows]


def train(model: nn.Module, batches: Iterable[Any]) -> None:
    """An ordinary training loop: it does not know whether its numbers are secret."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    for x, y in batches:
        loss = nn.functional.cross_entropy(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def accuracy(outputs: torch.Tensor) -> float:
    return float((outputs.argmax(1).numpy() == load_digits().target[TEST]).mean())


def in_the_clear(epochs: int) -> float:
    x, y = torch.tensor(images(TRAIN)).float(), torch.tensor(labels(TRAIN))
    generator = np.random.default_rng(0)

    def batches() -> Iterable[Any]:
        for _ in range(epochs):
            order = generator.permutation(len(TRAIN))
            for start in range(0, len(TRAIN), BATCH):
                yield x[order[start : start + BATCH]], y[order[start : start + BATCH]]

    model = network()
    train(model, batches())
    with torch.no_grad():
        return accuracy(model(torch.tensor(images(TEST)).float()))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    epochs = parser.parse_args().epochs
    torch.set_num_threads(1)
    pixels = tacit.Format(8, 1)
    with tacit.session(format=tacit.Format(16, 6)) as session:
        X = session.secret(lambda: images(TRAIN), owner=0, shape=(len(TRAIN), 1, 8, 8), format=pixels)
        y = session.labels(lambda: labels(TRAIN), num_classes=10, owner=1, shape=(len(TRAIN),))
        model = session.share(network(), owner=0)
        train(model, session.batches(X, y, batch_size=BATCH, epochs=epochs, progress=True))
        test = session.secret(lambda: images(TEST), owner=0, shape=(len(TEST), 1, 8, 8), format=pixels)
        with torch.no_grad():
            outputs = session.reveal(model(test))
        if session.me == 0:
            print(f"accuracy of the private model:          {accuracy(outputs):.1%}")
            print(f"accuracy of the same run in the clear:  {in_the_clear(epochs):.1%}")
            print(session.report())


if __name__ == "__main__":
    main()
