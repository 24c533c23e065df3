"""The table: every operation at the edges of its domain. A rule that is not reached from here fails `test_edges.py`.

A row is a function of tensors and the inputs to take it of; its oracle is PyTorch in float64. Inputs are multiples of 2^-16 below
2^12, the default format; so are the results of every row, whatever lies between.
"""

import elementwise
import gradients
import layers
from rows import TABLE, WITHIN

__all__ = ["FILES", "TABLE", "WITHIN"]

FILES = (elementwise, gradients, layers)
"""The files of rows; each enters its own into the table."""
