"""What parties hand in, and what they get back, in all the kinds that NumPy, torch and CSV have."""

import datetime
import tracemalloc
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import tacit
from tacit.sessions.data import one_hot

torch = pytest.importorskip("torch")


def run(work, **options):
    return tacit.run(work, parties=2, protocol="clear", backend="torch", **options)[0]


@pytest.mark.parametrize(
    "data", [torch.tensor([1.5, -2.0], dtype=torch.bfloat16), torch.tensor([1.5, -2.0]).to_sparse()]
)
def test_tensors_that_numpy_does_not_have(data):
    torch.testing.assert_close(run(lambda s: s.reveal(s.secret(data, owner=0))), torch.tensor([1.5, -2.0]))


def test_masked_arrays_are_refused_where_something_is_masked():
    def work(missing):
        return lambda s: s.reveal(s.secret(np.ma.masked_equal([1.0, -999.0, 3.0], missing), owner=0))

    with pytest.raises(tacit.BadInput, match="1 of 3 elements are masked"):
        run(work(-999.0))
    assert run(work(7.0)).tolist() == [1.0, -999.0, 3.0]


MIXED = {
    "booleans and floats": (np.array([[True, 0.5], [False, 2]], object), [[1.0, 0.5], [0.0, 2.0]]),
    "NumPy's": (np.array([np.bool_(True), np.float32(0.5), np.int8(-3)], object), [1.0, 0.5, -3.0]),
    "decimals and fractions": ([Decimal("1.5"), Fraction(1, 4), 7], [1.5, 0.25, 7.0]),
    "booleans": ([True, False], [1.0, 0.0]),
    "bytes of numbers": (np.array([1, 200], np.uint8), [1.0, 200.0]),
    "long doubles": (np.array([1.5], np.longdouble), [1.5]),
}


@pytest.mark.parametrize("name", MIXED)
def test_real_numbers_of_whatever_kind(name):
    """Columns of booleans beside those of floats are an array of objects, as pandas gives it."""
    data, right = MIXED[name]
    assert run(lambda s: s.reveal(s.secret(data, owner=0))).tolist() == right


NO_NUMBERS = {
    "dates": (np.array(["2020-01-01"], "M8[D]"), "dates.*days since"),
    "spans": (np.array([5], "m8[s]"), "spans of time.*divide"),
    "records": (np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]), "records.*columns"),
    "text": (np.array(["1.5"]), "text.*np.unique"),
    "text among numbers": (np.array([[1.0, 2.0], [3.0, "4"]], object), r"objects.*type str, at \(1, 1\)"),
    "dates among numbers": (np.array([1.0, datetime.date(2020, 1, 1)], object), r"objects.*type date, at \(1,\)"),
    "missing": (np.array([1.0, None], object), r"missing values.*type NoneType, at \(1,\)"),
    "missing decimals": ([Decimal("NaN")], "not finite"),
    "too large": ([1, 10**400], "no float holds"),
    "above 2^53": (np.array([2**53 + 1]), "below 4096"),
    "above 2^63": (np.array([2**64 - 1], np.uint64), "below 4096"),
    "a mapping": ({"a": [1.0]}, "type dict"),
    "too small": (np.array([1e-6, -7e-6]), "nearer to 0.*scale"),
}


@pytest.mark.parametrize("name", NO_NUMBERS)
def test_what_is_no_number_or_would_not_be_the_same_is_refused(name):
    data, message = NO_NUMBERS[name]
    for entered in (data, lambda: data):
        with pytest.raises(tacit.TacitError, match=message):
            run(lambda s, d=entered: s.reveal(s.secret(d, owner=0)))


def test_what_is_small_in_its_format():
    """Zeros are zeros; numbers that a format rounds to nothing else are refused, in any format."""
    assert run(lambda s: s.reveal(s.secret(np.zeros(2), owner=0))).tolist() == [0.0, 0.0]
    assert run(lambda s: s.reveal(s.secret(np.array([1e-9, 1.0]), owner=0))).tolist() == [0.0, 1.0]
    with pytest.raises(tacit.BadInput, match=r"2\^-0.*fraction bits"):
        run(lambda s: s.reveal(s.secret(np.array([0.3, -0.2]), owner=0, format=tacit.Format(0, 8))))


def test_frames():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [True, False], "b": [0.5, 2.0], "c": pd.array([1, 2], dtype="Int64")})
    assert run(lambda s: s.reveal(s.secret(frame, owner=0))).tolist() == [[1.0, 0.5, 1.0], [0.0, 2.0, 2.0]]
    for column, message in (
        (pd.array([1, None], dtype="Int64"), "not finite|missing"),
        (pd.array([True, None], dtype="boolean"), "missing"),
        (pd.Categorical(["x", "y"]), "type str"),
        (pd.to_datetime(["2020-01-01", "2020-01-02"]), "type Timestamp"),
    ):
        with pytest.raises(tacit.BadInput, match=message):
            run(lambda s, c=column: s.reveal(s.secret(frame.assign(c=c), owner=0)))


def test_labels_take_memory_for_their_one_hots_alone():
    tracemalloc.start()
    rows = one_hot(np.array([5.0, 3000.0]), 20000, "labels")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows.sum() == 2 and rows[1, 3000] == 1 and peak < 8 * rows.nbytes


OPERATORS = {
    "a * x": lambda a, x: a * x,
    "x * a": lambda a, x: x * a,
    "a - x": lambda a, x: a - x,
    "x / a": lambda a, x: x / a,
    "a / x": lambda a, x: a / x,
    "a @ x": lambda a, x: a @ x,
    "x @ a": lambda a, x: x @ a,
    "a > x": lambda a, x: (a > x) * 1.0,
    "x == a": lambda a, x: (x == a) * 1.0,
    "number": lambda a, x: a[0] + x * np.float32(2.0),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_arrays_as_operands_of_tensors(name):
    a, x = np.array([1.0, 2.0, 4.0]), np.array([1.0, 4.0, 0.5])
    got = run(lambda s: s.reveal(OPERATORS[name](a, s.secret(x, owner=0))))
    np.testing.assert_allclose(got.numpy(), OPERATORS[name](a, x), rtol=1e-3, atol=1e-3)


def test_a_mask_that_is_secret_is_no_index():
    with pytest.raises(tacit.Unsupported, match=r"torch\.where"):
        run(lambda s: (lambda x: s.reveal(x[x > 2]))(s.secret(np.array([1.0, 3.0]), owner=0)))


@pytest.mark.parametrize("value", [123456789, 16777217, -(2**28) + 1])
def test_whole_numbers_that_a_float32_does_not_hold(value):
    for dtype in (np.int64, np.float64):
        data = np.array([value], dtype)
        got = run(lambda s, d=data: s.reveal(s.secret(d, owner=0)), format=tacit.Format(0, 28))
        assert int(got[0]) == value
    assert run(lambda s: s.reveal(s.secret(np.array([0.5]), owner=0))).dtype == torch.float32


def table(tmp_path, text, *columns, **options):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return tacit.read_csv(path, *columns, **options).tolist()


def test_headers_of_csv(tmp_path):
    flowers = "5.1,3.5,setosa\n4.9,3.0,setosa\n"
    assert table(tmp_path, flowers, [0, 1]) == [[5.1, 3.5], [4.9, 3.0]]
    assert table(tmp_path, "0,1\n5.1,3.5\n") == [[5.1, 3.5]]
    assert table(tmp_path, "2019,2020,2021\n1,2,3\n", header=True) == [[1, 2, 3]]
    assert table(tmp_path, "2019,2020,2021\n1,2,3\n", header=False) == [[2019, 2020, 2021], [1, 2, 3]]
    for doubtful in ("2019,2020,2021\n1,2,3\n", "5.1,NA,3\n1,2,3\n", "0,1\n1,0\n"):
        with pytest.raises(tacit.BadInput, match="header=True or header=False"):
            table(tmp_path, doubtful)


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [("a,b\n1,2\n,\n", None, "empty"), ("a,a\n1,2\n", ["a"], "give positions"), ("a,b\n1_000,2\n", None, "no number")],
)
def test_csv_that_would_be_guessed(tmp_path, text, columns, message):
    with pytest.raises(tacit.BadInput, match=message):
        table(tmp_path, text, columns)


def test_coefficients_of_large_data_in_few_places():
    from tacit.learn import LinearRegression

    x = np.random.default_rng(0).normal(size=(50, 2)) * 1e4
    y = x @ np.array([1e-4, -2e-4])
    got = run(
        lambda s: s.reveal(LinearRegression().fit(s.secret(x, owner=0), s.secret(y, owner=1)).coef_),
        format=tacit.Format(8, 18),
    )
    np.testing.assert_allclose(np.asarray(got), [1e-4, -2e-4], rtol=0.02)
