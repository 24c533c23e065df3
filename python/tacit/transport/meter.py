"""What a channel sent, received and waited for, by label. The figures that costs are held against.

Bytes are payload plus the frame header of `HEADER_SIZE` bytes; what TLS and TCP add is left out, so that memory, tcp
and emulated channels count alike. A round is one exchange that sends or expects something.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
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


class Meter:
    """Counts one channel, or several that are given the same meter. Safe to read from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = Totals()
        self._labels: dict[str, Totals] = {}
        self._sent: dict[int, int] = {}
        self._received: dict[int, int] = {}

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
            whole = Totals(out, into, rounds, seconds)
            self._total += whole
            for name, part in [(label, whole)] if isinstance(label, str) else split(whole, label).items():
                self._labels[name] = self._labels.get(name, Totals()) + part

    def total(self) -> Totals:
        with self._lock:
            return self._total

    def by_label(self) -> dict[str, Totals]:
        with self._lock:
            return dict(self._labels)

    def snapshot(self) -> Snapshot:
        with self._lock:
            return Snapshot(self._total, dict(self._labels), dict(self._sent), dict(self._received))

    def since(self, earlier: Snapshot) -> Snapshot:
        """What was added after `earlier` was taken."""
        return self.snapshot() - earlier


def split(whole: Totals, parts: Mapping[str, int]) -> dict[str, Totals]:
    """Share a round among labels in proportion to their bytes: bytes add up exactly, the round counts once for each.

    What came in is shared in the same proportion, since parties run the same operations.
    """
    names = list(parts)
    if not names:
        return {"": whole}
    weights = [max(0, parts[name]) for name in names]
    if not any(weights):
        weights = [1] * len(names)
    weight, upto = sum(weights), 0
    result = {}
    for name, w in zip(names, weights, strict=True):
        below, upto = upto, upto + w
        result[name] = Totals(
            whole.sent * upto // weight - whole.sent * below // weight,
            whole.received * upto // weight - whole.received * below // weight,
            whole.rounds,
            whole.seconds * w / weight,
        )
    return result


def label_text(label: Label) -> str:
    """A label for messages."""
    if isinstance(label, str):
        return label
    names = list(label)
    return " + ".join(names[:3]) + (f" + {len(names) - 3} more" if len(names) > 3 else "")
