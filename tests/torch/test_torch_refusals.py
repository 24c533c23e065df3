"""What is refused says so: by name, and with what to use instead. Nothing shows a value but reveal."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from secretly import draw, secrets, together
from torch import nn

from tacit.errors import Unsupported

X = draw((3, 4))[0]

SHOWING = {
    "bool": lambda x: bool(x.sum() > 0),
    "if": lambda x: 1 if x.sum() else 2,
    "float": lambda x: float(x.sum()),
    "int": lambda x: int(x.sum()),
    "complex": lambda x: complex(x.sum()),
    "index": lambda x: [1, 2][x.sum()],
    "item": lambda x: x.sum().item(),
    "tolist": lambda x: x.tolist(),
    "numpy": lambda x: x.detach().numpy(),
    "asarray": lambda x: np.asarray(x),
    "dlpack": lambda x: x.__dlpack__(),
    "from dlpack": lambda x: np.from_dlpack(x),
    "format": lambda x: f"{x.sum():.3f}",
    "contains": lambda x: 1.0 in x,
    "equal": lambda x: torch.equal(x, x),
    "nonzero": lambda x: x.nonzero(),
    "parameter": lambda x: F.conv2d(x.reshape(1, 1, 3, 4), x[:2, :2].reshape(1, 1, 2, 2)).sum().item(),
}

NAMED = {
    "aten.sort": lambda x: x.sort(),
    "x != 0": lambda x: torch.where(x, x, x),
    "x != 0 ": lambda x: x.logical_and(x > 0),
    "aten.mm": lambda x: (x > 0) @ (x > 0).t(),
    "aten.sin": lambda x: x.sin(),
    "aten.atan2": lambda x: torch.atan2(x, x),
    "aten.erfinv": lambda x: x.erfinv(),
    "aten._weight_norm_interface": lambda x: torch._weight_norm(x, x[:, :1]),
    "aten.bernoulli": lambda x: torch.bernoulli(x),
    "aten.convolution": lambda x: F.conv2d(x.reshape(1, 1, 3, 4), torch.ones(1, 1, 2, 2), dilation=2),
    "aten._to_copy": lambda x: x.byte(),
    "aten.normal": lambda x: nn.init.normal_(x),
    "aten.index": lambda x: torch.ones(3)[x.double()],
    "expanded": lambda x: x[0].expand(2, 4).zero_(),
}


RANDOM = {
    "randn_like": torch.randn_like,
    "rand_like": torch.rand_like,
    "randint_like": lambda x: torch.randint_like(x, 5),
    "of a detached one": lambda x: torch.randn_like(x.detach()),
    "of a view": lambda x: torch.rand_like(x[0]),
    "of what is public beside it": lambda x: torch.randn_like(torch.ones_like(x)),
    "bernoulli": torch.bernoulli,
    "bernoulli of a chance": lambda x: x.bernoulli(0.5),
    "bernoulli in place": lambda x: x.bernoulli_(0.5),
    "bernoulli of secret chances in place": lambda x: torch.empty_like(x).bernoulli_(x),
    "normal in place": lambda x: x.normal_(),
    "normal in a new place": lambda x: x.new_empty(3).normal_(),
    "normal of a secret mean": lambda x: torch.normal(x, 1.0),
    "normal of a secret deviation": lambda x: torch.normal(0.0, x),
    "uniform": lambda x: x.uniform_(),
    "random": lambda x: x.random_(),
    "exponential": lambda x: x.exponential_(),
    "geometric": lambda x: x.geometric_(0.5),
    "cauchy": lambda x: x.cauchy_(),
    "log_normal": lambda x: x.log_normal_(),
    "poisson": torch.poisson,
    "binomial": lambda x: torch.binomial(x, x),
    "gamma": torch._standard_gamma,
    "multinomial": lambda x: torch.multinomial(x, 2),
    "rrelu": lambda x: torch.rrelu(x, training=True),
    "gumbel": F.gumbel_softmax,
    "init": nn.init.xavier_uniform_,
}


@pytest.mark.quick()
@pytest.mark.parametrize("name", RANDOM)
def test_random_numbers_like_a_secret_are_not_public(name):
    def work(s):
        (x,) = secrets(s, [X])
        with pytest.raises(Unsupported, match=r"session\.random"):
            RANDOM[name](x)
        return 0

    together(work, 1)


@pytest.mark.quick()
@pytest.mark.parametrize("name", SHOWING)
def test_nothing_shows_a_value(name):
    def work(s):
        (x,) = secrets(s, [X])
        with pytest.raises((Unsupported, IndexError), match=r"reveal|index"):
            SHOWING[name](x)
        return 0

    together(work, 1)


@pytest.mark.quick()
@pytest.mark.parametrize("name", NAMED)
def test_refusals_name_the_operation(name):
    def work(s):
        (x,) = secrets(s, [X])
        with pytest.raises((Unsupported, IndexError), match=name.strip().removeprefix("aten._foreach_")) as refused:
            NAMED[name](x)
        return str(refused.value)

    message = together(work, 1)
    assert len(message) > 60 or name == "aten.index"
    assert "\n" not in message


def test_print_shows_the_shape_only():
    def work(s):
        (x,) = secrets(s, [X])
        s.reveal(x)
        return [repr(x), str(x), f"{x}", repr(nn.Parameter(x)), repr([x.requires_grad_()])]

    for text in together(work, 1):
        assert "(3, 4)" in text and "." not in text.replace("torch.float32", "")


@pytest.mark.parametrize(
    "write",
    [
        lambda p, x: p.add_(x),
        lambda p, x: p.copy_(x),
        lambda p, x: p.__setitem__(0, x[0]),
        lambda p, x: p.__setitem__(torch.tensor([0]), x[:1]),
        lambda p, x: p.addcmul_(x, x),
        lambda p, x: torch.add(x, x, out=p),
        lambda p, x: torch._foreach_add_([p], [x]),
    ],
)
def test_secrets_are_not_written_into_public_tensors(write):
    def work(s):
        (x,) = secrets(s, [X])
        with pytest.raises(Unsupported, match="public tensor"):
            write(torch.zeros(3, 4), x)
        return 0

    together(work, 1)


def test_a_public_model_cannot_be_trained_on_secret_data():
    model = nn.Linear(4, 1)

    def work(s):
        (x,) = secrets(s, [X])
        optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
        model(x).sum().backward()
        with pytest.raises(Unsupported, match=r"session\.share"):
            optimiser.step()
        return 0

    together(work, 1)


def test_sessions_do_not_mix():
    kept = []

    def first(s):
        kept.extend(secrets(s, [X]))

    def second(s):
        (x,) = secrets(s, [X])
        for mixed in (
            lambda: x + kept[0],
            lambda: x @ kept[0].t(),
            lambda: torch.cat([x, kept[0]]),
            lambda: x.add_(kept[0]),
        ):
            with pytest.raises(Unsupported, match="different sessions"):
                mixed()

    together(first, 1)
    together(second, 1)


def test_modules_that_cannot_be_shared():
    def work(s):
        with pytest.raises(Unsupported, match="lazy"):
            s.share(nn.LazyLinear(2), owner=0)
        return 0

    together(work, 1)


def test_no_pickling_and_no_data_of_another_kind():
    def work(s):
        (x,) = secrets(s, [X])
        with pytest.raises(Unsupported, match="state_dict"):
            pickle.dumps(nn.Parameter(x))
        with pytest.raises(Unsupported, match=r"\.data"):
            x.data = torch.zeros(3, 4)
        with pytest.raises(Unsupported, match="leaves"):
            copy.deepcopy(x.requires_grad_() * 2)
        return 0

    together(work, 1)
