"""Loops over steps and batches. A step's end forces what was written in place, at every party alike."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tacit.errors import BadInput

if TYPE_CHECKING:
    from tacit.sessions.session import Session


def steps(session: "Session", count: int, progress: bool) -> Iterator[int]:
    for index in _shown(session, range(count), count, progress):
        yield index
        session.end_step()


def batches(
    session: "Session",
    data: Sequence[Any],
    batch_size: int,
    epochs: int,
    shuffle: bool,
    seed: int | None,
    drop_last: bool,
    progress: bool,
) -> Iterator[Any]:
    rows = _rows(data)
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size}: a batch has at least one row")
    per_epoch = rows // batch_size if drop_last else -(-rows // batch_size)
    generator = session.generator if seed is None else np.random.default_rng(seed)
    order = _orders(rows, batch_size, epochs, generator if shuffle else None, per_epoch)
    for chosen in _shown(session, order, per_epoch * epochs, progress):
        batch = tuple(_take(session, x, chosen) for x in data)
        yield batch[0] if len(batch) == 1 else batch
        session.end_step()


def _rows(data: Sequence[Any]) -> int:
    if not data:
        raise ValueError("batches() needs at least one secret array")
    lengths = {int(x.shape[0]) if len(x.shape) else 0 for x in data}
    if len(lengths) != 1:
        raise BadInput(f"batches() of data with different numbers of rows: {[tuple(x.shape) for x in data]}")
    return lengths.pop()


def _orders(
    rows: int, size: int, epochs: int, generator: np.random.Generator | None, per_epoch: int
) -> Iterator[NDArray[np.int64]]:
    # Public and equal at all parties; what it chose is part of the graph whose hash they compare.
    for _ in range(epochs):
        order = np.arange(rows) if generator is None else generator.permutation(rows)
        for index in range(per_epoch):
            yield order[index * size : (index + 1) * size]


def _take(session: "Session", x: Any, chosen: NDArray[np.int64]) -> Any:
    return session.rows(x, chosen) if session.is_secret(x) else x[chosen]


def _shown(session: "Session", turns: Iterable[Any], count: int, progress: bool) -> Iterable[Any]:
    if not progress or session.me != 0:
        return turns
    from tqdm import tqdm

    return tqdm(turns, total=count, unit="step", mininterval=0.5, dynamic_ncols=True)
