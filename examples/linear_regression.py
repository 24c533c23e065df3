"""Linear regression on columns that three parties hold, in an ordinary PyTorch script.

    tacit run -n 3 examples/linear_regression.py

scikit-learn's diabetes data: party 0 holds five measurements of each patient, party 1 five others, party 2 how the disease
went on. They learn the weights together; nobody shows its columns. What is revealed is the model, and how well it fits.
"""

import argparse

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import nn

import tacit


def standardised(table: np.ndarray) -> np.ndarray:
    """Each party can do this with its own columns."""
    return (table - table.mean(0)) / table.std(0)


def first_half() -> np.ndarray:
    return standardised(load_diabetes().data[:, :5])


def second_half() -> np.ndarray:
    return standardised(load_diabetes().data[:, 5:])


def target() -> np.ndarray:
    return standardised(load_diabetes().target[:, None])


def in_the_clear() -> np.ndarray:
    """What NumPy finds, if somebody had all columns: the best weights, for comparison."""
    data = np.concatenate([first_half(), second_half()], 1)
    return np.linalg.lstsq(data, target(), rcond=None)[0][:, 0]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    steps = parser.parse_args().steps
    torch.manual_seed(0)
    with tacit.session(format=tacit.Format(16, 10)) as session:
        X = session.table(columns={0: first_half, 1: second_half}, shapes={0: (442, 5), 1: (442, 5)})
        y = session.secret(target, owner=2, shape=(442, 1))
        model = session.share(nn.Linear(10, 1), owner=0)
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        for _ in session.steps(steps, progress=True):
            loss = nn.functional.mse_loss(model(X), y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        loss = session.reveal(loss)
        weights = session.reveal(model).weight.detach().numpy()[0]
        if session.me == 0:
            best = in_the_clear()
            print(f"share of the variance explained: {1 - loss.item():.4f}")
            print("weights found in secret:  ", np.round(weights, 3))
            print("least squares in the clear:", np.round(best, 3))
            print(f"largest difference: {np.abs(weights - best).max():.4f}")
            print(session.report())


if __name__ == "__main__":
    main()
