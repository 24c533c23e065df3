"""Counts of bytes sent and received, rounds and waiting of a channel, by label. Declared costs are compared with them.

Bytes are payload plus the frame header of `HEADER_SIZE` bytes; what TLS and TCP add is left out, so that memory, tcp
and emulated channels count alike. A round is one exchange that sends or expects something.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

HEADER_SIZE = 8
Label = str | Mapping[str, int]
"""A name, or name -> payload bytes for a round in which several named operations share their frames."""


@dataclass(frozen=True, slots=True)
class Totals:
    """Bytes sent and received, rounds, and seconds spent inside `exchange`."""

    sent: int = 0
    received: int = 0
    rounds: int = 0
    seconds: float = 0.0

    def __add__(self, other: Totals) -> Totals:
        return Totals(
            self.sent + other.sent,
            self.received + other.received,
            self.rounds + other.rounds,
            self.seconds + other.seconds,
        )

    def __sub__(self, other: Totals) -> Totals:
        return Totals(
            self.sent - other.sent,
            self.received - other.received,
            self.rounds - other.rounds,
            self.seconds - other.seconds,
        )

    def __bool__(self) -> bool:
        return bool(self.sent or self.received or self.rounds)


@dataclass(frozen=True)
class Snapshot:
    """The state of a meter at one moment, or the difference of two."""

    total: Totals = Totals()
    by_label: Mapping[str, Totals] = field(default_factory=dict)
    sent_to: Mapping[int, int] = field(default_factory=dict)
    received_from: Mapping[int, int] = field(default_factory=dict)

    def __sub__(self, other: Snapshot) -> Snapshot:
        labels = {k: v - other.by_label.get(k, Totals()) for k, v in self.by_label.items()}
        return Snapshot(
            self.total - other.total,
            {k: v for k, v in labels.items() if v},
            {k: v - other.sent_to.get(k, 0) for k, v in self.sent_to.items()},
            {k: v - other.received_from.get(k, 0) for k, v in self.received_from.items()},
        )


class _Sums:
    """Mutable sums, of which `Totals` are made on demand: to make new `Totals` for every round took longer than a small frame."""

    __slots__ = ("received", "rounds", "seconds", "sent")

    def __init__(self) -> None:
        self.sent = self.received = self.rounds = 0
        self.seconds = 0.0

    def add(self, sent: int, received: int, rounds: int, seconds: float) -> None:
        self.sent += sent
        self.received += received
        self.rounds += rounds
        self.seconds += seconds

    def totals(self) -> Totals:
        return Totals(self.sent, self.received, self.rounds, self.seconds)


class Meter:
    """Counts one channel, or several that are given the same meter. Safe to read from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = _Sums()
        self._labels: defaultdict[str, _Sums] = defaultdict(_Sums)
        self._sent: dict[int, int] = {}
        self._received: dict[int, int] = {}
        self.again = 0
        """Bytes sent again after a connection broke off. No total has them: they belong to no operation."""

    def resent(self, size: int) -> None:
        with self._lock:
            self.again += size

    def record(
        self,
        label: Label,
        sent: Iterable[tuple[int, int]],
        received: Iterable[tuple[int, int]],
        seconds: float,
        *,
        rounds: int = 1,
    ) -> None:
        """Add one exchange: (peer, payload bytes) of each frame sent and received."""
        with self._lock:
            out = into = 0
            for peer, size in sent:
                self._sent[peer] = self._sent.get(peer, 0) + size + HEADER_SIZE
                out += size + HEADER_SIZE
            for peer, size in received:
                self._received[peer] = self._received.get(peer, 0) + size + HEADER_SIZE
                into += size + HEADER_SIZE
            self._total.add(out, into, rounds, seconds)
            if isinstance(label, str):
                self._labels[label].add(out, into, rounds, seconds)
            else:
                for name, share_out, share_in, share_seconds in _shares(out, into, seconds, label):
                    self._labels[name].add(share_out, share_in, rounds, share_seconds)

    def total(self) -> Totals:
        with self._lock:
            return self._total.totals()

    def by_label(self) -> dict[str, Totals]:
        with self._lock:
            return {name: sums.totals() for name, sums in self._labels.items()}

    def snapshot(self) -> Snapshot:
        with self._lock:
            labels = {name: sums.totals() for name, sums in self._labels.items()}
            return Snapshot(self._total.totals(), labels, dict(self._sent), dict(self._received))

    def since(self, earlier: Snapshot) -> Snapshot:
        """The amounts added after `earlier` was taken."""
        return self.snapshot() - earlier


def split(whole: Totals, parts: Mapping[str, int]) -> dict[str, Totals]:
    """Share a round among labels in proportion to their bytes: bytes add up exactly, the round counts once for each.

    Received bytes are shared in the same proportion, since parties run the same operations.
    """
    shares = _shares(whole.sent, whole.received, whole.seconds, parts)
    return {name: Totals(sent, received, whole.rounds, seconds) for name, sent, received, seconds in shares}


def _shares(
    sent: int, received: int, seconds: float, parts: Mapping[str, int]
) -> Iterator[tuple[str, int, int, float]]:
    """The part of bytes sent, bytes received and seconds that `split` gives each label."""
    if not parts:
        yield "", sent, received, seconds
        return
    weights = [size if size > 0 else 0 for size in parts.values()]
    weight = sum(weights)
    if not weight:
        weight, weights = len(weights), [1] * len(weights)
    upto = sent_before = received_before = 0
    for name, w in zip(parts, weights, strict=True):
        upto += w
        sent_upto, received_upto = sent * upto // weight, received * upto // weight
        yield name, sent_upto - sent_before, received_upto - received_before, seconds * w / weight
        sent_before, received_before = sent_upto, received_upto


def label_text(label: Label) -> str:
    """A label for messages."""
    if isinstance(label, str):
        return label
    names = list(label)
    return " + ".join(names[:3]) + (f" + {len(names) - 3} more" if len(names) > 3 else "")
