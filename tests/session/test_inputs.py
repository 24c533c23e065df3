"""Tables from files."""

import numpy as np
import pytest

import tacit


def written(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    return path


def test_csv(tmp_path):
    path = written(tmp_path, "age, height\n31,1.7\n\n45,1e0\n")
    np.testing.assert_array_equal(tacit.read_csv(path), [[31, 1.7], [45, 1]])
    np.testing.assert_array_equal(tacit.read_csv(path, ["height"]), [[1.7], [1]])
    np.testing.assert_array_equal(tacit.read_csv(path, [1, 0]), [[1.7, 31], [1, 45]])


def test_csv_without_header(tmp_path):
    path = written(tmp_path, "1;2\n3;4\n")
    np.testing.assert_array_equal(tacit.read_csv(path, delimiter=";"), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(tacit.read_csv(path, delimiter=";", header=True), [[3, 4]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("a,b\n", "no rows"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells"),
        ("a,b\n1,x\n", r"line 2, column 2 \(b\): 'x' is no number"),
        ("a,b\n1,\n", "the cell is empty"),
        ("a,b\n1,nan\n", "not finite"),
    ],
)
def test_csv_that_cannot_be_used(tmp_path, text, message):
    with pytest.raises(tacit.BadInput, match=message) as raised:
        tacit.read_csv(written(tmp_path, text))
    assert "table.csv" in str(raised.value) and "table.csv" not in str(raised.value.for_peers)


def test_columns_and_files_that_are_not_there(tmp_path):
    path = written(tmp_path, "a,b\n1,2\n")
    for columns in (["c"], [2]):
        with pytest.raises(tacit.BadInput, match="there is no column"):
            tacit.read_csv(path, columns)
    with pytest.raises(tacit.BadInput, match="no such file"):
        tacit.read_csv(tmp_path / "absent.csv")
    with pytest.raises(tacit.BadInput, match="could not be read"):
        tacit.read_csv(tmp_path)


def test_parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "table.parquet"
    table = pa.table({"a": [1, 2], "b": [0.5, None], "c": ["x", "y"], "d": [1.0, float("nan")], "e": [3.0, 4.0]})
    parquet.write_table(table, path)
    np.testing.assert_array_equal(tacit.read_parquet(path, ["e", "a"]), [[3, 1], [4, 2]])
    for column, message in [("b", "1 missing"), ("c", "not numbers"), ("d", "not finite"), ("z", "no column")]:
        with pytest.raises(tacit.BadInput, match=message):
            tacit.read_parquet(path, [column])
    path.write_text("no parquet")
    with pytest.raises(tacit.BadInput, match="could not be read"):
        tacit.read_parquet(path)
