"""Gradients of what has a row without them: at inputs where they are numbers of the format, as their values are."""

import copy

import torch
import torch.nn.functional as F
from elementwise import FIRST, SECOND
from layers import ATTENTION
from rows import ENDS, EXACT, EYE, LABELS, MOST, ROWS, SMALL, SOFT, TABLE, UNIT, each, row, t


def again(name: str, *inputs: torch.Tensor, **options: object) -> None:
    """A row's function at other inputs."""
    row(f"gradient, {name}", TABLE[name].function, *inputs, **options)


for name in (
    *("maximum", "minimum", "fmax", "fmin", "max of two", "min of two", "half a sum", "sub, alpha", "lerp"),
    *("clamp by a tensor", "clamp_max by a tensor", "where"),
):
    again(name, FIRST[FIRST != SECOND], SECOND[FIRST != SECOND])  # of equal numbers, the gradient may go to either
again("erf", SMALL)
again("erfc", SMALL)
again("lerp by a tensor", ENDS / 2, ENDS.flip(0) / 2, t(*[0.25, 0, 1] * 4, 0.5))
again("products of the smallest", t(UNIT, -UNIT, 2.0**-8), t(16, -8, 2.0**-4))
DIVISORS = t(MOST, MOST, 1, 1, 2.0**-9, 2.0**-5, 3, -7, 0.25, 45, 0.25, 2, 1)
again("div", ENDS, DIVISORS)
again("public by secret", t(1, MOST, -3, 0.7, -0.7))
again("xlogy", t(1, 300, -300, 400), t(MOST, 2, 0.25, 1000), gradient_within=2.0**-8)
again(
    "power of tensors",
    t(2, 0.5, 1, 3, 90.25, 8, 0.01),
    t(3, 2, -1, -2, 1, 2.5, 0.5),
    within=2.0**-7,
    gradient_within=2.0**-6,
)
again("a power that vanishes", t(0.5, 0.9, MOST, 2), t(MOST, 2000, -3000, -100))
again("addcdiv", t(1, -1, 0, 7, 3), t(4000, 4000, UNIT, 7, 0.01), t(0.5, MOST, 1, -3, 2.0**-8))
again("addcmul", t(1, -1, 0), t(4000, UNIT, 1000), t(900, MOST, -4000))
again("addcmul of a square", t(1, 1, 0, 0), t(1900, UNIT, -1, 0))
ROOTS = t(MOST, 2.0**-12, 2.0**-8, 0.5, 1, 1 + UNIT, 3, 90.25, 2000)
for name in ("sqrt", "log", "log2", "log10", "log1p", "root of the cube", "power that is no half"):
    again(name, ROOTS[ROOTS > 2.0**-11] if name.startswith("log") else ROOTS, absolute=2.0**-8)
for name, least in (("reciprocal", 0.016), ("rsqrt", 0.003), ("power -1/2", 0.003), ("power -1", 0.016)):
    again(name, t(MOST, least, 0.5, 1, 1 + UNIT, 3, 90.25, 2000), gradient_within=2.0**-8)

SPREAD = t(
    [MOST, -MOST, 2000, -2000],
    [1, 2, 3, 4],
    [MOST, MOST, MOST, 4000],
    [-1000, 1000, -500, 500.5],
    [0.25, 0.5, 1, -0.25],
)
for name in ("std", "std of all", "std, no correction", "std_mean"):
    again(name, SPREAD / 64)  # torch's formula rounds 1 / (count std) to the format
for name in ("normalize", "normalize by sums"):
    again(name, SPREAD)
LENGTHS = t([2000, -1000, 500, 250], [0.25, -0.5, UNIT, 0.125], [1, 2, 3, -4])
for name in ("sum", "sum along", "cumsum", "norm", "norm of all", "norm of sums", "old norm", "old norm along"):
    again(name, LENGTHS)
again("cosine similarity", SPREAD, SPREAD.roll(1, 0).flip(1))
again("pairwise distance", t([MOST, 1000], [-2000, 3]), t([2000, -1000], [-1999, 3.5]))
again("mse of many, of which few are far", *TABLE["mse of many, of which few are far"].inputs)

# Attention: where all weights are 0 and 1, where they are not, and of large values.

HEADS = (1, 1, 5, 4)
again("attention", *(x.reshape(HEADS) for x in (ROWS, ROWS.roll(1, 0) / 64, SOFT / 64)))
again("attention, causal", *(x.reshape(HEADS) for x in (ROWS / 512, SOFT / 1024)))
again("attention, taken apart", ROWS, ROWS.roll(1, 0), SOFT / 64)
MILD = SOFT.clamp(-4, 4) / 4
again("scaled products", t([4000, MOST]), t([10, -6], [UNIT, 0]))
each(
    {
        "gradient, attention of large values": lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
        "gradient, attention of large values, causal": lambda q, k, v: F.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=0.125
        ),
        "gradient, attention of large values, taken apart": lambda q, k, v: (
            (q @ k.transpose(-1, -2) / 2).softmax(-1) @ v
        ),
    },
    *(x.reshape(HEADS) for x in (ROWS / 512, ROWS.roll(1, 0) / 1024, SOFT / 64)),
    gradient_within=2.0**-7,
)
row(
    "gradient, attention of mild scores",
    lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
    *(x.reshape(HEADS) for x in (MILD, MILD.roll(1, 0), MILD.flip(1))),
)
FROZEN = copy.deepcopy(ATTENTION).requires_grad_(False)
TRAINED = copy.deepcopy(FROZEN).train()
row(
    "gradient, attention of a layer",
    lambda x: x * FROZEN(x, x, x, need_weights=False)[0],
    SOFT.reshape(1, 5, 4) / 512,
    gradient_within=2.0**-7,
)
again("encoder layer", MILD.reshape(1, 5, 4), within=2.0**-7, gradient_within=2.0**-6)
row("gradient, attention of a layer in training", lambda x: x * TRAINED(x, x, x)[0], MILD.reshape(1, 5, 4))

# Losses.

row(
    "gradient, bce",
    lambda x, y: F.binary_cross_entropy(x, y.detach()),
    *(t(0.9, 0.5, 0.1, 0.25), t(1, 0, 0.5, 0.25)),
    within=2.0**-7,
    gradient_within=2.0**-7,
)
again("triplet", t([1000, 5], [1, 2]), t([1000.5, 4], [1, 2.5]), t([-1000, 7], [1, 3]))
again("cosine embedding", t([4, -2], [0.5, 0], [0.5, 1]), t([3, 3], [1, 1], [1, 2]))
again("kl_div", -SOFT.abs() / 2, SOFT.abs() * 2.0**-12 + 2.0**-8, gradient_within=2.0**-8)
again("poisson", t(8, 1, 0.25, 2000), t(8, 1, 0, 300))

# What moves and chooses.

for name in ("views", "copies", "gathered", "filled", "chosen"):
    again(name, ROWS, within=EXACT, absolute=EXACT)
again("scattered", ROWS[:, :1])
each(
    {
        "gradient, rows": lambda x: x[[0, 2, 0]] / 2,
        "gradient, places": lambda x: x.masked_select(EYE[[0, 1, 2, 3, 0]] > 0),
        "gradient, chosen rows": lambda x: x.index_select(0, LABELS),
    },
    ROWS,
    within=EXACT,
    absolute=EXACT,
)
