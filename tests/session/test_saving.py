"""Secrets outlive their session: each party saves its part, and brings it to a later session of the same parties."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

import tacit
from tacit import _core, field
from tacit.field import P
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


def shifted(part, by, tags_by):
    """The first value of `part` and its tag, altered."""
    words = {name: np.frombuffer(getattr(part, name), np.uint64).copy() for name in ("values", "tags")}
    for name, d in (("values", by), ("tags", tags_by)):
        words[name][0] = (int(words[name][0]) + d) % P
    return replace(part, **{name: array.tobytes() for name, array in words.items()})


def test_a_restoring_that_failed_does_not_show_the_key():
    """Else the party that made it fail could alter its part and the tags alike when the same files are brought again."""
    parts = [pickle.loads(file)["x"] for file in saved()]
    shown = []

    def fails(s):
        reveal = s.engine.reveal

        def watched(wires, *rest, **more):
            values = reveal(wires, *rest, **more)
            shown.extend(values if s.me == 1 else [])
            return values

        s.engine.reveal = watched
        s.restore(shifted(parts[1], 1, 0) if s.me else parts[0])

    with pytest.raises(tacit.CheatingDetected, match="other shares"):
        tacit.run(fails, 2, tensors=False, timeout=10)
    *_, seed, z = shown
    chi = _core.Prg(np.packbits(seed.astype(np.uint8)).tobytes(), 0).field(X.size)
    key = -int(z.item()) * pow(int(chi[0]), -1, P) % P  # what z would be, opened as it is: - beta chi_0
    assert key != sum(int.from_bytes(p.key, "little") for p in parts) % P

    def again(s):
        s.restore(shifted(parts[1], 1 << 16, key << 16) if s.me else parts[0])

    with pytest.raises(tacit.CheatingDetected, match="other shares"):
        tacit.run(again, 2, tensors=False, timeout=10)


def test_nothing_is_saved_before_it_is_checked():
    """What was computed from an altered opening must not become a file: its tags can be made to fit."""
    kept = {}

    def work(s):
        x = s.secret(X, owner=0) * s.secret(X, owner=1)
        if s.me == 1:
            opened = s.engine.protocol.open
            s.engine.protocol.open = lambda share: opened((field.add(share[0], np.ones_like(share[0])), share[1]))
        kept[s.me] = pickle.dumps(x)

    with pytest.raises(tacit.CheatingDetected, match="MAC check"):
        tacit.run(work, 2, tensors=False, timeout=10, format=tacit.Format(8, 12))
    assert not kept


def test_empty_values_and_nothing_at_all():
    def work(s):
        files = pickle.dumps([s.secret(np.zeros((0, 3)), owner=0), s.secret(2.5, owner=1)])
        empty, number = s.restore(pickle.loads(files))
        return s.reveal(empty).shape, s.reveal(number), s.restore({"step": 3})

    for shape, number, rest in tacit.run(work, 2, tensors=False):
        assert (shape, number, rest) == ((0, 3), 2.5, {"step": 3})


def test_shares_of_different_saves_or_parties_do_not_fit():
    first, second = saved(), saved()

    def mixed(s):
        s.restore(pickle.loads((first if s.me else second)[s.me])["x"])

    def twice(s):
        s.restore(pickle.loads(first[0])["x"])

    def several(s):
        s.restore([pickle.loads(first[s.me])["x"], pickle.loads(first[1 - s.me])["x"]])

    def damaged(s):
        part = pickle.loads(first[s.me])["x"]
        s.restore(replace(part, values=part.values[:-8]))

    with pytest.raises(tacit.Mismatch):
        tacit.run(mixed, 2, tensors=False, timeout=10)
    with pytest.raises(tacit.BadInput, match="shares of parties 0, 0 of 2"):
        tacit.run(twice, 2, tensors=False, timeout=10)
    with pytest.raises(tacit.BadInput, match="saved by party"):
        tacit.run(several, 2, tensors=False, timeout=10)
    with pytest.raises(tacit.BadInput, match="damaged"):
        tacit.run(damaged, 2, tensors=False, timeout=10)


@pytest.mark.parametrize("protocol", ["spdz", "shamir"])
def test_all_parts_in_any_order_under_any_protocol(protocol):
    files = saved(3)

    def work(s):
        return s.reveal(s.restore(pickle.loads(files[2 - s.me])["x"]))

    for x in tacit.run(work, 3, tensors=False, protocol=protocol):
        np.testing.assert_allclose(x, X, atol=1e-4)


def test_fewer_parties_than_saved_it():
    files = saved(3)

    def work(s):
        s.restore(pickle.loads(files[s.me])["x"])

    with pytest.raises(tacit.BadInput, match="3 of the 3 parties that saved this"):
        tacit.run(work, 2, tensors=False, timeout=10)


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
