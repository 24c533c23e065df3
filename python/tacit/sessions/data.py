"""Data of a party on its way in: loaded at its owner, checked there, announced to the others by shape alone."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import BadInput, Mismatch, OutOfRange, TacitError
from tacit.field import size
from tacit.graph.maps import Shape
from tacit.numbers.format import Format
from tacit.steps import protocol_step
from tacit.transport.channel import Channel

Array = NDArray[np.float64]
LONGEST = 4096
"""Bytes of an announcement."""
MOST_AXES = 16
LARGEST = 1 << 31
"""Elements of one input."""
OTHERS = {
    "U": ("text", "convert it to floats, or number its categories by np.unique(x, return_inverse=True)"),
    "S": ("bytes", "convert it to floats"),
    "c": ("complex numbers", "take its real and imaginary parts"),
    "M": ("dates", "take the days since one of them, or whatever else is meant, as floats"),
    "m": ("spans of time", "divide it by one of them: x / np.timedelta64(1, 's')"),
    "V": ("records", "stack its fields as columns"),
}
"""Kinds of NumPy that are no numbers, and what to use instead."""


def load(data: Any, what: str) -> Array:
    """The owner's data as an array: `data` itself, or what it returns if it can be called."""
    if callable(data) and not hasattr(data, "__array__"):
        data = _called(data, what)
    if data is None:
        raise bad(what, "there is none: its owner has to pass an array, or a function that returns one")
    return _checked(_as_array(data, what), what)


def _called(loader: Callable[[], Any], what: str) -> Any:
    try:
        return loader()
    except OSError as error:
        file = f" ({error.filename})" if error.filename else ""
        failed = BadInput(f"{what}: it could not be read: {error.strerror or error}{file}")
        failed.for_peers = _kind(what, error)
        raise failed from error
    except TacitError as error:
        error.for_peers = error.for_peers or _kind(
            what, error
        )  # what says itself what others may know, as `inputs` does
        raise


def _kind(what: str, error: BaseException) -> str:
    """All that others are told of a loader's error: a path, an address or a cell may be in its text."""
    return f"{what}: its loader failed with {type(error).__name__}; its owner's output says where"


def _as_array(data: Any, what: str) -> NDArray[Any]:
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(data, torch.Tensor):
        dense = data.detach().cpu() if data.layout == torch.strided else data.detach().cpu().to_dense()
        data = (dense.double() if dense.is_floating_point() else dense).numpy()  # NumPy has no bfloat16
    if isinstance(data, np.ma.MaskedArray):
        if hidden := int(np.ma.count_masked(data)):
            raise bad(
                what, f"{hidden} of {data.size} elements are masked: fill them, as by data.filled(0), or drop them"
            )
        data = data.data
    try:
        array: NDArray[Any] = _called(lambda: np.asarray(data), what)
        return array
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
    raise bad(what, "its rows have different lengths; make them equally long")


def _checked(array: NDArray[Any], what: str) -> Array:
    if array.dtype.kind == "O":
        array = _numbers(array, what)
    if array.dtype.kind not in "biuf":
        kind, instead = OTHERS.get(array.dtype.kind, ("something else", "convert it to floats"))
        raise bad(what, f"it holds {kind}, not real numbers; {instead}", f" (it is {array.dtype})")
    values = np.ascontiguousarray(array, np.float64)
    if array.ndim == 0:
        values = values.reshape(())
    finite = np.isfinite(values)
    if not finite.all():
        first = np.argwhere(~finite)[0]
        raise bad(
            what,
            "some elements are not finite (NaN or infinite); fill or drop them",
            f" ({int((~finite).sum())} of {values.size}; the first is {values[tuple(first)]} at {tuple(int(i) for i in first)})",
        )
    return values


def _numbers(array: NDArray[Any], what: str) -> NDArray[Any]:
    """An array of objects that are all real numbers, as floats: what pandas makes of columns of booleans and of floats."""
    types = {type(x) for x in array.flat}
    others = [t for t in types if not issubclass(t, Real | Decimal | np.bool_)]
    if not others:
        with contextlib.suppress(OverflowError):
            return array.astype(np.float64)
        raise bad(what, "it holds whole numbers that no float holds; scale it")
    first = next(i for i, x in np.ndenumerate(array) if type(x) in others)
    raise bad(
        what,
        "it holds objects (or missing values), not real numbers; convert it to floats, a sparse matrix by .toarray()",
        f" (the first is of type {type(array[first]).__name__}, at {first})",
    )


def resolved(values: Array, format: Format, what: str) -> None:
    """Refuses what would enter as nothing but zeros and is not."""
    if values.any() and not np.rint(np.ldexp(values, format.fraction)).any():
        raise bad(
            what,
            f"all of its numbers are nearer to 0 than half a unit of their format's last place, 2^-{format.fraction}, and would "
            "enter as zeros: scale the data, or declare a format with more fraction bits",
            f" (the largest is {np.abs(values).max():g})",
        )


def one_hot(values: Array, classes: int, what: str) -> Array:
    """Class numbers as rows of zeros with a one."""
    wrong = np.argwhere(~np.isin(values, np.arange(classes)))
    if len(wrong):
        first = tuple(int(i) for i in wrong[0])
        raise bad(
            what,
            f"labels are whole numbers from 0 to {classes - 1}, and some are not; np.unique(labels, return_inverse=True) numbers "
            "others",
            f" ({len(wrong)} of {values.size}; the first is {values[first]:g} at {first})",
        )
    rows = np.zeros((*values.shape, classes))
    np.put_along_axis(rows, values.astype(np.int64)[..., None], 1.0, -1)
    return rows


def bad(what: str, public: str, private: str = "") -> BadInput:
    """An error whose `private` part stays at the owner."""
    error = BadInput(f"{what}: {public}{private}")
    error.for_peers = f"{what}: {public}"
    return error


@contextlib.contextmanager
def held_back(format: Format, what: str) -> Iterator[None]:
    """Keep an error from the others: they learn only that there is a value that the format does not hold."""
    try:
        yield
    except OutOfRange as error:
        error.for_peers = (
            f"{what} holds numbers that its format does not (finite, below 2^{format.integer} in magnitude): scale the "
            "data, or declare a format with more integer bits"
        )
        raise


@protocol_step
def announced(channel: Channel, what: str, owner: int, shape: Shape | None) -> Shape:
    """The owner tells the shape of its data, and all tell what they are about to enter. `Mismatch` unless it is the same."""
    mine = channel.me == owner
    note = json.dumps(["enter", what, list(shape) if mine and shape is not None else None]).encode()
    if len(note) > LONGEST:
        raise ValueError(f"the name of an input is too long: {len(note)} bytes in all, at most {LONGEST}")
    came = channel.exchange({i: [note] for i in channel.peers}, dict.fromkeys(channel.peers, LONGEST), label="announce")
    shapes = {i: _read(came[i], i, what, channel.me) for i in channel.peers}
    if mine:
        assert shape is not None
        return shape
    if (given := shapes[owner]) is None:
        raise Mismatch(f"party {owner} announced no shape of {what}: do all parties run one version of tacit?")
    return given


def _read(frame: bytes | bytearray, peer: int, what: str, me: int) -> Shape | None:
    try:
        note = json.loads(bytes(frame))
    except (ValueError, RecursionError):
        note = None
    match note:
        case ["enter", str(theirs), sizes]:
            if theirs != what:
                raise Mismatch(
                    f"party {me} and party {peer} run different programs: here data enters as «{what}», there as "
                    f"{theirs[:200]!a}"
                )
            return None if sizes is None else shape_of(sizes, f"the shape that party {peer} announced of {what}")
    raise Mismatch(
        f"party {me} and party {peer} run different programs: here {what} enters, there something else happens"
    )


def shape_of(sizes: Any, what: str) -> Shape:
    """A shape from outside, before memory is taken for it."""
    good = isinstance(sizes, Sequence) and len(sizes) <= MOST_AXES
    if not good or not all(isinstance(n, int) and 0 <= n <= LARGEST for n in sizes) or size(sizes) > LARGEST:
        raise BadInput(f"{what} is {str(sizes)[:60]}: no list of sizes, or more than {LARGEST} elements in all")
    return tuple(int(n) for n in sizes)
