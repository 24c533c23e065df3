"""The two MNIST networks of a published study of private training, with ReLU, softmax and cross-entropy.

    tacit run -n 2 --dealer examples/mnist_cnn.py --data DIR [--net shallow|deep] [--steps 469] [--points 10]

DIR holds MNIST's four gzipped IDX files. Party 0 holds the images, party 1 the labels.
    shallow: conv 32 of 3 x 3 -> average pool 2 x 2 -> ReLU -> dense 10
    deep:    conv 32 of 3 x 3 -> average pool 2 x 2 -> ReLU -> conv 32 of 3 x 3 -> average pool 2 x 2 -> ReLU -> dense 10
Batches of 128, SGD with a learning rate of 0.01. Nothing is revealed but, at the end, the accuracies on the test images: at
`--points` points of the training, and after it. The data are public here, so that party 0 then runs the same in the clear.
"""

import argparse
import gzip
import time
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


def network(net: str, activation: str = "relu") -> nn.Sequential:
    torch.manual_seed(0)
    channels, layers = 1, []
    for _ in range(2 if net == "deep" else 1):
        layers += [nn.Conv2d(channels, 32, 3, padding=1), nn.AvgPool2d(2), ACTIVATIONS[activation]()]
        channels = 32
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(1568 if net == "deep" else 6272, 10))


def read(path: Path, header: int) -> np.ndarray:
    """An IDX file of bytes without its header."""
    if not path.exists():
        raise tacit.BadInput(f"{path} is missing: --data names the folder with MNIST's four .gz files")
    with gzip.open(path) as file:
        return np.frombuffer(file.read(), np.uint8)[header:]


def images(folder: Path, part: str, count: int) -> np.ndarray:
    return read(folder / f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)[:count] / 256


def labels(folder: Path, part: str, count: int) -> np.ndarray:
    return read(folder / f"{part}-labels-idx1-ubyte.gz", 8)[:count].astype(np.int64)


def train(model: nn.Module, batches: Iterable[Any], marks: set[int], tried: Any) -> list[Any]:
    """An ordinary training loop: it does not know whether its numbers are secret. `tried(model)` after the steps `marks`."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    curve = []
    for step, (x, y) in enumerate(batches, 1):
        loss = nn.functional.cross_entropy(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step in marks:
            curve.append(tried(model))
    return curve


def accuracy(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean()


def in_the_clear(given: argparse.Namespace, rows: int, marks: set[int]) -> list[float]:
    x = torch.tensor(images(given.data, "train", rows)).float()
    y = torch.tensor(labels(given.data, "train", rows))
    test_x = torch.tensor(images(given.data, "t10k", given.test)).float()
    test_y = torch.tensor(labels(given.data, "t10k", given.test))
    order = np.random.default_rng(0).permutation(rows)
    batches = ((x[order[s : s + BATCH]], y[order[s : s + BATCH]]) for s in range(0, rows, BATCH))
    model = network(given.net, given.activation)
    return [float(c) for c in train(model, batches, marks, lambda m: accuracy(m, test_x, test_y))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="the folder with MNIST's four .gz files")
    parser.add_argument("--net", choices=["shallow", "deep"], default="shallow")
    parser.add_argument("--activation", choices=sorted(ACTIVATIONS), default="relu")
    parser.add_argument("--steps", type=int, default=100, help="batches of 128 (an epoch has 469)")
    parser.add_argument("--test", type=int, default=1000, help="test images")
    parser.add_argument(
        "--points", type=int, default=1, help="points of the training at which the test images are tried"
    )
    given = parser.parse_args()
    rows = min(60000, given.steps * BATCH)
    steps = -(-rows // BATCH)
    marks = {round(steps * (i + 1) / given.points) for i in range(given.points)}
    torch.set_num_threads(1)
    pixels = tacit.Format(8, 1)
    with tacit.session(format=tacit.Format(16, 6)) as session:
        X = session.secret(lambda: images(given.data, "train", rows), owner=0, shape=(rows, 1, 28, 28), format=pixels)
        y = session.labels(lambda: labels(given.data, "train", rows), num_classes=10, owner=1, shape=(rows,))
        test = given.test
        test_X = session.secret(
            lambda: images(given.data, "t10k", test), owner=0, shape=(test, 1, 28, 28), format=pixels
        )
        test_y = session.labels(lambda: labels(given.data, "t10k", test), num_classes=10, owner=1, shape=(test,))
        model = session.share(network(given.net, given.activation), owner=0)

        trying = []

        def tried(model: nn.Module) -> Any:
            """Still a secret: it is computed now, and revealed at the end."""
            start = time.perf_counter()
            parts = session.batches(test_X, test_y, batch_size=BATCH, shuffle=False)
            found = sum(session.materialize(accuracy(model, x, y)) * (len(x) / test) for x, y in parts)
            trying.append(time.perf_counter() - start)
            return found

        start = time.perf_counter()
        curve = session.reveal(train(model, session.batches(X, y, batch_size=BATCH, progress=True), marks, tried))
        seconds = time.perf_counter() - start
        if session.me == 0:
            clear = in_the_clear(given, rows, marks)
            print(f"{'step':>6} {'private':>9} {'clear':>9}   accuracy on {test} test images")
            for step, private, plain in zip(sorted(marks), curve, clear, strict=True):
                print(f"{step:6} {float(private):9.2%} {plain:9.2%}")
            print(f"accuracy of the private model:          {float(curve[-1]):.2%}")
            print(f"accuracy of the same run in the clear:  {clear[-1]:.2%}")
            print(f"seconds of training: {seconds - sum(trying):.0f}, and of trying test images: {sum(trying):.0f}")
            print(session.report())


if __name__ == "__main__":
    main()
