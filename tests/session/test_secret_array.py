"""SecretArray against NumPy."""

import numpy as np
import pytest

import tacit
from tacit.numbers.array import SecretArray

X = np.array([[1.0, -2.0, 3.0], [0.5, 4.0, -1.5]])
Y = np.array([[2.0, 1.0, -1.0], [3.0, -0.5, 0.25]])

OPERATIONS = {
    "add": lambda x, y: x + y,
    "add public": lambda x, y: 1 + x + Y,
    "sub": lambda x, y: x - y,
    "sub public": lambda x, y: Y - x - 0.5,
    "neg": lambda x, y: -x,
    "mul": lambda x, y: x * y,
    "mul public": lambda x, y: Y * x * 3,
    "div": lambda x, y: x / 4 / (Y + 5),
    "quotient": lambda x, y: x / y + y[0] / x + x / y[:, :1],
    "reciprocal": lambda x, y: 1 / x + 2 / y + Y / x,
    "roots": lambda x, y: (x * x) ** 0.5 + (y * y).sqrt() if isinstance(x, SecretArray) else np.abs(x) + np.abs(y),
    "inverses": lambda x, y: x**-1 + (y * y) ** -0.5 + x**-2,
    "power 1.5": lambda x, y: (x * x) ** 1.5,
    "exp and log": lambda x, y: x.exp() + (y * y).log() if isinstance(x, SecretArray) else np.exp(x) + np.log(y * y),
    "broadcast": lambda x, y: x * y[0] + y[:, :1],
    "pow": lambda x, y: x**3 + x**1,
    "single numbers": lambda x, y: ((x[0, 0] * y[1, 1] + 1) ** 4 - x.sum()) ** 2,
    "matmul": lambda x, y: x @ y.T,
    "matmul public": lambda x, y: x @ Y.T + X @ y.T,
    "vector": lambda x, y: x[0] @ y[1],
    "matrix vector": lambda x, y: x @ y[0] + y[0] @ X.T,
    "batched": lambda x, y: x[None] @ y.T[None],
    "sum": lambda x, y: x.sum(),
    "sum axis": lambda x, y: x.sum(axis=1, keepdims=True) + x.sum(0),
    "mean": lambda x, y: x.mean(axis=-1) + x.mean(),
    "reshape": lambda x, y: x.reshape(3, -1) + y.reshape((3, 2)),
    "transpose": lambda x, y: x.transpose(1, 0) + y.T,
    "integer": lambda x, y: x[1, -1],
    "slices": lambda x, y: x[:, ::2] + y[..., 1:],
    "backwards": lambda x, y: x[::-1, ::-1],
    "rows": lambda x, y: x[[1, 0, 1]],
    "mask": lambda x, y: x[np.array([False, True])],
    "elements": lambda x, y: x[[0, 1], [2, 0]],
    "mask of all": lambda x, y: x[Y > 0],
    "new axis": lambda x, y: x[:, None, 1],
}


@pytest.fixture(scope="module")
def results():
    def script(s):
        x, y = s.secret(X, owner=0), s.secret(Y, owner=1)
        made = [f(x, y) for f in OPERATIONS.values()]
        return [m.shape for m in made], s.reveal(
            [*made, tacit.concatenate([x, y, x[:1]]), tacit.concatenate([x, y], 1)]
        )

    return tacit.run(script, 2, backend="numpy")


@pytest.mark.quick()
@pytest.mark.parametrize("index", range(len(OPERATIONS)), ids=list(OPERATIONS))
def test_operations_are_those_of_numpy(results, index):
    expected = list(OPERATIONS.values())[index](X, Y)
    for shapes, values in results:
        assert shapes[index] == np.shape(expected) == np.shape(values[index])
        np.testing.assert_allclose(values[index], expected, rtol=2.0**-10, atol=2e-3)


def test_concatenate(results):
    for _, values in results:
        np.testing.assert_array_equal(values[-2], np.concatenate([X, Y, X[:1]]))
        np.testing.assert_array_equal(values[-1], np.concatenate([X, Y], 1))


def refusals(x):
    return {
        "bool": lambda: bool(x),
        "float": lambda: float(x),
        "int": lambda: int(x),
        "item": x.item,
        "iteration": lambda: list(x),
        "asarray": lambda: np.asarray(x),
        "in": lambda: 1 in x,
        "assignment": lambda: x.__setitem__(0, 1),
        "power": lambda: x**0.3,
        "secret power": lambda: x**x,
        "secret index": lambda: x[x],
    }


def test_nothing_shows_a_value():
    def script(s):
        x = s.secret(X, owner=0)
        for name, call in refusals(x).items():
            with pytest.raises(tacit.Unsupported):
                call()
                pytest.fail(name)
        return repr(x), len(x), x.ndim

    assert tacit.run(script, 2, backend="numpy") == [("SecretArray(shape=(2, 3))", 2, 2)] * 2


def test_wrong_shapes_are_errors_of_python():
    def script(s):
        x = s.secret(X, owner=0)
        for call in (lambda: x @ x, lambda: x + np.ones(7), lambda: x[5], lambda: x.reshape(4), lambda: x.sum(3)):
            with pytest.raises((ValueError, IndexError)):
                call()
        with pytest.raises(TypeError):
            x + "text"
        with pytest.raises(ZeroDivisionError):
            x / 0

    tacit.run(script, 2, backend="numpy")


def test_comparisons_are_exact_secret_zeros_and_ones():
    def work(s):
        x, y = s.secret([1.0, -2.0, 3.0, -4.0], owner=0), s.secret([2.0, -3.0, 1.0, 5.0], owner=1)
        small = s.secret([2.0**-16, -(2.0**-16), 0.0], owner=0)
        bits = [x > y, x >= y, x < y, x <= y, x > 0.5, x > 1.0, x == 3.0, x != y, small >= 0, small > 0, small == 0]
        return s.reveal([*bits, abs(x), (x - y).relu(), x.maximum(y), x.minimum(y), (x > y).where(x, 7.0)])

    right = [
        [0, 1, 1, 0],
        [0, 1, 1, 0],
        [1, 0, 0, 1],
        [1, 0, 0, 1],
        [1, 0, 1, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 0],
        [1, 1, 1, 1],
    ]
    right += [[1, 0, 1], [1, 0, 0], [0, 0, 1]]
    right += [[1, 2, 3, 4], [0, 1, 2, 0], [2, -2, 3, 5], [1, -3, 1, -4], [7, -2, 3, 7]]
    for values in tacit.run(work, parties=2, backend="numpy"):
        for value, expected in zip(values, right, strict=True):
            np.testing.assert_allclose(value, expected, atol=1e-3)
