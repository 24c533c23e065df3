"""Secrets outlive their session: each party saves its part, and brings it to a later session of the same parties."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

import tacit
from tacit.fixed.saving import Saved

X = np.linspace(-4000, 4000, 12).reshape(3, 4)


def saved(parties=2, protocol="spdz"):
    def work(s):
        x = s.secret(X, owner=0)
        return pickle.dumps({"x": x, "parts": [x * x * 2.0**-12, 7]})

    return tacit.run(work, parties, protocol=protocol, tensors=False)


@pytest.mark.parametrize(("protocol", "parties"), [("spdz", 2), ("spdz", 3), ("clear", 2)])
def test_a_later_session_of_the_same_parties_restores_them(protocol, parties):
    files = saved(parties, protocol)

    def work(s):
        again = s.restore(pickle.loads(files[s.me]))
        return s.reveal(again["x"]), s.reveal(again["parts"][0] - again["x"]), again["parts"][1]

    for x, square, seven in tacit.run(work, parties, protocol=protocol, tensors=False):
        np.testing.assert_allclose(x, X, atol=1e-4)
        np.testing.assert_allclose(square, X * X / 4096 - X, atol=1e-3)
        assert seven == 7


def test_what_a_party_keeps_is_uniform():
    parts = [pickle.loads(file)["x"] for file in saved()]
    values = [np.frombuffer(p.values, np.uint64) for p in parts]
    tags = [np.frombuffer(p.tags, np.uint64) for p in parts]
    for words in (*values, *tags):
        assert len(np.unique(words >> np.uint64(50))) > 6
    assert parts[0].key != parts[1].key


def altered(file, name):
    part = pickle.loads(file)["x"]
    words = np.frombuffer(getattr(part, name), np.uint64).copy()
    words[0] ^= np.uint64(2)
    return replace(part, **{name: words.tobytes()})


@pytest.mark.parametrize("name", ["values", "tags", "key"])
def test_a_party_that_brings_something_else_is_found_before_anything_is_revealed(name):
    files = saved()

    def work(s):
        part = altered(files[1], name) if s.me == 1 else pickle.loads(files[0])["x"]
        with pytest.raises(tacit.CheatingDetected, match="other shares"):
            s.restore(part)
        with pytest.raises(tacit.TacitError):
            s.reveal(s.secret(X, owner=0))
        return True

    # both parties fail in the same way; the session of neither goes on
    with pytest.raises(tacit.TacitError):
        tacit.run(work, 2, tensors=False, timeout=10)


def test_shares_of_different_saves_or_parties_do_not_fit():
    first, second = saved(), saved()

    def mixed(s):
        s.restore(pickle.loads((first if s.me else second)[s.me])["x"])

    def swapped(s):
        s.restore(pickle.loads(first[1 - s.me])["x"])

    def damaged(s):
        part = pickle.loads(first[s.me])["x"]
        s.restore(replace(part, values=part.values[:-8]))

    with pytest.raises(tacit.Mismatch):
        tacit.run(mixed, 2, tensors=False, timeout=10)
    with pytest.raises(tacit.BadInput, match="saved by party"):
        tacit.run(swapped, 2, tensors=False, timeout=10)
    with pytest.raises(tacit.BadInput, match="damaged"):
        tacit.run(damaged, 2, tensors=False, timeout=10)


def test_a_state_dict(tmp_path):
    torch = pytest.importorskip("torch")

    plain = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))
    fresh = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 1))

    def save(s):
        secret = s.share(copy.deepcopy(plain), owner=1)
        torch.save(secret.state_dict(), tmp_path / f"{s.me}.pt")
        with pytest.raises(tacit.Unsupported, match="state_dict"):
            torch.save(secret, tmp_path / "whole.pt")

    def load(s):
        other = s.share(copy.deepcopy(fresh))
        loaded = torch.load(tmp_path / f"{s.me}.pt", weights_only=False)
        assert all(isinstance(v, Saved) for v in loaded.values())
        other.load_state_dict(s.restore(loaded))
        return {k: v.detach() for k, v in s.reveal(other).state_dict().items()}

    tacit.run(save, 2, tensors=True)
    for state in tacit.run(load, 2, tensors=True):
        for name, value in plain.state_dict().items():
            torch.testing.assert_close(state[name], value, atol=1e-4, rtol=0)
