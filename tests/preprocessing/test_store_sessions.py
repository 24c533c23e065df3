"""What a dry run lists is what the run asks for: trainings on stored material."""

import copy
import shutil

import numpy as np
import pytest
import torch
from storing import LikeLattice, fill, opened
from torch import nn

import tacit
from tacit.errors import Mismatch
from tacit.numbers.array import SecretArray
from tacit.preprocessing import ahead
from tacit.preprocessing.dealer import DealerSource
from tacit.preprocessing.vault import StoreError
from tacit.sessions.dry import DrySource
from tacit.sessions.options import Options
from tacit.sessions.session import Session

FORMAT = tacit.Format(16, 6)
IMAGES = np.random.default_rng(1).random((8, 1, 8, 8))


def listed(folder, function, dealer, **options):
    """A dry run's lists."""
    source = DrySource(2, dealer, lambda request: 0, folder / "lists")
    with Session(0, 2, Options(format=FORMAT, **options), None, source, b"plan") as session:
        function(session)
    return folder / "lists"


def stored(folder, function, **options):
    return tacit.run(
        function, parties=2, format=FORMAT, source=lambda me, parties: opened(folder, me, parties), **options
    )


torch.manual_seed(0)
NETWORK = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))


def steps(model, batches):
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for x, t in batches:
        loss = nn.functional.cross_entropy(model(x), t)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return loss


def cnn(session):
    x = session.secret(lambda: IMAGES, owner=0, shape=IMAGES.shape, format=tacit.Format(8, 1))
    t = session.labels(lambda: np.arange(8) % 3, num_classes=3, owner=1, shape=(8,))
    model = session.share(copy.deepcopy(NETWORK), owner=0)
    loss = steps(model, session.batches(x, t, batch_size=4))
    session.reveal(loss)
    with torch.no_grad():
        return session.reveal(model(x))


def cnn_in_the_clear():
    model, order = copy.deepcopy(NETWORK), np.random.default_rng(0).permutation(8)
    x, t = torch.tensor(IMAGES).float(), torch.arange(8) % 3
    steps(model, ((x[rows], t[rows]) for rows in (order[:4], order[4:])))
    with torch.no_grad():
        return model(x)


def regression(session):
    rng = np.random.default_rng(2)
    x = session.secret(rng.random((20, 3)), owner=0)
    y = session.secret(rng.random((20, 1)), owner=1)
    w = session.secret(np.zeros((3, 1)), owner=0)
    for _ in session.steps(3):
        w -= 0.1 * (x.T @ (x @ w - y)) / 20
    return session.reveal(w, to=1)


@pytest.mark.quick(1)
@pytest.mark.parametrize("kind", [DealerSource, LikeLattice])
def test_a_cnn(kind, tmp_path):
    fill(tmp_path, listed(tmp_path, cnn, kind.binary, backend="torch"), kind=kind)
    for outputs in stored(tmp_path, cnn, backend="torch"):
        np.testing.assert_allclose(outputs.numpy(), cnn_in_the_clear().numpy(), atol=2e-3)
    assert not list(tmp_path.glob("*/material"))


def test_a_regression_with_a_guard(tmp_path):
    options = {"guard": 2, "backend": "numpy"}
    fill(tmp_path, listed(tmp_path, regression, False, **options), kind=LikeLattice)
    nothing, w = stored(tmp_path, regression, **options)
    assert nothing is None and np.abs(w).max() > 0.01


class Killed(Exception):
    pass


def in_portions(session, stop=0):
    """A graph of many lists; `stop`: killed when it asks for the material of that portion."""
    engine, asked = session.engine, 0
    engine.portion = 3000
    x = session.secret(np.arange(-4, 4) / 2, owner=0)
    request = engine.source.request

    def counted(requests):
        nonlocal asked
        asked += 1
        if asked == stop:
            raise Killed
        return request(requests)

    engine.source.request = counted
    y = session.reveal((x * x).relu() + x.relu())
    assert asked > 3
    return y


def test_a_graph_in_portions(tmp_path):
    """Its lists are those that were planned; one that ends between two portions leaves nothing to be used twice."""
    fill(tmp_path, listed(tmp_path, in_portions, False, backend="numpy"), kind=LikeLattice)
    assert len(list(ahead.read(tmp_path / "lists"))) > 3
    shutil.copytree(tmp_path, tmp_path / "again")
    x = np.arange(-4, 4) / 2
    for y in stored(tmp_path, in_portions, backend="numpy"):
        np.testing.assert_allclose(y, x * x + np.maximum(x, 0), atol=1e-3)
    for stop in (2, 4):
        shutil.copytree(tmp_path / "again", tmp_path / str(stop))
        with pytest.raises(Killed):
            stored(tmp_path / str(stop), in_portions, backend="numpy", args=(stop,))
        with pytest.raises(StoreError, match="used by a run"):
            stored(tmp_path / str(stop), in_portions, backend="numpy")


def test_another_setting_of_memory_asks_for_other_lists(tmp_path):
    fill(tmp_path, listed(tmp_path, in_portions, False, backend="numpy"), kind=LikeLattice)

    def whole(session):
        x = session.secret(np.arange(-4, 4) / 2, owner=0)
        return session.reveal((x * x).relu() + x.relu())

    with pytest.raises(Mismatch, match="--memory"):
        stored(tmp_path, whole, backend="numpy")


def test_a_value_that_is_opened_under_the_key_uses_it_up(tmp_path):
    fill(tmp_path, listed(tmp_path, regression, False, backend="numpy"), kind=LikeLattice)
    (two, _) = stored(tmp_path, lambda s: s.reveal(SecretArray(s.arithmetic, s.arithmetic.public(np.full(1, 2.0)))))
    assert two == [2.0]
    with pytest.raises(StoreError, match="used by a run"):
        stored(tmp_path, regression, backend="numpy")


def test_another_script_is_refused_and_leaves_the_store(tmp_path):
    def longer(session):
        session.secret(np.zeros(4), owner=0)
        return regression(session)

    fill(tmp_path, listed(tmp_path, regression, False, backend="numpy"), kind=LikeLattice)
    with pytest.raises(Mismatch, match=r"list 1 of .* the script, its arguments"):
        stored(tmp_path, lambda session: session.reveal(session.secret(np.ones(2), owner=0)), backend="numpy")
    assert len(list(tmp_path.glob("*/head"))) == 2
    stored(tmp_path, regression, backend="numpy")


def test_a_session_that_failed_burns_it(tmp_path):
    fill(tmp_path, listed(tmp_path, regression, False, backend="numpy"), kind=LikeLattice)

    def more(session):
        regression(session)
        return regression(session)

    with pytest.raises(Mismatch):
        stored(tmp_path, more, backend="numpy")
    assert sorted(p.name for p in tmp_path.glob("[01]/*")) == ["used", "used"]


@pytest.mark.parametrize("group", [1, 1000])
def test_lists_that_are_made_some_at_a_time(group, tmp_path):
    fill(tmp_path, listed(tmp_path, regression, False, backend="numpy"), kind=LikeLattice, group=group)
    assert stored(tmp_path, regression, backend="numpy")[1] is not None
