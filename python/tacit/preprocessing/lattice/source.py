"""A source without a third party: LowGear's way (Keller, Pastro and Rotaru 2018), with matrix and convolution products (Chen et
al. 2020, Rivinius et al. 2023), and bits and numbers that are made as `jobs` says.

Secure against n - 1 active cheaters: see `batch` for what is checked before anything is given out, and docs/security/README.md.
Everything is over F_p: bits are field elements. A thread makes what is asked for, and then ahead what will be asked for again.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from tacit.correlations.requests import Material, ProductRequest, Request, multiplied
from tacit.correlations.source import Source, Ticket
from tacit.errors import CheatingDetected
from tacit.field import size
from tacit.interaction.checks import Checks
from tacit.preprocessing.lattice.blame import Record, accuse
from tacit.preprocessing.lattice.foresight import Ahead, Copy, Foresight, Outline, outline
from tacit.preprocessing.lattice.jobs import Target
from tacit.preprocessing.lattice.link import Link
from tacit.preprocessing.lattice.maker import Maker, admit, price
from tacit.preprocessing.lattice.sigmas import CheckFailed, Sigma, settle
from tacit.preprocessing.lattice.worker import Worker
from tacit.transport.channel import Channel

BYTES = 200
"""Bytes of memory for each number that a batch authenticates, about, while it is made."""
BUDGET = 1 << 21
"""Numbers of a batch, if nothing else is said."""


@dataclass(frozen=True, eq=False)
class Promised(Ticket):
    """`material` waits for it."""

    material: Callable[[], list[Material]]


class LatticeSource(Source):
    """A party's side. `channel` leads to all other parties, and to nobody else."""

    name = "lattice"
    binary = False
    late = False

    def __init__(
        self,
        me: int,
        parties: int,
        channel: Channel,
        session: bytes,
        budget: int = BUDGET,
        progress: bool = False,
        key: bytes | None = None,
    ) -> None:
        """`budget`: numbers that one batch authenticates, about, of `BYTES` memory each. `progress`: show a bar if it takes long.

        `key`: of all its random numbers, to repeat what a party did; from the operating system by default.
        """
        self.timeout = channel.timeout
        link = Link(me, parties, channel, session, self.order, key)
        self.me, self.parties, self.summands, self.key = me, parties, parties, link.alpha
        self._session, self._progress = session, progress
        self._maker, self._meter = Maker(link, budget), channel.meter
        self._foresight = Foresight()
        self._meters = [channel.meter]
        """The meters of all that the thread talks over."""
        self._worker = Worker(f"tacit-material-{me}", partial(self._pace, channel), channel.timeout)

    def _pace(self, channel: Channel) -> int:
        return sum(m.total().rounds for m in self._meters) + sum(map(channel.progress, channel.peers))

    def chances(self) -> list[tuple[int, str, int]]:
        """docs/security/README.md; a coefficient of an answer takes more than 8 bytes."""
        pairs, sent = self.parties * (self.parties - 1), self._meter.total().sent
        return [
            (self._maker.batches, "batches of material", -58),
            (self._maker.batches * pairs, "proofs of ranges and squares", -57),
            (sent // 8, "coefficients of answers", -72),
        ]

    def request(self, requests: Sequence[Request]) -> Ticket:
        """`MaskReused` for products that it must not make. Their masks are leased until the material is taken."""
        self._maker.alive()
        admit(requests)
        for mask in multiplied(requests):
            mask.lease()
        known = outline(requests)
        copy = self._foresight.take(known)
        material = self._made(requests) if copy is None else self._completed(requests, known, copy)
        cost = sum(price(r, self.parties) * size(r.shape) for r in requests)
        copies = self._foresight.more(requests, known, self._maker.budget // max(cost, 1))
        if copies:
            ahead = Ahead(self._worker.submit(partial(self._ahead, copies)))
            for c in copies:
                c.ahead = ahead
        return Promised(requests, material)

    def take(self, ticket: Ticket) -> list[Material]:
        assert isinstance(ticket, Promised)
        self._maker.alive()
        material = ticket.material()
        for mask in multiplied(ticket.requests):
            mask.release()
        return material

    def _made(self, requests: Sequence[Request]) -> Callable[[], list[Material]]:
        """A list that was not foreseen."""
        future = self._worker.submit(partial(self._first, requests))

        def material() -> list[Material]:
            made = self._worker.result(future)
            return [made[id(r)].material() for r in requests]

        return material

    def _completed(self, requests: Sequence[Request], known: Outline, copy: Copy) -> Callable[[], list[Material]]:
        """The material made ahead; products of older masks that were not foreseen are made now."""
        ahead = copy.ahead
        assert ahead is not None
        settled = ahead.settled = ahead.settled or self._worker.submit(partial(self._settle, ahead))
        missing = [r for i, r in enumerate(requests) if known.older.get(i) != copy.older.get(i)]
        more: Future[dict[int, Target]] | None = None
        if missing:
            more = self._worker.submit(partial(self._missing, requests, copy, missing))

        def material() -> list[Material]:
            self._worker.result(settled)
            if more is None:
                self._hold(requests, copy)
            late = {} if more is None else self._worker.result(more)
            return [(late.get(id(r)) or copy.targets[i]).material() for i, r in enumerate(requests)]

        return material

    # In the thread.

    def _first(self, requests: Sequence[Request]) -> dict[int, Target]:
        link = self._maker.alive()
        try:
            made, sigmas = self._maker.make(requests, requests, self._progress)
            settle(link, sigmas)
        except CheckFailed as failure:
            raise CheatingDetected(f"{failure}: {self._accuse(link, requests)}") from None
        link.record = None  # from now on there are secrets that the keys of random numbers would show
        return made

    def _missing(self, requests: Sequence[Request], copy: Copy, missing: Sequence[Request]) -> dict[int, Target]:
        self._hold(requests, copy)
        try:
            made, sigmas = self._maker.make(missing, requests, self._progress)
            settle(self._maker.alive(), sigmas)
        except CheckFailed as failure:
            raise CheatingDetected(f"{failure}: {UNKNOWN}") from None
        return made

    def _ahead(self, copies: Sequence[Copy]) -> list[Sigma]:
        """Meanwhile values are opened and checked under alpha, which a failed check would show: it waits (`sigmas.settle`)."""
        requests = [r for c in copies for r in c.requests.values()]
        targets, sigmas = self._maker.make(requests, requests)
        for c in copies:
            c.targets = {i: targets[id(r)] for i, r in c.requests.items()}
        return sigmas

    def _settle(self, ahead: Ahead) -> None:
        """When the first of them is asked for: nothing else happens then."""
        try:
            settle(self._maker.alive(), ahead.made.result(0))  # by this thread, before
        except CheckFailed as failure:
            raise CheatingDetected(f"{failure}: {UNKNOWN}") from None

    def _hold(self, requests: Sequence[Request], copy: Copy) -> None:
        for i, target in copy.targets.items():
            if not isinstance(requests[i], ProductRequest):
                self._maker.hold(requests[i], target)

    def _accuse(self, link: Link, requests: Sequence[Request]) -> str:
        record, link.record = link.record, None
        if record is None:
            return UNKNOWN

        def again(me: int, channel: Channel, key: bytes) -> Record:
            self._meters.append(channel.meter)
            own = Link(me, self.parties, channel, self._session, Checks(channel.timeout), key)
            repeated = Maker(own, self._maker.budget)
            told = repeated.alive().record
            assert told is not None
            _, sigmas = repeated.make(requests, requests)
            settle(repeated.alive(), sigmas)
            return told

        return accuse(link, record, again)

    def burn(self) -> None:
        super().burn()
        self._maker.burn()
        self._foresight.clear()

    def stop(self) -> None:
        self.order.end()
        self._maker.burn()  # it asks before each batch
        self._worker.stop()


UNKNOWN = "whose doing it was does not show; start again, without that party if you know it"
