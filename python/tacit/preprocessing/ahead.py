"""Making what a script will ask for, before it does.

A file of lists: for each forced graph, in order, one msgpack value [number of the first request, packed requests].
Products name masks by the number of their request, of this list or an earlier one; each mask becomes one object again, which
lives as long as some list to come names it: sources remember by identity.
"""

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgpack

from tacit.correlations.masks import Expression, Mask, Masked
from tacit.correlations.requests import LARGEST, ProductRequest, Request, pack, unpack
from tacit.correlations.source import Source
from tacit.errors import Mismatch
from tacit.preprocessing.store import put, stored_elements
from tacit.preprocessing.vault import Writer


def append(file: IO[bytes], requests: Sequence[Request]) -> None:
    """Write one list."""
    file.write(msgpack.packb([requests[0].number, pack(requests)]))


def read(path: Path) -> Iterator[list[Request]]:
    """All lists, one after the other."""
    with path.open("rb") as file:
        for found in msgpack.Unpacker(file, max_buffer_size=LARGEST):
            yield _unpacked(found)


def digest(path: Path) -> str:
    """The hash that parties compare, so that all are going to make the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclasses.dataclass(frozen=True)
class Outlook:
    """A file's summary: how many lists, bytes that party `me` stores, and the last list that names a mask of an earlier one."""

    lists: int
    bytes: int
    last: dict[int, int]

    @classmethod
    def of(cls, path: Path, me: int) -> "Outlook":
        lists = stored = 0
        last: dict[int, int] = {}
        for requests in read(path):
            first = requests[0].number
            for r in requests:
                stored += 8 * stored_elements(r, me)
                last |= {leaf.request.number: lists for leaf in _leaves(r) if leaf.request.number < first}
            lists += 1
        return cls(lists, stored, last)


def prepare(
    source: Source, path: Path, me: int, outlook: Outlook, writer: Writer, group: int, made: Callable[[int], object]
) -> None:
    """Fill `writer` with what the lists ask `source` for, about `group` bytes of lists at once, or one list.

    A source makes much together faster. `made` is told of bytes that were written.
    """
    known = _Known(outlook.last)
    for together in _groups(path, me, group):
        lists = [known.resolved(requests) for requests in together]
        material = iter(source.take(source.request([r for requests in lists for r in requests])))
        for requests in lists:
            put(writer, requests, [next(material) for _ in requests])
            made(8 * sum(stored_elements(r, me) for r in requests))
        writer.sync()  # little by little: at the end the others wait
        known.forget(len(lists))


class _Known:
    """One object for each mask that was named, or will be."""

    def __init__(self, last: dict[int, int]) -> None:
        self._last = last
        self._masks: dict[int, dict[int, Mask]] = {}
        self._done = 0

    def resolved(self, requests: Sequence[Request]) -> list[Request]:
        found = []
        for r in requests:
            if isinstance(r, ProductRequest):
                r = dataclasses.replace(r, x=self._again(r.x), y=self._again(r.y))
            else:
                self._masks[r.number] = {place: Mask(r, place) for place in range(r.count)}
            found.append(r)
        return found

    def _again(self, e: Expression) -> Expression:
        if isinstance(e, Masked):
            return Masked(e.map, tuple(self._again(i) for i in e.inputs))
        number, place = e.id
        if number not in self._masks:
            raise Mismatch(f"a planned product names request {number}, which makes no mask: plan again")
        return self._masks[number][place]

    def forget(self, lists: int) -> None:
        """So many more lists are made: masks that no other one names are dropped."""
        self._done += lists
        self._masks = {n: masks for n, masks in self._masks.items() if self._last.get(n, -1) >= self._done}


def _unpacked(found: Any) -> list[Request]:
    match found:
        case [int(first), [_, *_] as packed] if first >= 0:
            return unpack(packed, first)
    raise Mismatch("the planned lists of requests are malformed: plan again")


def _groups(path: Path, me: int, size: int) -> Iterator[list[list[Request]]]:
    group: list[list[Request]] = []
    held = 0
    for requests in read(path):
        group.append(requests)
        held += 8 * sum(stored_elements(r, me) for r in requests)
        if held >= size:
            yield group
            group, held = [], 0
    if group:
        yield group


def _leaves(r: Request) -> Iterator[Mask]:
    if isinstance(r, ProductRequest):
        yield from (*r.x.leaves(), *r.y.leaves())
