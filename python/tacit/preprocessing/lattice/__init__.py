"""The parties make their correlated randomness themselves, by encryption over lattices: no third party is trusted."""

from tacit.preprocessing.lattice.source import BYTES, LatticeSource

__all__ = ["BYTES", "LatticeSource"]
