"""scikit-learn style estimators on secrets: what goes in, comes out and is learned is secret; `session.reveal` opens it."""

from tacit.learn.linear import LinearRegression, Ridge
from tacit.learn.metrics import r2_score
from tacit.learn.scaling import StandardScaler

__all__ = ["LinearRegression", "Ridge", "StandardScaler", "r2_score"]
