"""scikit-learn style estimators on secrets: what goes in, comes out and is learned is secret; `session.reveal` opens it."""

from tacit.learn.linear import LinearRegression, Ridge
from tacit.learn.logistic import LogisticRegression
from tacit.learn.metrics import accuracy_score, r2_score
from tacit.learn.perceptron import MLPClassifier, MLPRegressor
from tacit.learn.scaling import StandardScaler

__all__ = [
    "LinearRegression",
    "LogisticRegression",
    "MLPClassifier",
    "MLPRegressor",
    "Ridge",
    "StandardScaler",
    "accuracy_score",
    "r2_score",
]
