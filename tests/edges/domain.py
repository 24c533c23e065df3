"""The table: every operation at the edges of its domain. A rule that is not reached from here fails `test_edges.py`.

A row is a function of tensors and the inputs to take it of; its oracle is PyTorch in float64. Inputs are multiples of 2^-16 below
2^12, the default format; so are the results of every row, whatever lies between.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

UNIT = 2.0**-16
MOST = 4096 - UNIT
EXACT = 2.0**-23
"""Of what is revealed as float32."""
WITHIN = 2.0**-9
"""Relative to 1 and to the value: twice what functions state, for roundings on the way."""


def t(*values: Any) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


ENDS = t(MOST, -MOST, 0, UNIT, -UNIT, 1, -1, 0.5, -2.5, 90.25, -90.25, 2000, -2000)
POSITIVE = t(MOST, UNIT, 2 * UNIT, 2.0**-8, 0.5, 1, 1 + UNIT, 3, 90.25, 2000)
ALMOST = t(4090, -4090, 0, UNIT, -UNIT, 1, -1, 0.5, -2.5, 90.25, -90.25, 2000, -2000)
SMALL = t(8, -8, 0, UNIT, -UNIT, 1, -1, 0.5, -2.5, 3.25, -3.25)
BITS = t(1, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 0, 1)
ROWS = t(
    [MOST, -MOST, 2000, -2000], [UNIT, -UNIT, 0, 0], [1, 2, 3, 4], [MOST, MOST, MOST, 4000], [-1000, 1000, -500, 500.5]
)
FAINT = t([0] * 4, [-(2.0**-8), 2.0**-8, 0, 2.0**-7], [0] * 4, [0] * 4, [0] * 4)
SOFT = t([MOST, -MOST, 2000, -2000], [UNIT, -UNIT, 0, 0], [1, 2, 3, 4], [MOST, MOST, MOST, 4000], [-3, 3, -0.5, 0.5])
BATCH = t(
    [1680, MOST, 0.25, -3], [1670, -MOST, 0.5, -3], [300, MOST, 0.125, -3], [278, 1, 0, -3], [400, -2000, 0.75, -3.5]
)
IMAGE = ROWS[:4].reshape(1, 1, 4, 4)
WAVE = ROWS.reshape(1, 4, 5)
LEFT, RIGHT = t([2000, 0.5], [-1000, 60]), t([1.5, -2], [UNIT, 64])
LABELS = torch.tensor([0, 3, 2, 1, 0])
EYE = torch.eye(4, dtype=torch.float64)


@dataclass(frozen=True)
class Row:
    """function(*inputs, *public): `inputs` are secret, of the parties in turn."""

    function: Callable[..., Any]
    inputs: tuple[torch.Tensor, ...]
    public: tuple[Any, ...] = ()
    within: float = WITHIN
    absolute: float | None = None
    gradient: bool = True
    slope: float = 1.0
    """The gradient that comes in."""
    gradient_within: float | None = None
    kinks: bool = False
    """The gradient jumps somewhere in [-1, 1], so that it is looked at outside."""


TABLE: dict[str, Row] = {}


def row(name: str, function: Callable[..., Any], *inputs: torch.Tensor, **options: Any) -> None:
    assert name not in TABLE, name
    TABLE[name] = Row(function, inputs, **options)


def running(x: torch.Tensor, mean: torch.Tensor, variance: torch.Tensor) -> list[torch.Tensor]:
    """What a batch norm gives while it learns, what it gives afterwards, and its statistics."""
    return [F.batch_norm(x, mean, variance, training=True), F.batch_norm(x, mean, variance), mean, variance]


def each(functions: dict[str, Callable[..., Any]], *inputs: torch.Tensor, **options: Any) -> None:
    for name, function in functions.items():
        row(name, function, *inputs, **options)


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
    t(1, -1, 0, 7),
    t(4000, 4000, UNIT, 0),
    t(1, MOST, 1, 1),
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
row(
    "addcmul of a square",
    lambda x, y: torch.addcmul(x, y, y, value=0.001),
    t(1, 1, 0, 0),
    t(1900, UNIT, -1, 0),
    gradient=False,
)

# Along axes.

each(
    {
        "softmax": lambda x: x.softmax(1),
        "softmax of the first axis": lambda x: x.softmax(0),
        "log_softmax": lambda x: (x / 2).log_softmax(1),
        "logsumexp": lambda x: (x / 1.001).logsumexp(1),
        "max along": lambda x: x.max(1).values,
        "min along": lambda x: x.min(1).values,
        "amin": lambda x: x.amin(0),
    },
    SOFT,
)
each(
    {
        "amax": lambda x: x.amax((0, 1)),
        "max of all": lambda x: x.max(),
        "min of all": lambda x: x.min(),
        "aminmax": lambda x: list(x.aminmax(dim=1)),
        "argmax": lambda x: x.argmax(1),
        "argmin": lambda x: x.argmin(1),
        "argmax of all": lambda x: x.argmax(),
        "any": lambda x: (x > 4000).any(),
        "any along": lambda x: (x > 4000).any(1),
        "any along two": lambda x: torch.any(x > 4000, (0, 1)),
        "all": lambda x: (x > -5000).all(),
        "all along": lambda x: (x > -1).all(0),
        "all along two": lambda x: torch.all(x > -5000, (0, 1)),
    },
    SOFT,
    gradient=False,
    within=EXACT,
    absolute=EXACT,
)
each(
    {
        "mean": lambda x: x.mean(1),
        "mean of all": lambda x: x.mean(),
        "layer norm": lambda x: F.layer_norm(x, (4,), t(1, 2, 0.5, -1), t(0, 1, 100, -100)),
        "layer norm of all": lambda x: F.layer_norm(x, (5, 4)),
        "group norm": lambda x: F.group_norm(x[:4].reshape(1, 4, 4), 2),
    },
    ROWS,
)
each(
    {
        "std": lambda x: x.std(1),
        "std of all": lambda x: x.std(),
        "std, no correction": lambda x: x.std(1, correction=0),
        "std_mean": lambda x: list(torch.std_mean(x, 1)),
        "normalize": lambda x: F.normalize(x + FAINT, dim=1),
        "normalize by sums": lambda x: F.normalize(x + FAINT, p=1.0, dim=1),
    },
    ROWS,
    gradient=False,
)
each(
    {
        "batch norm": lambda x: F.batch_norm(x, None, None, training=True),
        "instance norm": lambda x: F.instance_norm(x.t().reshape(1, 4, 5)),
    },
    BATCH,
)
each(
    {
        "sum": lambda x: x.sum(),
        "sum along": lambda x: x.sum(1),
        "cumsum": lambda x: x.cumsum(1),
        "norm": lambda x: x.norm(dim=1),
        "norm of all": lambda x: torch.linalg.vector_norm(x),
        "norm of sums": lambda x: x.norm(p=1, dim=1),
        "old norm": lambda x: torch.ops.aten.norm.Scalar(x, 2),
        "old norm along": lambda x: torch.ops.aten.norm.ScalarOpt_dim(x, 2, [1]),
    },
    t([2000, -1000, 500, 250], [UNIT, -UNIT, 0, 0], [1, 2, 3, -4]),
    gradient=False,
)
each(
    {
        "var": lambda x: x.var(1),
        "var_mean": lambda x: list(torch.var_mean(x, 1)),
    },
    t([MOST, MOST - 60, MOST - 30, MOST - 100], [UNIT, -UNIT, 0, 0], [50, -50, 50, -50], [-1, 1, 0, 2]),
)
row(
    "cosine similarity",
    lambda x, y: F.cosine_similarity(x, y, dim=1),
    ROWS - 2 * FAINT,
    (ROWS - 2 * FAINT).roll(1, 0).flip(1),
    gradient=False,
)
row(
    "pairwise distance",
    F.pairwise_distance,
    t([MOST, 1000], [-2000, 3]),
    t([2000, -1000], [-1999, 3.5]),
    gradient=False,
)
row("running", lambda x, m, v: running(x, m * 1.0, v * 1.0), BATCH[:, 2:], t(0, 0), t(1, 1), gradient=False)
row(
    "running, of the largest",
    lambda x, m, v: running(x, m * 1.0, v * 1.0)[:2],
    BATCH,
    t(0, 0, 0, 0),
    t(1, 1, 1, 1),
    gradient=False,
)
row("by given numbers", F.batch_norm, BATCH, t(MOST, 0, 0.5, -3), t(MOST, MOST, 2.0**-10, 4), gradient=False)
row(
    "batch norm of images",
    lambda x: F.batch_norm(x, None, None, t(1.0, 3), t(0.0, 5), True),
    torch.stack([IMAGE[0, 0], -IMAGE[0, 0]])[None],
)


# Products.

each(
    {
        "matmul": lambda x, y: x @ y,
        "bmm": lambda x, y: torch.bmm(x[None], y[None]),
        "mv": lambda x, y: x @ y[0],
        "dot": lambda x, y: torch.dot(x[0], y[0]),
        "vdot": lambda x, y: torch.vdot(x[1], y[0]),
        "linear": lambda x, y: F.linear(x, y, y[0]),
        "addmm": lambda x, y: torch.addmm(x, x, y, beta=0.5, alpha=0.25),
        "baddbmm": lambda x, y: torch.baddbmm(x[None], x[None], y[None], beta=0.5, alpha=0.25),
    },
    t([2000, 0.5], [-1000, 10]),
    t([1.5, -1], [UNIT, 64]),
)
row("scaled products", lambda x, y: (x @ y.t()) / 16, t([4000, MOST]), t([10, -6], [UNIT, 0]), gradient=False)
row("conv1d", lambda x, w: F.conv1d(x / 8, w), WAVE, t(*[[[1, -0.5]] * 4]))
row("conv2d", lambda x, w: F.conv2d(x, w, padding=1), IMAGE / 16, t([[[0.25, -0.125], [0, UNIT]]]))
row("conv2d and its pool", lambda x, w: F.avg_pool2d(F.conv2d(x, w), 2), IMAGE, t([[[0.5]]]))
# Scores are as large as sums of products of such numbers are.
row(
    "attention",
    lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
    ROWS.reshape(1, 1, 5, 4),
    ROWS.roll(1, 0).reshape(1, 1, 5, 4),
    (SOFT / 64).reshape(1, 1, 5, 4),
    gradient=False,
)
row(
    "attention, causal",
    lambda q, v: F.scaled_dot_product_attention(q, q, v, is_causal=True),
    ROWS.reshape(1, 1, 5, 4),
    (SOFT / 64).reshape(1, 1, 5, 4),
    gradient=False,
)
row(
    "attention, taken apart",
    lambda q, k, v: (q @ k.t() / 3).masked_fill(torch.ones(5, 5).triu(1) > 0, -torch.inf).softmax(1) @ v,
    ROWS,
    ROWS.roll(1, 0),
    SOFT / 64,
    gradient=False,
)
row("embedding", lambda w: F.embedding(LABELS, w), ROWS)


torch.manual_seed(0)
ATTENTION = nn.MultiheadAttention(4, 2, batch_first=True).double().eval()
ENCODER = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).double().eval().requires_grad_(False)
row(
    "attention of a layer",
    lambda x: ATTENTION(x, x, x, need_weights=False)[0],
    SOFT.reshape(1, 5, 4) / 8,
    gradient=False,
)
row("encoder layer", lambda x: ENCODER(x), SOFT.reshape(1, 5, 4) / 4, gradient=False, within=2.0**-7)

# Pooling, and losses.

each(
    {
        "avg_pool2d": lambda x: F.avg_pool2d(x, 2),
        "avg_pool2d, overlapping": lambda x: F.avg_pool2d(x, 3, 1, 1),
        "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, 2),
        "max_pool2d": lambda x: F.max_pool2d(x, 2),
        "max_pool2d, overlapping": lambda x: F.max_pool2d(x, 3, 1, 1),
        "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, 2),
    },
    SOFT[[0, 1, 2, 4]].reshape(1, 1, 4, 4),
)
LOSSES = {
    "mse": lambda x, y: F.mse_loss(x / 64, y / 64),
    "l1": F.l1_loss,
    "smooth l1": F.smooth_l1_loss,
    "smooth l1, beta 0.01": lambda x, y: F.smooth_l1_loss(x, y, beta=0.01),
    "smooth l1, beta 1000": lambda x, y: F.smooth_l1_loss(x, y, beta=1000),
    "smooth l1, beta 0": lambda x, y: F.smooth_l1_loss(x, y, beta=0),
    "huber": F.huber_loss,
    "huber, delta 0.1": lambda x, y: F.huber_loss(x, y, delta=0.1),
    "bce with logits": lambda x, y: F.binary_cross_entropy_with_logits(x, y * 2.0**-12),
    "bce with logits and weights": lambda x, y: F.binary_cross_entropy_with_logits(
        x / 8, y * 2.0**-13, pos_weight=t(4.0)
    ),
    "soft margin": lambda x, y: F.soft_margin_loss(x * 2.0**-8, (y * 2.0**-8).detach()),
    "hinge embedding": lambda x, y: F.hinge_embedding_loss(x / 2, t(*[1, -1] * 7)[:13]),
    "margin ranking": lambda x, y: F.margin_ranking_loss(x, y, t(*[1, -1] * 7)[:13], margin=1.0),
}
each(LOSSES, ENDS, ENDS.roll(3) / 2, gradient_within=2.0**-7)
FEW = torch.zeros(2000, dtype=torch.float64).index_put((torch.tensor([1, 1999]),), t(2000, -MOST))
row("mse of many, of which few are far", F.mse_loss, FEW / 2, FEW.roll(1) / 4, gradient=False)
row("bce", F.binary_cross_entropy, t(0.999, 0.5, 0.01, 0.25), t(1, 0, 0.5, 0.25), gradient=False, within=2.0**-7)
row(
    "bce of a sigmoid",
    lambda x: F.binary_cross_entropy(torch.sigmoid(x), t(1.0, 0, 1, 0)),
    t(2, -2, 0.5, 0),
    gradient_within=2.0**-6,
)
each(
    {
        "nll": lambda x: F.nll_loss(x, LABELS),
        "nll, sum": lambda x: F.nll_loss(x / 8, LABELS, reduction="sum"),
        "nll with weights": lambda x: F.nll_loss(x, LABELS, weight=t(1000, 0.001, 10, 1)),
        "cross entropy": lambda x: F.cross_entropy(x / 2, LABELS),
        "cross entropy with weights": lambda x: F.cross_entropy(x / 2, LABELS, weight=t(1000, 0.001, 10, 1)),
        "cross entropy of images": lambda x: F.cross_entropy(x.reshape(1, 5, 2, 2) / 2, LABELS[:4].reshape(1, 2, 2)),
        "cross entropy, smoothed": lambda x: F.cross_entropy(x / 4, LABELS, label_smoothing=0.1),
    },
    SOFT,
)
row(
    "triplet",
    lambda a, p, n: F.triplet_margin_loss(a, p, n),
    t([1000, 5], [1, 2]),
    t([1000.5, 4], [1, 2]),
    t([-1000, 7], [1, 2.5]),
    gradient=False,
)
row(
    "cosine embedding",
    lambda x, y: F.cosine_embedding_loss(x, y, t(1, -1, 1)),
    t([4, -2], [0.5, 0], [0.5, 1]),
    t([3, 3], [1, 1], [1, 2]),
    gradient=False,
)
row(
    "kl_div", lambda x, y: F.kl_div(x, y, reduction="batchmean"), -SOFT.abs() / 2, SOFT.abs() * 2.0**-12, gradient=False
)
row(
    "poisson",
    lambda x, y: F.poisson_nll_loss(x, y, log_input=False),
    t(8, 1, 0.25, 2000),
    t(8, 1, 0, 300),
    gradient=False,
)
row("prelu", F.prelu, SMALL.reshape(1, 11), t(0.25), kinks=True)

# What moves, chooses, or is logic.

each(
    {
        "views": lambda x: [
            x.t(),
            x.reshape(-1),
            x.permute(1, 0),
            x.transpose(0, 1),
            x.unsqueeze(0).squeeze(0),
            x[None].squeeze(),
            x[None].squeeze((0,)),
            x.expand(2, 5, 4),
            x[1],
            x[:, 1:3],
            *x.split(2),
            *x.split_with_sizes([1, 4]),
            *x.unbind(),
            x.detach(),
            x.clone(),
        ],
        "copies": lambda x: [
            x.flip(0),
            x.repeat(2, 1),
            torch.cat([x, x]),
            torch.stack([x, x]),
            F.pad(x, (1, 1), value=2.5),
            x.tril(),
            x.triu(1),
            x[[0, 2]],
            x[x.new_ones(5) > 0],
            x.index_select(0, LABELS),
            x.masked_select(EYE[[0, 1, 2, 3, 0]] > 0),
            x.reshape(20)[::3],
        ],
        "gathered": lambda x: x.gather(1, LABELS[:, None]),
        "filled": lambda x: [
            x.masked_fill(EYE[[0, 1, 2, 3, 0]] > 0, 7.0),
            x.index_fill(0, LABELS[:2], 3.0),
            torch.masked_fill(x, x > 0, 1.0),
        ],
        "chosen": lambda x: torch.where(x > 0, x, -x / 2),
    },
    ROWS,
    absolute=EXACT,
    within=EXACT,
    gradient=False,
)
row(
    "scattered",
    lambda x: torch.zeros(5, 4, dtype=x.dtype).scatter_add(1, LABELS[:, None].expand(5, 1), x),
    ROWS[:, :1],
    gradient=False,
)
each(
    {
        "logic": lambda x, y: [
            ~(x > 0),
            (x > 0) & (y > 0),
            (x > 0) | (y > 0),
            (x > 0) ^ (y > 0),
            torch.logical_and(x > 0, y > 0),
            torch.logical_or(x > 0, y > 0),
            torch.logical_xor(x > 0, y > 0),
            torch.logical_not(x > 0),
        ],
    },
    ENDS,
    ENDS.roll(1),
    absolute=EXACT,
    within=EXACT,
    gradient=False,
)
