"""A dry run: the script's operations are lowered and priced, and nothing is computed or sent."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tacit.correlations.requests import Material, ProductRequest, Request
from tacit.correlations.source import Source, Ticket
from tacit.engine.engine import Costs
from tacit.preprocessing import ahead
from tacit.preprocessing.dealer import correction_bytes


class DrySource(Source):
    """Takes the place of a source where none is asked: counts what it would be asked for, and writes it to `lists`."""

    name = "none"
    key = 0

    def __init__(self, parties: int, dealer: bool, price: Callable[[Request], int], lists: Path | None = None) -> None:
        """`price`: bytes for a request where no dealer makes it."""
        self._price = correction_bytes if dealer else price
        self.binary = self.late = dealer
        self.summands = 1 if dealer else parties
        self._kinds: Counter[tuple[str, str]] = Counter()
        self.material = 0
        self._lists = None if lists is None else lists.open("xb")

    def request(self, requests: Sequence[Request]) -> Ticket:
        self._kinds.update(_kind(r) for r in requests)
        self.material += sum(map(self._price, requests))
        if self._lists is not None:
            ahead.append(self._lists, requests)
        return Ticket(requests)

    def take(self, ticket: Ticket) -> list[Material]:
        raise AssertionError("a dry run has no material")

    def save(self, costs: Costs, path: Path) -> None:
        """Write the costs that the launcher prints."""
        summary: dict[str, Any] = {
            "rounds": costs.rounds,
            "sends": costs.sends,
            "graphs": costs.graphs,
            "requests": [[*kind, count] for kind, count in self._kinds.items()],
            "by_label": costs.by_label,
            "rounds_by_label": costs.rounds_by_label,
            "material": self.material,
        }
        path.write_text(json.dumps(summary))

    def close(self) -> None:
        if self._lists is not None:
            self._lists.close()


def _kind(request: Request) -> tuple[str, str]:
    name = type(request).__name__.removesuffix("Request").lower()
    form = f" {type(request.form).__name__}" if isinstance(request, ProductRequest) else ""
    return name + form, str(request.shape)
