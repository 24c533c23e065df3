"""All parties in this process, each a thread: for notebooks, tests and first steps. Protects nobody from anybody."""

import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any

from tacit.correlations.source import Source
from tacit.errors import PartyLost, PeerStopped, reason
from tacit.numbers.format import Format
from tacit.preprocessing.dealer import Dealer, DealerSource
from tacit.preprocessing.lattice import BYTES, LatticeSource
from tacit.sessions.emulation import emulated
from tacit.sessions.options import MEGABYTE, TIMEOUT, Options
from tacit.sessions.protocols import protocol_kind
from tacit.sessions.session import Session
from tacit.transport import memory
from tacit.transport.channel import Channel
from tacit.transport.identity import make_identity
from tacit.transport.signing import Signatures

Wrap = Callable[[Channel, int], Channel]
MakeSource = Callable[[int, int], Source | None]


def run(
    function: Callable[..., Any],
    parties: int = 3,
    *,
    protocol: str = "spdz",
    format: Format | None = None,
    topology: str = "mesh",
    debug: bool = False,
    guard: bool | int = False,
    backend: str | None = None,
    timeout: float = TIMEOUT,
    seed: int = 0,
    latency: float | None = None,
    bandwidth: float | None = None,
    threshold: int | None = None,
    sets: int | None = None,
    on_party_lost: str = "continue",
    memory: int = Options.memory,
    args: Sequence[Any] = (),
    wrap: Wrap | None = None,
    source: MakeSource | None = None,
    dealer: bool = True,
) -> list[Any]:
    """function(session, *args) as every party at once; their results by party.

    All parties are threads of this process, and so is the dealer: what they keep from each other, whoever runs this process
    can see. Without `dealer` they make their correlated randomness themselves, as under `tacit run`, which takes longer. If
    one fails, the others are stopped, and the error of the one that failed first is raised.

    `threshold`: how many parties may collude under a protocol for an honest majority; by default as many as it withstands.
    `sets`: above how many sets of parties random numbers are not drawn from keys of sets (`shamir.randomness`).
    `backend`: "torch" for secret tensors, "numpy" for secret arrays; by default tensors if torch is imported by now.
    `latency` (milliseconds one way) and `bandwidth` (Mbit/s of each party) emulate a slow network between the parties.
    `memory`: megabytes that making material may take at a party, about; half as much of it is there at once.
    For tests: `wrap(channel, me)` replaces a party's channel, `source(me, parties)` its source of correlations.
    """
    options = Options(
        protocol=protocol,
        format=format or Format(),
        topology=topology,
        debug=debug,
        guard=int(guard),
        backend=backend,
        timeout=timeout,
        seed=seed,
        latency=latency,
        bandwidth=bandwidth,
        threshold=threshold,
        sets=sets,
        on_party_lost=on_party_lost,
        memory=memory,
    )
    kind = protocol_kind(protocol, parties, threshold)
    sourced = kind.sourced and source is None
    crew = _Crew(
        function, parties, options, args, wrap, source, dealt=sourced and dealer, prepared=sourced and not dealer
    )
    return crew.run()


class _Crew:
    """The threads of one run."""

    def __init__(
        self,
        function: Callable[..., Any],
        parties: int,
        options: Options,
        args: Sequence[Any],
        wrap: Wrap | None,
        source: MakeSource | None,
        *,
        dealt: bool,
        prepared: bool,
    ) -> None:
        self._function, self._parties, self._options, self._args = function, parties, options, args
        self._source = source
        self._session = secrets.token_bytes(16)
        self._channels = [
            emulated(channel if wrap is None else wrap(channel, i), options.latency, options.bandwidth)
            for i, channel in enumerate(memory.network(parties, timeout=options.timeout))
        ]
        self._dealt = dealt
        self._material: list[Channel] = []
        """The channels of correlated randomness: to the dealer, who is the last party, or among the parties."""
        if dealt:
            self._material = memory.network(parties, timeout=options.timeout, extra=1, names={parties: "dealer"})
        elif prepared:
            self._material = [
                emulated(channel, options.latency, options.bandwidth)
                for channel in memory.network(parties, timeout=options.timeout)
            ]
        self._signatures: list[Signatures] = []
        if protocol_kind(options.protocol, parties, options.threshold).majority:
            identities = [make_identity(f"party {i}") for i in range(parties)]
            certificates = {i: identity.certificate for i, identity in enumerate(identities)}
            self._signatures = [Signatures(identity, certificates) for identity in identities]
        self._results: list[Any] = [None] * parties
        self._failures: list[BaseException] = []  # in the order in which they happened
        self._lock = threading.Lock()

    def run(self) -> list[Any]:
        threads = [
            threading.Thread(target=self._party, args=(i,), name=f"tacit-party-{i}", daemon=True)
            for i in range(self._parties)
        ]
        if self._dealt:
            threads.append(threading.Thread(target=self._dealer, name="tacit-dealer", daemon=True))
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        except BaseException as error:
            for channel in [*self._channels, *self._material]:
                channel.stop(reason(error))
            raise
        if self._failures:
            raise first(self._failures)
        return self._results

    def _party(self, me: int) -> None:
        channel = self._channels[me]
        try:
            with self._open(me) as session:
                self._results[me] = self._function(session, *self._args)
        except BaseException as error:
            self._failed(error)
            channel.stop(reason(error))
            if self._material:
                self._material[me].stop(reason(error))
        finally:
            channel.close()
            if self._material:
                self._material[me].close()

    def _open(self, me: int) -> Session:
        source: Source | None = None
        if self._source is not None:
            source = self._source(me, self._parties)
        elif self._dealt:
            source = DealerSource(me, self._parties, self._material[me])
        elif self._material:
            source = LatticeSource(
                me, self._parties, self._material[me], self._session, self._options.memory * MEGABYTE // BYTES
            )
        return Session(
            me,
            self._parties,
            self._options,
            self._channels[me],
            source,
            self._session,
            signatures=self._signatures[me] if self._signatures else None,
            material=self._material[me].meter if self._material else None,
            on_end=self._ending(me),
        )

    def _ending(self, me: int) -> Callable[[str | None], None]:
        def end(why: str | None) -> None:
            if self._material:
                if why is not None:
                    self._material[me].stop(why)
                self._material[me].close()

        return end

    def _dealer(self) -> None:
        channel = self._material[self._parties]
        try:
            Dealer(channel, self._parties).serve()
        except BaseException as error:
            self._failed(error)
            channel.stop(reason(error))
        finally:
            channel.close()

    def _failed(self, error: BaseException) -> None:
        with self._lock:
            self._failures.append(error)


def first(failures: Sequence[BaseException]) -> BaseException:
    """The failure that the others followed from."""
    for echoes in ((PeerStopped, PartyLost), (PeerStopped,), ()):
        for error in failures:
            if not isinstance(error, echoes):
                return error
    raise AssertionError("no failure")
