"""Public numbers of one party: the same at all, or nothing."""

from dataclasses import replace

import numpy as np
import pytest

import tacit
from tacit.transport.channel import Around

C = np.exp(np.linspace(-1, 0, 512, dtype=np.float32))


def own(s):
    """What each party computes: the last place differs."""
    return C if s.me == 0 else np.nextafter(C, np.float32(2))


@pytest.mark.parametrize(("protocol", "parties"), [("spdz", 2), ("spdz", 3), ("shamir", 3), ("clear", 2)])
def test_constants_of_one_party_serve_all(protocol, parties):
    def work(s):
        x = s.secret(np.ones(512), owner=0)
        c = s.public(own(s), owner=0)
        assert c.dtype == np.float32 and (c == C).all()
        return s.reveal((x * c).sum()), "public numbers of party 0" in s.report()

    for total, reported in tacit.run(work, parties, protocol=protocol, backend="numpy"):
        assert abs(total - C.sum()) < 1e-1 and reported


def test_a_mismatch_of_floats_says_what_it_may_be():
    def work(s):
        return s.reveal((s.secret(np.ones(512), owner=0) * own(s)).sum())

    with pytest.raises(tacit.Mismatch, match=r"versions.*CPU.*session\.public\(x, owner=0\)"):
        tacit.run(work, 2, backend="numpy", timeout=10)


VALUES = [
    2.5,
    3,
    True,
    np.arange(6).reshape(2, 3),
    np.zeros((0, 3)),
    np.float32(0.1),
    np.array([1.5, -2.5], ">f8"),
    np.array([True, False]),
    np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    [[1.0, 2.0]],
]


@pytest.mark.parametrize("place", range(len(VALUES)))
def test_numbers_arrays_and_tensors_come_as_they_are(place):
    torch = pytest.importorskip("torch")
    value = VALUES[place]

    def work(s):
        same = s.public(value if s.me == 1 else None, owner=1)
        tensor = s.public((lambda: torch.as_tensor(np.array(value, dtype="f4"))) if s.me == 0 else None, owner=0)
        return same, tensor

    for same, tensor in tacit.run(work, 2, backend="numpy"):
        assert type(same) is (type(value) if isinstance(value, bool | int | float) else np.ndarray)
        np.testing.assert_array_equal(same, value)
        assert isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float32
        np.testing.assert_array_equal(tensor.numpy(), np.array(value, dtype="f4"))


class Changed(Around):
    """Party 0 tells party 2 other numbers than party 1."""

    def _round(self, asked):
        if asked.where == "public" and 2 in asked.out and not asked.expect:
            whole = bytearray(b"".join(bytes(piece) for piece in asked.out[2]))
            whole[self.place] ^= 1
            asked = replace(asked, out={**asked.out, 2: [memoryview(bytes(whole))]})
        self._inner._round(asked)


@pytest.mark.parametrize("place", [-1, -20, 20])
def test_a_party_that_tells_others_different_numbers_is_found_by_all(place):
    def wrap(channel, me):
        if me:
            return channel
        changed = Changed(channel)
        changed.place = place
        return changed

    ended = {}

    def work(s):
        try:
            s.public(np.arange(8.0) if s.me == 0 else None, owner=0)
        except tacit.TacitError as error:
            ended[s.me] = error
            with pytest.raises(tacit.TacitError):
                s.reveal(s.secret(1.0, owner=0))
            raise

    with pytest.raises(tacit.TacitError):
        tacit.run(work, 3, protocol="shamir", backend="numpy", timeout=10, wrap=wrap)
    assert all(type(ended[i]) in (tacit.CheatingDetected, tacit.PeerStopped) for i in range(3))
    assert tacit.CheatingDetected in {type(error) for error in ended.values()}


def test_other_lines_and_wrong_values_are_refused():
    def another(s):
        if s.me:
            s.public(1.0, owner=0)
        else:
            s.public(2.0, owner=0)

    def nothing(s):
        s.public(None, owner=0)

    def objects(s):
        s.public(np.array([object()]), owner=0)

    def secret(s):
        s.public(s.secret(1.0, owner=0), owner=0)

    def entering(s):
        s.public(1.0, owner=0) if s.me else s.secret(1.0, owner=0)

    for script in (another, entering):
        with pytest.raises(tacit.Mismatch, match="different programs"):
            tacit.run(script, 2, backend="numpy", timeout=10)
    for script in (nothing, objects, secret):
        with pytest.raises(tacit.BadInput):
            tacit.run(script, 2, backend="numpy", timeout=10)
