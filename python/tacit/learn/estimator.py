"""The base of all estimators: parameters by name, and attributes that exist once `fit` ran."""

import inspect
import math
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np

from tacit.errors import NotFitted, Unsupported

STOPPING = "when to stop would show something of the data: set max_iter, all of it is run"
ALONE = "there is nothing to choose here"
WEIGHTS = "all rows weigh alike: who holds a row can repeat it before it enters"


class Estimator:
    """Parameters are set by keyword, as attributes of the same names; learned attributes end in `_` and are secret."""

    REFUSED: ClassVar[dict[str, str]] = {}
    """Parameters of scikit-learn's class that make no sense on secrets, and what to do instead."""
    ABSENT: ClassVar[dict[str, str]] = {
        "partial_fit": "fit takes all rows at once; session.table(rows=...) pools those of several parties",
        "n_iter_": "all of max_iter is run",
        "rank_": "nothing is found out about the rank of secret data",
        "singular_": "nothing is found out about the rank of secret data",
        "feature_names_in_": "columns have no names here, only their order",
        "get_feature_names_out": "columns have no names here, only their order",
    }
    """Attributes of scikit-learn's class that are not there, and why."""
    LEARNED: ClassVar[str]
    """An attribute that exists once it was fitted."""

    def __getattr__(self, name: str) -> Any:
        kind = type(self).__name__
        if name in self.ABSENT:
            raise AttributeError(f"{kind}.{name} is not there on secrets: {self.ABSENT[name]}")
        learned = name.endswith("_") and not name.startswith("_") and self.LEARNED not in vars(self)
        raise AttributeError(f"{kind} has no attribute {name!r}{': it is not fitted yet' if learned else ''}")

    def _refuse(self, others: dict[str, Any]) -> None:
        """Refuse keywords that the constructor does not take."""
        name = type(self).__name__
        for key, value in others.items():
            if key in self.REFUSED:
                raise Unsupported(f"{name}({key}={value!r}) is not there on secrets: {self.REFUSED[key]}")
            raise TypeError(f"{name} has no parameter {key!r}; it has {', '.join(self._names())}")

    @classmethod
    def _names(cls) -> list[str]:
        given = inspect.signature(cls.__init__).parameters.values()
        return [p.name for p in given if p.name != "self" and p.kind is not p.VAR_KEYWORD]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._names()}

    def set_params(self, **params: Any) -> Self:
        """Checked as by the constructor; what was learned stays until the next `fit`."""
        type(self)(**{**self.get_params(), **params})
        for name, value in params.items():
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        changed = (f"{k}={v!r}" for k, v in self.get_params().items() if v != defaults[k].default)
        return f"{type(self).__name__}({', '.join(changed)})"

    def _fitted(self) -> None:
        if not hasattr(self, self.LEARNED):
            raise NotFitted(f"this {type(self).__name__} is not fitted yet: call fit first")


def unweighted(sample_weight: Any) -> None:
    if sample_weight is not None:
        raise Unsupported(f"sample_weight is not there on secrets: {WEIGHTS}")


def flag(name: str, value: Any) -> None:
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}={value!r}: True or False")


def choice(name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name}={value!r}: it is one of {', '.join(map(repr, allowed))}")


def positive(name: str, value: float, least: float = 0.0, strict: bool = True) -> None:
    good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not (good and (value > least if strict else value >= least)):
        raise ValueError(f"{name}={value!r}: a finite number {'above' if strict else 'of at least'} {least:g}")


def fraction(name: str, value: float) -> None:
    """In [0, 1)."""
    positive(name, value, strict=False)
    if value >= 1:
        raise ValueError(f"{name}={value!r}: a number below 1")


def whole(name: str, value: Any, other: str = "") -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}={value!r}: {other}a whole number of at least 1")
