"""A party that lies at random: one lie of a run, drawn from a seed.

A lie alters one message of the party on its way (`Lying`), or what one step of its own computing takes or gives (`Computing`).
"""

import dataclasses
import json
import random
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tacit.field import P
from tacit.testing import cheating
from tacit.transport.channel import Around, Channel, Round, as_bytes


@dataclass(frozen=True)
class Lie:
    """`what` happens at the `at`-th message with this label, or at the `at`-th call of this step; `seed` draws the rest."""

    kind: str
    """Either "message" or "step"."""
    where: str
    at: int
    what: str
    seed: int

    def __str__(self) -> str:
        what = f"message {self.at + 1} of" if self.kind == "message" else f"call {self.at + 1} of step"
        return f"{what} {self.where!r}: {self.what}"


@dataclass
class Outcome:
    """One party's run: what it sent and computed, what it revealed, and how it ended."""

    messages: dict[str, int] = field(default_factory=dict)
    steps: dict[str, int] = field(default_factory=dict)
    revealed: list[list[float]] = field(default_factory=list)
    """The first numbers of each value that was revealed to this party."""
    lied_at: float | None = None
    ended_at: float = 0.0
    finished: bool = False
    error: str = ""
    message: str = ""

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def load(cls, path: Path) -> "Outcome":
        return cls(**json.loads(path.read_text()))


@dataclass(frozen=True)
class Order:
    """Instructions to a party of an attack: where its outcome goes, and which lie it tells, if any."""

    outcome: str
    lie: Lie | None = None

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def load(cls, path: str) -> "Order":
        found = json.loads(Path(path).read_text())
        return cls(found["outcome"], found["lie"] and Lie(**found["lie"]))


# Lies about messages.


def _bit(frame: bytearray, rng: random.Random) -> list[bytearray]:
    if frame:
        frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
    return [frame]


def _number(frame: bytearray, rng: random.Random) -> list[bytearray]:
    """Adds 1 to a field element."""
    if len(frame) < 8:
        return _bit(frame, rng)
    at = 8 * rng.randrange(len(frame) // 8)
    value = int.from_bytes(frame[at : at + 8], "little")
    frame[at : at + 8] = ((value + 1) % P).to_bytes(8, "little")
    return [frame]


MESSAGE_LIES: dict[str, Callable[[bytearray, random.Random], list[bytearray]]] = {
    "a bit is flipped": _bit,
    "a number is one more": _number,
    "all of it is zero": lambda frame, rng: [bytearray(len(frame))],
    "all of it is random": lambda frame, rng: [bytearray(rng.randbytes(len(frame)))],
    "its last byte is missing": lambda frame, rng: [frame[:-1]],
    "a byte is appended": lambda frame, rng: [frame + b"\0"],
    "it is sent twice": lambda frame, rng: [frame, bytearray(frame)],
    "it is not sent": lambda frame, rng: [],
}


class Lying(Around):
    """`channel`, whose outgoing messages are counted by label, and one of which is altered."""

    def __init__(self, channel: Channel, outcome: Outcome, lie: Lie | None) -> None:
        super().__init__(channel)
        self._outcome, self._lie = outcome, lie

    def _round(self, asked: Round) -> None:
        sent, where = dict(asked.out), asked.where
        for peer, pieces in asked.out.items():
            number = self._outcome.messages.get(where, 0)
            self._outcome.messages[where] = number + 1
            lie = self._lie
            if lie is not None and lie.kind == "message" and (lie.where, lie.at) == (where, number):
                self._outcome.lied_at = time.time()
                altered = MESSAGE_LIES[lie.what](bytearray().join(pieces), random.Random(lie.seed))
                for frame in altered[:-1]:
                    self._inner._round(dataclasses.replace(asked, out={peer: [memoryview(frame)]}, expect={}))
                sent[peer] = [memoryview(altered[-1])] if altered else []
                if not altered:
                    del sent[peer]
        self._inner._round(dataclasses.replace(asked, out=sent))


# Lies about steps.


def _more(value: Any, rng: random.Random, by: int = 1) -> Any:
    """The same with one number, drawn at random, more by `by`; the same if it has no numbers."""
    places = list(_numbers(value))
    if not places:
        return value
    return _altered(value, places[rng.randrange(len(places))], rng, by)


def _numbers(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where `value` has arrays of field elements, or bytes."""
    if isinstance(value, bytes | bytearray) or (isinstance(value, np.ndarray) and value.dtype == np.uint64):
        if len(value.reshape(-1) if isinstance(value, np.ndarray) else value):
            yield path
    elif isinstance(value, list | tuple):
        for i, v in enumerate(value):
            yield from _numbers(v, (*path, i))
    elif isinstance(value, dict):
        for k, v in value.items():
            yield from _numbers(v, (*path, k))


def _altered(value: Any, path: Sequence[Any], rng: random.Random, by: int) -> Any:
    if path:
        head, *rest = path
        if isinstance(value, dict):
            return {**value, head: _altered(value[head], rest, rng, by)}
        parts = [_altered(v, rest, rng, by) if i == head else v for i, v in enumerate(value)]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, np.ndarray):
        changed = value.copy()
        flat = changed.reshape(-1)
        at = rng.randrange(flat.size)
        flat[at] = (int(flat[at]) + by) % P
        return changed
    (changed_bytes,) = _bit(bytearray(value), rng)
    return bytes(changed_bytes)


STEP_LIES = ("a number that it takes is one more", "a number that it gives is one more")


class Computing:
    """Counts the calls of every step, and alters one of them: a number becomes more by `by`, in the field."""

    def __init__(self, outcome: Outcome, lie: Lie | None, by: int = 1) -> None:
        self._outcome, self._lie, self._by = outcome, lie, by

    def of(self, name: str) -> cheating.Lie:
        def call(honest: Callable[..., Any], *given: Any, **named: Any) -> Any:
            number = self._outcome.steps.get(name, 0)
            self._outcome.steps[name] = number + 1
            lie = self._lie
            if lie is None or lie.kind != "step" or (lie.where, lie.at) != (name, number):
                return honest(*given, **named)
            self._outcome.lied_at = time.time()
            rng = random.Random(lie.seed)
            if lie.what == STEP_LIES[0]:
                return honest(*_more(given, rng, self._by), **named)
            made = honest(*given, **named)
            return _sent(made, rng, self._by) if isinstance(made, Generator) else _more(made, rng, self._by)

        return call


def _sent(rounds: Generator[Any, Any, Any], rng: random.Random, by: int) -> Generator[Any, Any, Any]:
    """The rounds, of which the first that sends anything sends something else to everybody."""
    try:
        wanted, lied = next(rounds), False
        while True:
            if not lied and any(_numbers(list(wanted.out.values()))):
                first = next(iter(wanted.out.values()))
                changed = _more(list(first), rng, by)
                same = {i for i, parts in wanted.out.items() if parts is first or _alike(parts, first)}
                for i, parts in list(wanted.out.items()):
                    wanted.out[i] = changed if i in same else parts
                lied = True
            wanted = rounds.send((yield wanted))
    except StopIteration as end:
        return end.value


def _alike(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return [bytes(as_bytes(a)) for a in one] == [bytes(as_bytes(b)) for b in other]
