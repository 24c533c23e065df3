"""The rules, by kind. Importing this package fills the table."""

from tacit.torch import generic as _generic
from tacit.torch.ops import (
    arithmetic,
    attention,
    comparison,
    convolution,
    creation,
    division,
    functions,
    indices,
    losses,
    movement,
    normalisation,
    parts,
    pooling,
    products,
    random,
    reductions,
    selection,
    writing,
)

__all__ = [
    "arithmetic",
    "attention",
    "comparison",
    "convolution",
    "creation",
    "division",
    "functions",
    "indices",
    "losses",
    "movement",
    "normalisation",
    "parts",
    "pooling",
    "products",
    "random",
    "reductions",
    "selection",
    "writing",
]

del _generic
