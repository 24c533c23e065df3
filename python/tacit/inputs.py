"""Tables from files, as arrays of floats. A cell that cannot be used is refused with its file, line and column."""

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import BadInput, ConfigurationError

Array = NDArray[np.float64]
Columns = Sequence[int | str] | None


def read_csv(
    path: str | os.PathLike[str], columns: Columns = None, *, header: bool | str = "infer", delimiter: str = ","
) -> Array:
    """The numbers of a CSV file, [rows, columns]. `columns`: names of the header, or positions.

    `header`: whether the first line has names. "infer" looks at its cells in the chosen columns: names if none of them is a
    number, or if they are the positions 0, 1, ... above numbers with a fraction, as pandas writes them; values if all are
    numbers. `BadInput` where that leaves a doubt: some are numbers, or they count on like years.
    """
    file = Path(path)
    lines = list(_lines(file, delimiter))
    if not lines:
        raise _bad(file, "it is empty; a table of numbers is needed")
    named = _is_header(file, [cells for _, cells in lines], columns) if header == "infer" else bool(header)
    names = lines[0][1] if named else None
    rows = lines[1:] if named else lines
    if not rows:
        raise _bad(file, "it has a header and no rows")
    width = len(lines[0][1])
    chosen = _chosen(file, columns, [n.strip() for n in names] if names else None, width)
    values = np.empty((len(rows), len(chosen)), np.float64)
    for row, (number, cells) in enumerate(rows):
        if len(cells) != width:
            raise _bad(
                file, f"line {number} has {len(cells)} cells, and line {lines[0][0]} has {width}; make them alike"
            )
        for place, column in enumerate(chosen):
            values[row, place] = _number(file, number, column, names, cells[column])
    return values


def read_parquet(path: str | os.PathLike[str], columns: Sequence[str] | None = None) -> Array:
    """The numbers of a Parquet file, [rows, columns]; needs the extra `tacit[data]`."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise ConfigurationError("reading Parquet needs pyarrow: pip install 'tacit[data]'") from None
    file = Path(path)
    if not file.is_file():
        raise _bad(file, "there is no such file; check the path at its owner")
    try:
        with parquet.ParquetFile(file) as opened:
            names = list(opened.schema_arrow.names)
            chosen = [names[i] for i in _chosen(file, columns, names, len(names))]
            table = opened.read(columns=chosen)
    except (pyarrow.ArrowException, OSError) as error:
        raise _bad(file, f"it could not be read as Parquet ({_first_line(error)})") from None
    if not table.num_rows:
        raise _bad(file, "it has no rows")
    return np.column_stack([_column(file, name, table.column(name)) for name in chosen])


def _lines(file: Path, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(number, cells) of each line that is not blank."""
    try:
        with file.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.reader(opened, delimiter=delimiter)
            for cells in reader:
                if len(cells) > 1 or any(cell.strip() for cell in cells):
                    yield reader.line_num, cells
    except FileNotFoundError:
        raise _bad(file, "there is no such file; check the path at its owner") from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _bad(file, f"it could not be read ({_first_line(error)})") from None


def _is_header(file: Path, lines: Sequence[Sequence[str]], columns: Columns) -> bool:
    first, *rest = lines
    if columns is not None and any(isinstance(c, str) for c in columns):
        return True
    places = (
        range(len(first)) if columns is None else [c for c in columns if isinstance(c, int) and 0 <= c < len(first)]
    )
    cells = [first[i].strip() for i in places]
    numbers = sum(map(_is_number, cells))
    if numbers == 0:
        return any(cells)
    whole = [int(cell) for cell in cells if cell.isdecimal()]
    counting = len(whole) == len(cells) and whole == list(range(whole[0], whole[0] + len(whole)))
    below = [row[i] for row in rest for i in places if i < len(row)]
    if counting and whole[0] == 0 and below and all(_is_number(cell) and not _is_whole(cell) for cell in below):
        return True
    if numbers < len(cells) or (counting and (len(whole) > 2 or whole[0] == 0)):
        shown = ", ".join(cells[:4])[:60]
        raise _bad(
            file, f"whether its first line ({shown}) has names or values is not plain: say header=True or header=False"
        )
    return False


def _is_whole(cell: str) -> bool:
    return cell.strip().lstrip("+-").isdecimal()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell  # Python's own 1_000


def _chosen(file: Path, columns: Any, names: list[str] | None, width: int) -> list[int]:
    if columns is None:
        return list(range(width))
    chosen = []
    for column in columns:
        if isinstance(column, str):
            if names is None or column not in names:
                there = f"its columns are {', '.join(names[:20])}" if names else "it has no header: give positions"
                raise _bad(file, f"there is no column {column!r}; {there}")
            if names.count(column) > 1:
                raise _bad(file, f"{names.count(column)} columns are called {column!r}: give positions")
            chosen.append(names.index(column))
        elif not 0 <= column < width:
            raise _bad(file, f"there is no column {column}; it has {width}, numbered from 0")
        else:
            chosen.append(int(column))
    return chosen


def _number(file: Path, line: int, column: int, names: Sequence[str] | None, cell: str) -> float:
    where = f"line {line}, column {column + 1}" + (f" ({names[column].strip()})" if names else "")
    try:
        value = float(cell if _is_number(cell) else "no number")
    except ValueError:
        what = f"{cell[:40]!r} is no number" if cell.strip() else "the cell is empty"
        raise _bad(file, f"{where}: {what}; correct it, or leave its row or column out") from None
    if not np.isfinite(value):
        raise _bad(file, f"{where}: {cell[:40]!r} is not finite; fill or drop it")
    return value


def _column(file: Path, name: str, column: Any) -> Array:
    if column.null_count:
        raise _bad(file, f"column {name!r} has {column.null_count} missing values; fill or drop them")
    values = column.to_numpy()
    if values.dtype.kind not in "biuf":
        raise _bad(file, f"column {name!r} holds {column.type}, not numbers; convert it or leave it out")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise _bad(file, f"column {name!r}, row {row}: {values[row]} is not finite; fill or drop it")
    return np.asarray(values, np.float64)


def _bad(file: Path, why: str) -> BadInput:
    error = BadInput(f"{file}: {why}")
    error.for_peers = "its data file is unusable; its own output says where"
    return error


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
