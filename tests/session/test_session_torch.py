"""Sessions of scripts that use torch."""

import copy

import numpy as np
import pytest

import tacit
from tacit.sessions.session import Session

torch = pytest.importorskip("torch")


def test_secrets_are_tensors_if_torch_is_there():
    def script(s: Session):
        x = s.secret(torch.arange(3.0), owner=1)
        assert isinstance(x, torch.Tensor)
        r = s.random((2,))
        assert isinstance(r, torch.Tensor)
        shown = s.reveal([x, x.sum(), r], to=0)
        return shown

    first, second = tacit.run(script, 2)
    assert second == [None] * 3
    assert torch.equal(first[0], torch.arange(3.0)) and first[1].shape == () and first[1] == 3


def test_a_module_is_shared_trained_and_revealed():
    x = np.random.default_rng(0).normal(size=(12, 3))

    def script(s: Session):
        own = torch.nn.Linear(3, 1)  # the parties' own differ: party 1's counts
        module = s.share(copy.deepcopy(own), owner=1)
        optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
        target = torch.ones(12, 1)
        for xb, yb in s.batches(s.secret(x, owner=0), target, batch_size=4, shuffle=False):
            loss = torch.nn.functional.mse_loss(module(xb), yb)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return own, s.reveal(module, to=0)

    (_, opened), (own, nothing) = tacit.run(script, 2)
    assert nothing is None
    optimiser = torch.optim.SGD(own.parameters(), lr=0.1)
    for i in range(3):
        part = torch.from_numpy(x[4 * i : 4 * i + 4]).float()
        loss = torch.nn.functional.mse_loss(own(part), torch.ones(4, 1))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.testing.assert_close(opened.weight, own.weight, atol=2e-3, rtol=0)
    torch.testing.assert_close(opened.bias, own.bias, atol=2e-3, rtol=0)


def test_a_parameter_out_of_range_is_not_shown_to_the_others():
    seen = []

    def script(s: Session):
        own = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(own.weight, 98765.0)
        try:
            s.reveal(s.share(own, owner=1))
        except tacit.TacitError as error:
            seen.append((s.me, str(error)))
            raise

    with pytest.raises(tacit.OutOfRange, match="98765"):
        tacit.run(script, 2)
    assert all("98765" not in text for me, text in seen if me == 0) and len(seen) == 2
