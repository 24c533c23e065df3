"""Sums, norms, products, attention, pooling, losses; and what moves numbers, chooses, or is logic."""

from functools import partial

import torch
import torch.nn.functional as F
from rows import (
    BATCH,
    ENDS,
    EXACT,
    EYE,
    FAINT,
    IMAGE,
    LABELS,
    MOST,
    ROWS,
    SMALL,
    SOFT,
    UNIT,
    WAVE,
    each,
    row,
    running,
    t,
)
from torch import nn

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
for alpha, x, y in (
    (0.001, t([2000, 1000], [1, UNIT]), t([1500, -2000], [300, MOST])),
    (1000.0, t([0.5, 0.25], [1, UNIT]), t([3, -2], [2.0**-9, 2.0**-10])),
):
    row(f"addmm, {alpha:g}", partial(torch.addmm, alpha=alpha), t([1, 2], [-3, 100]), x, y, gradient=False)
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
