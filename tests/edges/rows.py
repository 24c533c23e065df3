"""Rows of the table of edges, and the inputs that many of them take."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

UNIT = 2.0**-16
MOST = 4096 - UNIT
EXACT = 2.0**-23
"""The relative error of a value that is revealed as float32."""
WITHIN = 2.0**-9
"""Relative to 1 and to the value: twice what functions state, for roundings on the way."""


def t(*values: Any) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


ENDS = t(MOST, -MOST, 0, UNIT, -UNIT, 1, -1, 0.5, -2.5, 90.25, -90.25, 2000, -2000)
POSITIVE = t(MOST, UNIT, 2 * UNIT, 2.0**-8, 0.5, 1, 1 + UNIT, 3, 90.25, 2000)
ALMOST = t(4090, -4090, 0, UNIT, -UNIT, 1, -1, 0.5, -2.5, 90.25, -90.25, 2000, -2000)
SMALL = t(8, -8, 0, UNIT, -UNIT, 1, -1, 0.5, -2.5, 3.25, -3.25)
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
