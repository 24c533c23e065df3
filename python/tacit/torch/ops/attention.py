"""Attention: softmax(q k^T / sqrt(E) + mask) v, and its gradient from the weights that the forward pass found.

The scores q k^T / sqrt(E) may leave the contract, since softmax takes products in all the bits that they have (`numbers.wide`).

    dv = p^T g,   dp = g v^T,   ds = p (dp - sum(dp p)),   dq = ds k / sqrt(E),   dk = ds^T q / sqrt(E)
The fused operations into which PyTorch's attention modules turn at evaluation are taken apart again.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F

from tacit.errors import Unsupported
from tacit.numbers.arithmetic import Arithmetic, Number
from tacit.numbers.functions.softmax import softmax
from tacit.numbers.known import Fact
from tacit.torch.operands import Operand, array
from tacit.torch.ops.arithmetic import add, times
from tacit.torch.ops.products import matmul
from tacit.torch.rules import handles, implements

aten = torch.ops.aten

WEIGHTS: Fact[Number] = Fact("attention", bounded=False)
"""The softmax of the scores of an attention, kept with its result."""
OF_KEYS = 1
"""The mask type of PyTorch that has shape (N, L); others are (L, L) or (N, H, L, L)."""


@implements(aten._scaled_dot_product_flash_attention_for_cpu.default)
def attention(
    a: Arithmetic,
    query: Operand,
    key: Operand,
    value: Operand,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: Operand | None = None,
    scale: float | None = None,
) -> tuple[Number, torch.Tensor]:
    """query, key, value: (N, H, L, E). The second result is for PyTorch's own backward pass and not needed here: zeros."""
    if dropout:
        raise Unsupported("attention with dropout in a fused kernel: set its dropout to 0")
    q, k, v = (_secret(a, x) for x in (query, key, value))
    scores = times(a, matmul(a, q, _turned(a, k)), _factor(q, scale))
    if is_causal:
        hidden = torch.ones(q.shape[-2], k.shape[-2]).triu(1) > 0
        scores = add(a, scores, torch.zeros(hidden.shape).masked_fill(hidden, -math.inf))
    if attn_mask is not None:
        scores = add(a, scores, attn_mask)
    weights = softmax(a, scores)
    out = matmul(a, weights, v)
    WEIGHTS.note(out, weights)
    return out, torch.zeros(q.shape[:-1])


@implements(aten._scaled_dot_product_flash_attention_for_cpu_backward.default)
def attention_backward(
    a: Arithmetic,
    grad: Operand,
    query: Operand,
    key: Operand,
    value: Operand,
    out: Number,
    logsumexp: Any,
    dropout: float,
    is_causal: bool,
    *,
    attn_mask: Operand | None = None,
    scale: float | None = None,
) -> tuple[Number, Number, Number]:
    g, q, k, v = (_secret(a, x) for x in (grad, query, key, value))
    p = WEIGHTS.of(out)
    if p is None:
        raise Unsupported("the gradient of attention needs what its forward pass returned")
    weighted = a.multiply(p, matmul(a, g, _turned(a, v)), "attention gradient")
    inner = a.multiply(p, a.sum(weighted, (-1,), True), "attention gradient")
    ds = times(a, a.add(weighted, inner, -1), _factor(q, scale))
    return matmul(a, ds, k), matmul(a, _turned(a, ds), q), matmul(a, _turned(a, p), g)


def _secret(a: Arithmetic, x: Operand) -> Number:
    return x if isinstance(x, Number) else a.public(array(x))


def _turned(a: Arithmetic, x: Number) -> Number:
    last = len(x.shape) - 1
    return a.permute(x, (*range(last - 1), last, last - 1))


def _factor(q: Number, scale: float | None) -> float:
    return 1 / math.sqrt(q.shape[-1]) if scale is None else scale


# What evaluation fuses.


@handles(aten._native_multi_head_attention.default)
def multi_head_attention(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = _named(func, args, kwargs)
    if given["query"] is not given["key"] or given["key"] is not given["value"]:
        raise Unsupported(f"{func} of different queries, keys and values: call the module in training mode")
    out, weights = _self_attention(
        given["query"],
        given["num_head"],
        (given["qkv_weight"], given["qkv_bias"], given["proj_weight"], given["proj_bias"]),
        given["mask"],
        given["mask_type"],
    )
    if not given["need_weights"]:
        return out, None
    return out, weights.mean(1) if given["average_attn_weights"] else weights


@handles(aten._transformer_encoder_layer_fwd.default)
def encoder_layer(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    given = _named(func, args, kwargs)
    x, size, eps = given["src"], (given["embed_dim"],), given["eps"]
    projections = tuple(given[name] for name in ("qkv_weight", "qkv_bias", "proj_weight", "proj_bias"))

    def attend(y: torch.Tensor) -> torch.Tensor:
        return _self_attention(y, given["num_heads"], projections, given["mask"], given["mask_type"])[0]

    def feed(y: torch.Tensor) -> torch.Tensor:
        hidden = F.linear(y, given["ffn_weight_1"], given["ffn_bias_1"])
        hidden = F.gelu(hidden) if given["use_gelu"] else F.relu(hidden)
        return F.linear(hidden, given["ffn_weight_2"], given["ffn_bias_2"])

    def first(y: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(y, size, given["norm_weight_1"], given["norm_bias_1"], eps)

    def second(y: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(y, size, given["norm_weight_2"], given["norm_bias_2"], eps)

    if given["norm_first"]:
        x = x + attend(first(x))
        return x + feed(second(x))
    x = first(x + attend(x))
    return second(x + feed(x))


def _self_attention(
    x: torch.Tensor, heads: int, projections: tuple[Any, ...], mask: torch.Tensor | None, mask_type: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """x: (N, L, E). The result and the weights (N, H, L, L)."""
    into, into_bias, out, out_bias = projections
    n, length, width = x.shape
    parts = F.linear(x, into, into_bias).reshape(n, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    q, k, v = parts[0], parts[1], parts[2]
    scores = q @ k.transpose(-1, -2) / math.sqrt(width // heads)
    if mask is not None:
        hidden = mask.bool() if mask_type != OF_KEYS else mask.bool()[:, None, None, :]
        scores = scores + torch.zeros(hidden.shape).masked_fill(hidden, -math.inf)
    weights = scores.softmax(-1)
    joined = (weights @ v).transpose(1, 2).reshape(n, length, width)
    return F.linear(joined, out, out_bias), weights


def _named(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    arguments = func._schema.arguments
    given = {a.name: a.default_value for a in arguments if a.has_default_value()}
    given.update(zip((a.name for a in arguments), args, strict=False))
    return given | kwargs
