"""Perceptrons of several layers, trained by torch.nn and torch.optim on secrets.

All three losses (squares / 2, and the logarithms of two or more classes) have the same gradient at the last layer:
    (link(z) - y) / rows,   link = identity, sigmoid, softmax
With the same random_state, weights start and batches are drawn as in scikit-learn, so that both train alike, step by step.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from tacit.errors import Unsupported
from tacit.field import CAPACITY
from tacit.learn import targets
from tacit.learn.estimator import STOPPING, Estimator, choice, flag, fraction, positive, unweighted, whole
from tacit.learn.metrics import accuracy_score, r2_score
from tacit.learn.moments import at_scale
from tacit.learn.secrets import Kind, column, kind, number, same_rows, table
from tacit.numbers.arithmetic import Arithmetic, Number

LAYERS = {"relu": "ReLU", "tanh": "Tanh", "logistic": "Sigmoid", "identity": "Identity"}
MARGIN = 2
"""Bits that the gradient at the output leaves to the products that follow."""


@dataclass(frozen=True)
class _Party:
    """The part of a session that sharing a module needs."""

    me: int
    arithmetic: Arithmetic


class Perceptron(Estimator):
    """Has `coefs_` and `intercepts_`, lists of secrets with one for each layer, and `module_`, the shared torch module."""

    LEARNED = "module_"
    REFUSED: ClassVar[dict[str, str]] = {
        "tol": STOPPING,
        "n_iter_no_change": STOPPING,
        "early_stopping": STOPPING,
        "validation_fraction": "nothing is held back: score rows of your own",
        "learning_rate": "it is constant: set learning_rate_init",
        "power_t": "the learning rate is constant: set learning_rate_init",
        "max_fun": "the solvers are 'sgd' and 'adam'",
        "warm_start": "train module_ on with torch.optim, as in any script",
        "verbose": "use session.report()",
    }

    def __init__(
        self,
        hidden_layer_sizes: int | Sequence[int] = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.001,
        max_iter: int = 50,
        shuffle: bool = True,
        random_state: int = 0,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **others: Any,
    ) -> None:
        self._refuse(others)
        if solver == "lbfgs":
            raise Unsupported("solver='lbfgs' stops and branches by the data: use 'adam' or 'sgd'")
        choice("solver", solver, ("adam", "sgd"))
        choice("activation", activation, tuple(LAYERS))
        for size in _sizes(hidden_layer_sizes):
            whole("hidden_layer_sizes", size)
        if batch_size != "auto":
            whole("batch_size", batch_size, "'auto' or ")
        whole("max_iter", max_iter)
        positive("alpha", alpha, strict=False)
        positive("learning_rate_init", learning_rate_init)
        positive("epsilon", epsilon)
        for name, value in (("momentum", momentum), ("beta_1", beta_1), ("beta_2", beta_2)):
            fraction(name, value)
        flag("shuffle", shuffle)
        flag("nesterovs_momentum", nesterovs_momentum)
        if isinstance(random_state, bool) or not hasattr(random_state, "__index__"):
            raise Unsupported(f"random_state={random_state!r}: an int, since all parties have to draw alike")
        if not 0 <= int(random_state) < 1 << 32:
            raise ValueError(f"random_state={random_state!r}: from 0 to 2^32 - 1")
        self.hidden_layer_sizes, self.activation, self.solver, self.alpha = (
            hidden_layer_sizes,
            activation,
            solver,
            alpha,
        )
        self.batch_size, self.learning_rate_init, self.max_iter = batch_size, learning_rate_init, max_iter
        self.shuffle, self.random_state = shuffle, random_state
        self.momentum, self.nesterovs_momentum = momentum, nesterovs_momentum
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def _link(self, a: Arithmetic, z: Number) -> Number:
        raise NotImplementedError

    def _train(self, of: Kind, x: Number, target: Number) -> Self:
        """Each batch is computed at once."""
        from tacit import torch as secret_torch

        a, n = of.arithmetic, x.shape[0]
        same_rows(x, target)
        generator = np.random.RandomState(self.random_state)
        sizes = [x.shape[1], *_sizes(self.hidden_layer_sizes), target.shape[1]]
        module = _module(sizes, self.activation, generator)
        secret_torch.share_module(_Party(a.engine.protocol.me, a), module, 0)
        rows = min(200, n) if self.batch_size == "auto" else min(int(self.batch_size), n)
        optimiser = self._optimiser(module)
        finest = CAPACITY - a.format.bits - MARGIN
        for chosen in self._batches(n, rows, generator):
            optimiser.zero_grad()
            optimiser.param_groups[0]["weight_decay"] = self.alpha / len(chosen)
            z = module(secret_torch.wrap(a, a.gather(x, 0, chosen)))
            error = a.add(self._link(a, secret_torch.number(z)), a.gather(target, 0, chosen), -1, "loss")
            error = at_scale(a, a.times(error, 1 / len(chosen)), finest)
            z.backward(secret_torch.wrap(a, error, z.dtype))
            optimiser.step()
            a.engine.step()
        self.module_, self.n_features_in_, self.n_layers_ = module, sizes[0], len(sizes)
        layers = [layer for layer in module if hasattr(layer, "weight")]
        self.coefs_ = [of.wrap(a.permute(secret_torch.number(layer.weight), (1, 0))) for layer in layers]
        self.intercepts_ = [of.wrap(secret_torch.number(layer.bias)) for layer in layers]
        return self

    def _optimiser(self, module: Any) -> Any:
        """The penalty alpha |w|^2 / (2 rows of the batch) is on weights only, which are the first group."""
        import torch

        groups: list[dict[str, Any]] = [
            {"params": [p for p in module.parameters() if p.dim() == 2]},
            {"params": [p for p in module.parameters() if p.dim() == 1]},
        ]
        if self.solver == "adam":
            betas = (self.beta_1, self.beta_2)
            return torch.optim.Adam(groups, lr=self.learning_rate_init, betas=betas, eps=self.epsilon)
        nesterov = self.nesterovs_momentum and self.momentum > 0
        return torch.optim.SGD(groups, lr=self.learning_rate_init, momentum=self.momentum, nesterov=nesterov)

    def _batches(self, n: int, rows: int, generator: np.random.RandomState) -> Iterator[list[int]]:
        order = np.arange(n)
        for _ in range(self.max_iter):
            if self.shuffle:
                drawn = np.arange(n)
                generator.shuffle(drawn)
                order = order[drawn]
            for start in range(0, n, rows):
                yield order[start : start + rows].tolist()

    def _output(self, X: Any) -> Number:
        """The last layer, (rows, outputs), before its link."""
        self._fitted()
        import torch

        from tacit import torch as secret_torch

        of = kind(X)
        x = table(X, of, self.n_features_in_)
        with torch.no_grad():
            return secret_torch.number(self.module_(secret_torch.wrap(of.arithmetic, x)))


class MLPClassifier(Perceptron):
    """Like scikit-learn's, with the solvers "adam" and "sgd"; all of max_iter epochs are run.

    y: what `session.labels` gives, one-hots (rows, classes), or 0 and 1 of shape (rows,); `predict` answers in the same way.
    `session.labels` has their owner check them. Nobody looks at numbers that `session.secret` took: others than 0 and 1 train
    something else, and classes are not counted.
    random_state is public and the same at all parties.
    """

    def fit(self, X: Any, y: Any, sample_weight: None = None) -> Self:
        unweighted(sample_weight)
        of = kind(X)
        given = targets.read(y, of)
        self._form, self.classes_ = given.form, np.arange(given.classes)
        return self._train(of, table(X, of), given.columns(of.arithmetic))

    def predict_proba(self, X: Any) -> Any:
        """(rows, classes)"""
        out, of = self._output(X), kind(X)
        return of.wrap(targets.probabilities(of.arithmetic, out))

    def predict(self, X: Any) -> Any:
        """The likeliest class, compared exactly: as labels, one-hots, or 0 and 1, whatever `fit` was given."""
        out, of = self._output(X), kind(X)
        return targets.write(targets.decided(of.arithmetic, out), self._form, of)

    def score(self, X: Any, y: Any, sample_weight: None = None) -> Any:
        """The accuracy of the predictions."""
        return accuracy_score(y, self.predict(X), sample_weight=sample_weight)

    def _link(self, a: Arithmetic, z: Number) -> Number:
        return targets.link(a, z)


class MLPRegressor(Perceptron):
    """Like scikit-learn's, for y of shape (rows,) or (rows, targets), with the squared loss."""

    REFUSED: ClassVar[dict[str, str]] = {**Perceptron.REFUSED, "loss": "it is the squared error"}

    def fit(self, X: Any, y: Any, sample_weight: None = None) -> Self:
        unweighted(sample_weight)
        of = kind(X)
        target = number(y, of, "y")
        self._flat = len(target.shape) == 1 or target.shape[1:] == (1,)  # as in scikit-learn
        return self._train(of, table(X, of), column(of.arithmetic, target))

    def predict(self, X: Any) -> Any:
        out, of = self._output(X), kind(X)
        return of.wrap(of.arithmetic.reshape(out, out.shape[:1]) if self._flat else out)

    def score(self, X: Any, y: Any, sample_weight: None = None) -> Any:
        """R^2 of the predictions."""
        return r2_score(y, self.predict(X), sample_weight=sample_weight)

    def _link(self, a: Arithmetic, z: Number) -> Number:
        return z


def _sizes(given: int | Sequence[int]) -> list[int]:
    if isinstance(given, int | np.integer):
        return [int(given)]
    if not isinstance(given, Sequence | np.ndarray) or isinstance(given, str):
        raise ValueError(f"hidden_layer_sizes={given!r}: a whole number, or a list of them")
    return list(given)


def _module(sizes: Sequence[int], activation: str, generator: np.random.RandomState) -> Any:
    """Weights uniform by Glorot's bound, in scikit-learn's order."""
    try:
        import torch
        from torch import nn
    except ModuleNotFoundError:
        raise Unsupported("perceptrons are torch modules: pip install 'tacit[torch]'") from None
    parts: list[Any] = []
    for inputs, outputs in itertools.pairwise(sizes):
        bound = np.sqrt((2 if activation == "logistic" else 6) / (inputs + outputs))
        layer = nn.Linear(inputs, outputs)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(generator.uniform(-bound, bound, (inputs, outputs)).T))
            layer.bias.copy_(torch.from_numpy(generator.uniform(-bound, bound, outputs)))
        parts += [layer, getattr(nn, LAYERS[activation])()]
    return nn.Sequential(*parts[:-1])
