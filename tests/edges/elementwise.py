"""Operations on one number and on two."""

from functools import partial

import torch
import torch.nn.functional as F
from rows import ALMOST, ENDS, EXACT, MOST, POSITIVE, SMALL, UNIT, each, row, t

# One number.

each(
    {
        "neg": lambda x: -x,
        "positive": lambda x: +x,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "gelu": F.gelu,
        "gelu, tanh": lambda x: F.gelu(x, approximate="tanh"),
        "silu": F.silu,
        "mish": F.mish,
        "softplus": F.softplus,
        "softplus, beta 0.01": lambda x: F.softplus(x, beta=0.01),
        "logsigmoid": F.logsigmoid,
        "elu": F.elu,
        "celu": F.celu,
        "celu, alpha 100": lambda x: F.celu(x, 100.0) * 0.01,
        "tanhshrink": F.tanhshrink,
        "erf of a part": lambda x: torch.erf(x / 100),
        "half": lambda x: x / 2,
        "a tenth": lambda x: x * 0.1,
        "by a public number": lambda x: x / 3.0,
        "rsub": lambda x: 1.0 - x / 2,
        "rsub, alpha": lambda x: torch.rsub(x / 2, 1.0, alpha=-1),
        "mean of itself": lambda x: torch.stack([x, x]).mean(0),
    },
    ENDS,
)
each(
    {
        "abs": torch.abs,
        "elu, alpha 0.1": lambda x: F.elu(x, 0.1),
        "selu": lambda x: F.selu(x / 2) * 1.5,
        "hardtanh": F.hardtanh,
        "relu6": F.relu6,
        "hardsigmoid": F.hardsigmoid,
        "softshrink": F.softshrink,
        "hardshrink": F.hardshrink,
        "softsign": F.softsign,
        "relu": F.relu,
        "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
        "leaky_relu in place": lambda x: F.leaky_relu(x * 1, 0.1, inplace=True),
        "elu in place": lambda x: F.elu(x * 1, 1.5, inplace=True) / 2,
        "threshold": lambda x: F.threshold(x, 0.25, 20.0),
        "clamp": lambda x: x.clamp(-100, 0.25),
        "clamp to the ends": lambda x: x.clamp(-4095, 4095),
        "clamp_min": lambda x: x.clamp_min(0.25),
        "clamp_max": lambda x: x.clamp_max(-0.25),
        "exp2 of what is negative": lambda x: torch.exp2(-x.abs()),
        "power of a public number": lambda x: torch.pow(50.0, -x.abs()),
        "power of a small public number": lambda x: torch.pow(0.01, x.abs()),
        "exp of what is negative": lambda x: torch.exp(-x.abs()),
        "expm1 of what is negative": lambda x: torch.expm1(-x.abs()),
        "frac": torch.frac,
    },
    ENDS,
    kinks=True,
)
each(
    {
        "erf": torch.erf,
        "erfc": torch.erfc,
    },
    ENDS,
    gradient=False,
)
each(
    {
        "exp": torch.exp,
        "exp2": torch.exp2,
        "expm1": torch.expm1,
        "square": torch.square,
        "cube": lambda x: x**3,
        "power of a public number that fits": lambda x: torch.pow(2.5, x),
    },
    SMALL,
)
each(
    {
        "floor": torch.floor,
        "ceil": torch.ceil,
        "trunc": torch.trunc,
        "round": lambda x: (x + 0.125).round(),
        "sign": torch.sign,
        "sgn": torch.sgn,
        "to whole": lambda x: x.long(),
        "to bool": lambda x: x.bool(),
        "isnan": torch.isnan,
        "isinf": torch.isinf,
        "isposinf": torch.isposinf,
        "isneginf": torch.isneginf,
        "isfinite": torch.isfinite,
        ">": lambda x: x > 0,
        ">=": lambda x: x >= MOST,
        "<": lambda x: x < -4000,
        "<=": lambda x: x <= UNIT,
        "==": lambda x: x == -MOST,
        "!=": lambda x: x != 0,
        "> beyond": lambda x: x > 1e6,
        "zeros_like": torch.zeros_like,
        "ones_like": torch.ones_like,
        "full_like": lambda x: torch.full_like(x, 7.0),
        "new_zeros": lambda x: x.new_zeros(3),
        "new_ones": lambda x: x.new_ones(3),
        "new_full": lambda x: x.new_full((3,), 7.0),
    },
    ENDS,
    gradient=False,
    within=EXACT,
    absolute=EXACT,
)
each(
    {
        "sqrt": torch.sqrt,
        "log": torch.log,
        "log2": torch.log2,
        "log10": torch.log10,
        "log1p": torch.log1p,
        "root of the cube": lambda x: (x / 64) ** 1.5,
        "power that is no half": lambda x: x**0.7,
    },
    POSITIVE,
    gradient=False,
    absolute=2.0**-8,
)
each(
    {
        "reciprocal": torch.reciprocal,
        "rsqrt": torch.rsqrt,
        "power -1/2": lambda x: x**-0.5,
        "power -1": lambda x: x**-1.0,
    },
    POSITIVE[POSITIVE > 2.0**-10],
    gradient=False,
)

row("a clamp that never clamps", lambda x: F.gelu(x.clamp(-1e6, 1e5)).abs(), SMALL, absolute=2.0**-11, gradient=False)
row(
    "a clamp that always clamps",
    lambda x: torch.sigmoid(x.clamp(min=1e6)) + (x.clamp(max=-1e6) > 0),
    SMALL,
    gradient=False,
)
row("hardswish", F.hardswish, ALMOST, kinks=True)
row("softplus, beta 10", lambda x: F.softplus(x, beta=10), ALMOST)
row("softplus, beta 1000", lambda x: F.softplus(x, beta=1000), ALMOST)
row("celu, alpha 0.1", lambda x: F.celu(x, 0.1), ALMOST)
row("celu, alpha 0.001", lambda x: F.celu(x, 0.001), ALMOST)
# Two numbers.

FIRST, SECOND = (x.reshape(-1) for x in torch.meshgrid(ENDS, ENDS, indexing="ij"))
each(
    {
        "maximum": torch.maximum,
        "minimum": torch.minimum,
        "fmax": torch.fmax,
        "fmin": torch.fmin,
        "max of two": torch.max,
        "min of two": torch.min,
        "half a sum": lambda x, y: x / 2 + y / 2,
        "sub, alpha": lambda x, y: torch.sub(x / 2, y, alpha=0.5),
        "lerp": lambda x, y: torch.lerp(x, y, 0.25),
        "clamp by a tensor": lambda x, y: x.clamp(min=y),
        "clamp_max by a tensor": lambda x, y: x.clamp(max=y),
        "where": lambda x, y: torch.where(x > y, x, y),
    },
    FIRST,
    SECOND,
    gradient=False,
)
each(
    {
        "greater": lambda x, y: x > y,
        "not less": lambda x, y: x >= y,
        "less": lambda x, y: x < y,
        "not greater": lambda x, y: x <= y,
        "equal": lambda x, y: x == y,
        "not equal": lambda x, y: x != y,
    },
    FIRST,
    SECOND,
    gradient=False,
    within=EXACT,
    absolute=EXACT,
)
row("lerp by a tensor", torch.lerp, ENDS, ENDS.flip(0), t(*[0.25] * 13), gradient=False)
row("mul", torch.mul, ENDS, t(1, 1, 1, 1, 1, MOST, -MOST, 2000, 1000, 45, 45, 2, 2))
row("products of the smallest", torch.mul, t(UNIT, -UNIT, 2.0**-8), t(16, -8, 2.0**-4), gradient=False)
row("div", torch.div, ENDS, t(MOST, MOST, 1, 1, UNIT, 2.0**-10, 3, -7, 0.25, 45, 45, 2, 0.5), gradient=False)
row("public by secret", lambda y: 1000.0 / y, t(1, MOST, -3, 0.3, -0.3), gradient=False)
row("xlogy", torch.xlogy, t(0, 1, 300, -300), t(MOST, UNIT, MOST, UNIT), gradient=False, absolute=2.0**-6)
row("power of tensors", torch.pow, POSITIVE, t(1, 0.5, -0.5, 1, 12, -20, 3, 5, -1, 1), gradient=False, within=2.0**-7)
row("a power that vanishes", torch.pow, t(0.5, 0.9, MOST, 2), t(MOST, 2000, -MOST, -100), gradient=False)
row(
    "addcdiv",
    lambda x, y, z: torch.addcdiv(x, y, z, value=0.001),
    t(1, -1, 0, 7, -4000, 3),
    t(4000, 4000, UNIT, 0, MOST, 30),
    t(0.5, MOST, 1, 1, 34 * UNIT, 0.25),
    gradient=False,
)
for factor, numerators, denominators in (
    (1.0, t(3, -3, 8000 * UNIT, UNIT), t(UNIT * 100, MOST, 2.0**-4, 1)),
    (3000.0, t(UNIT, 1, 2.5, 0), t(1, 1000, -3, 7)),
    (1e6, t(UNIT, 1, -UNIT, 0), t(1, 1000, 3, 7)),
    (-1e-5, t(MOST, 1, -100, UNIT), t(2.0**-6, 2.0**-10, 2.0**-12, UNIT)),
    (1e-9, t(MOST, 1, -MOST, 5), t(UNIT, 1000, -3 * UNIT, UNIT)),
):
    row(
        f"addcdiv, {factor:g}",
        partial(torch.addcdiv, value=factor),
        *(t(0, 1, -3, 100), numerators, denominators),
        gradient=False,
    )
row(
    "addcdiv, of public numbers",
    lambda x, y: [
        torch.addcdiv(x, y, t(0.5, MOST, 2.0**-8), value=0.001),
        torch.addcdiv(x, t(4000, 4000, 1), y, value=0.001),
        torch.addcdiv(t(0, 1, -4000), x, y, value=0.1),
    ],
    t(1, -1, -3.5),
    t(MOST, 1, -0.5),
    gradient=False,
)
row(
    "addcmul",
    lambda x, y, z: torch.addcmul(x, y, z, value=0.001),
    t(1, -1, 0),
    t(4000, UNIT, 1000),
    t(900, MOST, -4000),
    gradient=False,
)
for factor, ys, zs in (
    (4000.0, t(100, UNIT, 1), t(0.001, 1000, 0.5)),
    (1e6, t(1, UNIT, 7 * UNIT), t(0.001, 100, -25)),
    (-3.0, t(2000, MOST, -45), t(0.5, UNIT, 30)),
    (1e-6, t(MOST, 1, UNIT), t(MOST, MOST, MOST)),
):
    row(
        f"addcmul, {factor:g}",
        partial(torch.addcmul, value=factor),
        *(t(0, 1, -100), ys, torch.round(zs / UNIT) * UNIT),
        gradient=False,
    )
row(
    "addcmul of a square",
    lambda x, y: torch.addcmul(x, y, y, value=0.001),
    t(1, 1, 0, 0),
    t(1900, UNIT, -1, 0),
    gradient=False,
)
