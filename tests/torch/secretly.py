"""The same function on secrets and in the clear: PyTorch itself is the oracle."""

import copy

import torch

import tacit
from tacit.torch import is_secret, plain


def together(function, parties=2, protocol="clear", **options):
    """function(session) as every party; the result that all of them got."""
    results = tacit.run(function, parties=parties, protocol=protocol, backend="torch", **options)
    for other in results[1:]:
        same(other, results[0])
    return results[0]


def same(x, y, tolerance=0.0):
    if isinstance(x, torch.Tensor):
        assert x.shape == y.shape
        torch.testing.assert_close(x, y, rtol=tolerance, atol=tolerance)
    elif isinstance(x, list | tuple):
        assert len(x) == len(y)
        for a, b in zip(x, y, strict=True):
            same(a, b, tolerance)
    else:
        assert x == y


def shown(session, x):
    """Everything secret in lists of tensors, revealed; public tensors as they are."""
    if isinstance(x, list | tuple):
        return [shown(session, y) for y in x]
    if is_secret(x):
        (values,) = session.arithmetic.reveal([session.number(x)])
        return plain(values, x.dtype)
    return x.detach() if isinstance(x, torch.Tensor) else x


def secrets(session, tensors, grad=False):
    """Each tensor as a secret, of the parties in turn."""
    made = [session.secret(t.detach().numpy(), owner=i % session.parties) for i, t in enumerate(tensors)]
    return [m.requires_grad_() for m in made] if grad else made


def draw(*shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*s, generator=generator) for s in shapes]


def fresh(module):
    return copy.deepcopy(module)
