"""What is written over the protocols runs under shamir-corrected as it is, and what it says about liars."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import tacit
from tacit.errors import ConfigurationError
from tacit.protocols.shamir.robust import CorrectedShares

RNG = np.random.default_rng(0)
X, POSITIVE, CLASSES = RNG.uniform(-6, 6, (6, 4)), RNG.uniform(0.1, 20, (6, 4)), RNG.integers(0, 4, 6)


def corrected(work, parties=4, **options):
    return tacit.run(work, parties=parties, timeout=30, protocol="shamir-corrected", **options)


@pytest.fixture
def liar(monkeypatch):
    """Party 3 adds something to every share that it opens."""
    original = CorrectedShares.open

    def open(self, share):
        return original(self, np.where(share, share - np.uint64(1), np.uint64(5)) if self.me == 3 else share)

    monkeypatch.setattr(CorrectedShares, "open", open)


def functions(x, p, y):
    return {
        "softmax": x.softmax(-1),
        "log": p.log(),
        "div": x / p,
        "max": x.max(-1).values,
        "greater": (x > p).to(x.dtype),
        "cross entropy": F.cross_entropy(x, y),
        "product": x @ p.T,
    }


def test_functions(liar):
    def work(session):
        x, p = session.secret(X, owner=0), session.secret(POSITIVE, owner=1)
        made = functions(x, p, session.labels(CLASSES, num_classes=4, owner=2))
        return dict(zip(made, session.reveal(list(made.values())), strict=True))

    right = functions(torch.tensor(X), torch.tensor(POSITIVE), torch.tensor(CLASSES))
    for found in corrected(work):
        for name, value in right.items():
            assert (found[name].double() - value).abs().max() < 1e-3, name


def test_a_step_of_training(liar):
    torch.manual_seed(0)
    network = torch.nn.Linear(4, 1)

    def step(model, x, y):
        loss = F.mse_loss(model(x), y)
        loss.backward()
        torch.optim.SGD(model.parameters(), lr=0.01).step()
        return loss, model.weight.detach()

    def work(session):
        x, y = session.secret(X, owner=0), session.secret(POSITIVE[:, :1], owner=1)
        return session.reveal(step(session.share(copy.deepcopy(network), owner=0), x, y))

    right = step(copy.deepcopy(network).double(), torch.tensor(X), torch.tensor(POSITIVE[:, :1]))
    for found in corrected(work):
        for value, exact in zip(found, right, strict=True):
            assert (value.double() - exact).abs().max() < 5e-3


def test_what_was_saved_comes_back():
    kept = corrected(lambda s: pickle.dumps(s.materialize(s.secret(X, owner=0))), backend="numpy")
    shown = corrected(lambda s: s.reveal(s.restore(pickle.loads(kept[s.me]))), backend="numpy")
    assert all(np.abs(value - X).max() < 1e-4 for value in shown)


def test_one_party_alone_is_told(liar):
    shown = corrected(lambda s: s.reveal(s.secret(X, owner=0) * 2, to=1), backend="numpy")
    assert [value is not None for value in shown] == [False, True, False, False]
    assert np.abs(shown[1] - 2 * X).max() < 1e-4


def test_the_report_names_liars(liar):
    def work(session):
        session.reveal(session.secret(X, owner=0) * 2)
        return session.report()

    reports = corrected(work, backend="numpy")
    assert all("party 3 sent wrong shares, which were corrected" in report for report in reports)
    assert all("party 0 sent" not in report for report in reports)


@pytest.mark.parametrize(("parties", "threshold"), [(3, None), (3, 1), (6, 2), (9, 3), (7, 0)])
def test_too_few_parties_are_refused(parties, threshold):
    with pytest.raises(ConfigurationError, match="parties"):
        corrected(lambda s: None, parties, threshold=threshold)


@pytest.mark.slow
def test_the_command(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, tacit\n"
        "with tacit.session() as s:\n"
        "    x, y = (s.secret(np.arange(4.0), owner=owner, shape=(4,)) for owner in (0, 3))\n"
        "    z = s.reveal(x * y)\n"
        "    if s.me == 2:\n"
        "        print(z.tolist(), s.report())\n"
    )
    options = ["-n", "5", "--protocol", "shamir-corrected", "--threshold"]
    command = [sys.executable, "-m", "tacit.cli"]
    done = subprocess.run([*command, "run", *options, "1", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "[0.0, 1.0, 4.0, 9.0]" in done.stdout and "checks of material x 2^-51" in done.stdout
    planned = subprocess.run([*command, "plan", *options, "1", script], capture_output=True, text=True, timeout=60)
    assert planned.returncode == 0, planned.stderr
    refused = subprocess.run([*command, "run", *options, "2", script], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and "choose one from 1 to 1" in refused.stderr
