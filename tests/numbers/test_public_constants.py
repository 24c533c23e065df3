"""Public constants of every magnitude: what comes out is what NumPy and torch give, or it is refused, in every protocol alike.

"Is": each entry right to 2^-9 relatively, or to three units in the last place of the format. A refusal is an error of tacit.
"""

import numpy as np
import pytest

import tacit

torch = pytest.importorskip("torch")
F = torch.nn.functional
PROTOCOLS = {"clear": 2, "spdz": 2, "shamir": 3}
RIGHT = "right"
EITHER = "right or refused"
REFUSED = "refused"
FUNCTION = 2.0**-12
"""What functions are right to (docs/functions.md)."""


def outcome(function, values, protocol, **options):
    def work(session):
        secrets = [session.secret(v.numpy(), owner=i % session.parties) for i, v in enumerate(values)]
        return session.reveal(function(*secrets))

    try:
        return tacit.run(work, parties=PROTOCOLS[protocol], protocol=protocol, backend="torch", **options)[0]
    except tacit.TacitError as error:
        return error


def held(function, values, wanted, format=None, plain=None, places=0.0):
    format = format or tacit.Format()
    values = [torch.as_tensor(v, dtype=torch.float32) for v in values]
    # What a party enters is rounded to the format.
    entered = [torch.round(v.double() * 2.0**format.fraction) * 2.0**-format.fraction for v in values]
    right = (plain or function)(*entered)
    found = {p: outcome(function, values, p, format=format) for p in PROTOCOLS}
    refused = {p: isinstance(f, tacit.TacitError) for p, f in found.items()}
    assert len(set(refused.values())) == 1, found
    if wanted != EITHER:
        assert refused["clear"] == (wanted == REFUSED), found
    for got in found.values():
        if not isinstance(got, tacit.TacitError):
            torch.testing.assert_close(
                got.double(), right.double(), rtol=2.0**-9, atol=max(places, 3 * 2.0**-format.fraction), equal_nan=True
            )


def both(values):
    return torch.tensor(values, dtype=torch.float64)


# One entry beside others of any size.

LARGE, SMALL, SUB = 3000.0, 1e-4, 5e-324
ARRAYS = {
    "six decades": ([LARGE, 1.0, SMALL], [1 / 3000.0, 0.5, 1000.0]),
    "units": ([3600.0, 500.0, 0.5], [1 / 3600, 1e-3, 60.0]),
    "negative": ([LARGE, -1.0, SMALL], [-1 / 3000.0, -7e-5, -3.3]),
    "zeros": ([LARGE, 2.0, -1.0], [0.0, 1e-3, 300.0]),
    "subnormal": ([LARGE, 2.0, -1.0], [SUB, 1e-40, 0.3]),
    "all tiny": ([LARGE, 2.0, -1.0], [1e-30, 3e-31, -1e-29]),
    "whole": ([3.0, 2.0, -1.0], [1.0, 1000.0, 3.0]),
    "powers of two": ([3.0, 2.0, -1.0], [2.0**-14, 1024.0, -0.25]),
    "beyond the format": ([1e-3, 2e-3, -1e-3], [1e6, 8e5, -5e5]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_products_with_an_array(name):
    x, v = ARRAYS[name]
    held(lambda s: s * both(v), [x], RIGHT)


@pytest.mark.parametrize("name", [n for n in ARRAYS if n not in ("zeros", "subnormal", "all tiny")])
def test_quotients_by_an_array(name):
    x, v = ARRAYS[name]
    held(lambda s: s / (1 / both(v)), [x], RIGHT)


def test_products_go_on_exactly():
    """Entries keep their significant bits, not only the places of the format."""
    v = both([1e-3, 0.02, 7.0])
    held(lambda s: s * v * (1 / v), [[2.0, 3.0, -4.0]], RIGHT)
    held(lambda s: (s * v).sum() * 1e-2, [[1000.0, 2.0, 0.5]], RIGHT)
    held(lambda s: (s * s) * v, [[60.0, 2.0, 0.5]], RIGHT)


def test_numerators():
    held(lambda s: both([1000.0, 0.01]) / s, [[1000.0, 0.01]], RIGHT)
    held(lambda s: both([1e6, 1e-4, 1.0]) / s, [[1000.0, 0.5, 0.25]], EITHER)
    held(lambda s: both([1e15, 1e-15]) / s, [[1000.0, 0.5]], REFUSED)


@pytest.mark.parametrize("value", [3e-7, -0.1, 4095.0, 2.0**-40, 1e-300, 0.0])
def test_numbers_and_arrays_without_axes(value):
    held(lambda s: s * value, [[1.0, -0.5, 0.25]], RIGHT)
    held(lambda s: s * torch.tensor(value, dtype=torch.float64), [[1.0, -0.5, 0.25]], RIGHT)
    held(lambda s: s[0] * both([value, 1.0]), [[1.0, -0.5, 0.25]], RIGHT)


def test_arrays_that_the_field_does_not_hold_are_refused():
    """Both ends at once: 16 significant bits of each do not fit, and the secret may be large beside the small one."""
    held(lambda s: s * both([1e9, 1e-3]), [[1e-3, 3000.0]], REFUSED)
    for v in (np.inf, np.nan):
        held(lambda s, v=v: s * both([v, 1.0]), [[1.0, 1.0]], REFUSED)


def test_matrix_products_and_convolutions():
    w = both([[1 / 3600, 1e-3, 0.3], [1000.0, 60.0, -2e-3]])
    held(lambda s: s @ w, [[[3600.0, 0.01], [100.0, 0.5]]], RIGHT)
    held(lambda s: w.T @ s, [[[3600.0], [0.01]]], RIGHT)
    kernel = both([[[[1 / 3600, 1e-3]], [[100.0, -3.0]]]])
    image = torch.stack([torch.full((1, 3), 3000.0), torch.full((1, 3), 0.02)])[None]
    held(lambda s: F.conv2d(s, kernel), [image], RIGHT)
    held(lambda s: F.linear(s, w.T, both([0.5, 1e-3, 1000.0])), [[[3600.0, 0.01]]], RIGHT)


def test_public_standardisation_and_batch_norm():
    mean, deviation = both([2000.0, 0.02, 5.0]), both([900.0, 0.01, 1e-3])
    x = [[3100.0, 0.03, 5.002], [1400.0, 0.01, 4.999]]
    held(lambda s: (s - mean) / deviation, [x], RIGHT)
    norm = torch.nn.BatchNorm1d(3).eval()
    with torch.no_grad():
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(deviation**2)
    frozen = torch.nn.Sequential(norm).requires_grad_(False)
    held(lambda s: frozen(s), [x], RIGHT, plain=lambda s: frozen(s.float()))


def test_weights_of_classes():
    weight = torch.tensor([1e-3, 1.0, 50.0])

    def loss(reduction):
        return lambda s: F.cross_entropy(s, torch.tensor([0, 0, 1]), weight=weight.to(s.dtype), reduction=reduction)

    for reduction in ("mean", "sum", "none"):
        held(loss(reduction), [torch.eye(3) * 2], RIGHT)


# Factors and addends beyond the format.

X = [1.0, -0.5, 0.25, 0.0]
AFTERWARDS = {
    "> 5": lambda y: (y > 5).float(),
    "== 0": lambda y: (y == 0).float(),
    "relu": lambda y: torch.relu(y) * 1e-6,
    "clamp": lambda y: y.clamp(-1, 1),
    "sign": torch.sign,
    "sigmoid": torch.sigmoid,
    "softmax": lambda y: y.softmax(-1),
    "max": lambda y: y.max() * 1e-6,
    "sum": lambda y: y.sum() * 1e-6,
    "mean": lambda y: y.mean() * 1e-6,
    "+ 1": lambda y: (y + 1 > 5).float(),
    "twice": lambda y: (y + y > 5).float(),
    "cat": lambda y: (torch.cat([y, y * 2]) > 5).float(),
    "view": lambda y: (y.reshape(2, 2).t() > 5).float(),
    "times itself": lambda y: y * y * 1e-12,
    "variance": lambda y: y.std() * 1e-6,
    "layer norm": lambda y: F.layer_norm(y, (4,)),
    "softplus": lambda y: F.softplus(y) * 1e-6,
    "reciprocal": lambda y: 1 / (y + 2.0**18),
    "exp": lambda y: torch.exp(-y.abs()),
    "floor": lambda y: y.floor() * 1e-6,
}


@pytest.mark.parametrize("name", AFTERWARDS)
@pytest.mark.parametrize("factor", [1e6, 2.0**20, 5000.0])
def test_factors_beyond_the_format(name, factor):
    held(lambda s: AFTERWARDS[name](s * factor), [X], EITHER, places=FUNCTION)


def test_factors_beyond_the_format_are_mostly_right():
    for name in ("> 5", "clamp", "sigmoid", "softmax", "sum", "+ 1"):
        held(lambda s, name=name: AFTERWARDS[name](s * 1e6), [X], RIGHT, places=FUNCTION)
        held(lambda s, name=name: AFTERWARDS[name](s * both([1e6, 1e6, 1e6, 2e6])), [X], RIGHT, places=FUNCTION)


@pytest.mark.parametrize("addend", [-1e9, -1e4, -5000.0, 5000.0, 1e9])
def test_addends_beyond_the_format(addend):
    held(lambda s: ((s + addend) > 0).float(), [X], RIGHT)
    held(lambda s: (s + addend) - addend, [X], RIGHT)
    held(lambda s: torch.relu(s + addend) * 1e-9, [X], RIGHT)
    held(lambda s: (s + addend) * s, [X], EITHER)


def test_a_mask_times_a_secret():
    held(lambda s: (s + (s > 0.3).to(s.dtype) * -1e9).softmax(-1), [X], RIGHT, places=FUNCTION)
    held(lambda s: s.masked_fill(s > 0.3, -1e9).softmax(-1), [X], RIGHT, places=FUNCTION)
    held(lambda s: s.masked_fill(s > 0.3, -torch.inf).softmax(-1), [X], RIGHT, places=FUNCTION)


@pytest.mark.parametrize("format", [tacit.Format(16, 4), tacit.Format(24, 4), tacit.Format(12, 16)])
def test_other_formats(format):
    x = [4.0, 0.5, 1e-3]
    held(lambda s: s * both([1e-3, 0.5, 10.0]), [x], RIGHT, format)
    held(lambda s: (s * 1e5 > 5).float(), [x], RIGHT, format)
    held(lambda s: s / both([1e-2, 300.0, 1e-2])[[1, 0, 2]], [x], EITHER, format)


# The reference is as loud as the others are wrong.


@pytest.mark.parametrize(
    "function",
    [
        lambda s: (s * s > 5).float(),
        lambda s: torch.relu(s * s),
        lambda s: (s * s).max(),
        lambda s: torch.sigmoid(s * s * s),
    ],
)
def test_the_reference_refuses_what_left_its_contract(function):
    values = [torch.tensor([3000.0, 1.0])]
    assert isinstance(outcome(function, values, "clear"), tacit.OutOfRange)
