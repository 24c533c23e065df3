"""What is written over the protocols runs under shamir as it is: functions, autograd, estimators, saving, the command."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from shares import altered_share
from torch import nn
from torch.nn import functional as F

import tacit
from tacit.learn import LinearRegression

RNG = np.random.default_rng(0)
X, POSITIVE, CLASSES = RNG.uniform(-6, 6, (6, 4)), RNG.uniform(0.1, 20, (6, 4)), RNG.integers(0, 4, 6)


def functions(x, p, y):
    return {
        "softmax": x.softmax(-1),
        "log": p.log(),
        "div": x / p,
        "sqrt": p.sqrt(),
        "sigmoid": x.sigmoid(),
        "gelu": F.gelu(x),
        "relu": x.relu(),
        "max": x.max(-1).values,
        "greater": (x > p).to(x.dtype),
        "cross entropy": F.cross_entropy(x, y),
        "var": x.var(0),
        "product": x @ p.T,
    }


def shamir(work, parties=3, **options):
    return tacit.run(work, parties=parties, timeout=30, protocol="shamir", **options)


@pytest.mark.parametrize(("parties", "threshold"), [(3, 1), (5, 1)])
def test_functions(parties, threshold):
    def work(session):
        x, p = session.secret(X, owner=0), session.secret(POSITIVE, owner=1)
        made = functions(x, p, session.labels(CLASSES, num_classes=4, owner=2))
        return dict(zip(made, session.reveal(list(made.values())), strict=True))

    right = functions(torch.tensor(X), torch.tensor(POSITIVE), torch.tensor(CLASSES))
    for found in shamir(work, parties, threshold=threshold):
        for name, value in right.items():
            assert (found[name].double() - value).abs().max() < 1e-3, name


def test_a_step_of_training():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))

    def step(model, x, y):
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimiser.step()
        return model

    def work(session):
        model = session.share(copy.deepcopy(network), owner=0)
        x, y = session.secret(X, owner=0), session.labels(CLASSES, num_classes=4, owner=1)
        return [p.detach() for p in session.reveal(step(model, x, y)).parameters()]

    right = step(copy.deepcopy(network).double(), torch.tensor(X), torch.tensor(CLASSES)).parameters()
    for found, exact in zip(shamir(work)[2], right, strict=True):
        assert (found.double() - exact).abs().max() < 5e-3


def test_an_estimator():
    data = RNG.normal(size=(60, 3))
    target = data @ [1.0, -2.0, 0.5] + 0.25

    def work(session):
        x = session.table(columns={0: data[:, :1], 1: data[:, 1:]})
        model = LinearRegression().fit(x, session.secret(target, owner=2))
        return session.reveal(model.coef_)

    assert np.abs(shamir(work, backend="numpy")[1] - [1.0, -2.0, 0.5]).max() < 1e-3


def test_what_was_saved_comes_back():
    kept = shamir(lambda s: pickle.dumps(s.materialize(s.secret(X, owner=0))), backend="numpy")
    shown = shamir(lambda s: s.reveal(s.restore(pickle.loads(kept[s.me]))), backend="numpy")
    assert all(np.abs(value - X).max() < 1e-4 for value in shown)


def test_what_was_saved_comes_back_without_those_that_are_lost():
    """t + 1 of the parties put it together; with one share too few, or an altered one, there is nothing."""
    come, options = [4, 2, 6, 0], {"backend": "numpy", "protocol": "shamir", "timeout": 10}
    kept = tacit.run(lambda s: pickle.dumps(s.materialize(s.secret(X, owner=0))), 7, threshold=3, **options)

    def work(s):
        return s.reveal(s.restore(pickle.loads(kept[come[s.me]])))

    for value in tacit.run(work, 4, threshold=1, **options):
        assert np.abs(value - X).max() < 1e-4
    with pytest.raises(tacit.BadInput, match="4 of the 7 parties that saved this"):
        tacit.run(work, 3, threshold=1, **options)

    def altered(s):
        part = pickle.loads(kept[come[s.me]])
        s.restore(altered_share(part, values=1) if s.me == 1 else part)

    def another(s):
        """Party 1 says that its part is that of party 5."""
        part = pickle.loads(kept[come[s.me]])
        s.restore({**part, "party": 5} if s.me == 1 else part)

    for cheats in (altered, another):
        with pytest.raises(tacit.CheatingDetected, match="other shares"):
            tacit.run(cheats, 4, threshold=1, **options)


def test_numbers_without_axes():
    """Truncated, compared by leading bits and exactly."""

    def work(session):
        x = session.secret(np.array(1.5), owner=0)
        y = x * x * x
        return session.reveal([y, y > 3, y == 3, y.relu()])

    for found in shamir(work, backend="numpy"):
        assert np.abs(np.array(found) - [3.375, 1, 0, 3.375]).max() < 1e-3


def test_one_party_alone_is_told():
    shown = shamir(lambda s: s.reveal(s.secret(X, owner=0) * 2, to=1), parties=4, threshold=1, backend="numpy")
    assert [value is not None for value in shown] == [False, True, False, False]
    assert np.abs(shown[1] - 2 * X).max() < 1e-4


def test_the_command(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import numpy as np, tacit\n"
        "with tacit.session() as s:\n"
        "    y = s.reveal(s.secret(np.arange(4.0), owner=0) * s.secret(np.arange(4.0), owner=4))\n"
        "    if s.me == 2:\n"
        "        print(y.tolist(), s.report())\n"
    )
    command = [sys.executable, "-m", "tacit.cli", "run", "-n", "5", "--protocol", "shamir", "--threshold"]
    done = subprocess.run([*command, "1", str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "[0.0, 1.0, 4.0, 9.0]" in done.stdout and "checks x 2^-51" in done.stdout
    refused = subprocess.run([*command, "3", str(script)], capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2 and "choose one from 1 to 2" in refused.stderr
