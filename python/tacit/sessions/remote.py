"""A session between processes: what `tacit.session()` opens in a script that a launcher started."""

import hashlib
import secrets
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tacit.correlations.source import Source
from tacit.engine.rejoin import Door, Return
from tacit.errors import reason
from tacit.numbers.format import Format
from tacit.sessions import context as contexts
from tacit.sessions.context import Context
from tacit.sessions.emulation import emulated
from tacit.sessions.options import MEGABYTE, TIMEOUT, Options, common_hello, session_id, versions
from tacit.sessions.protocols import DEALER_TRUST, protocol_kind
from tacit.sessions.session import Session
from tacit.steps import protocol_step
from tacit.transport.channel import Channel
from tacit.transport.endpoint import Endpoint
from tacit.transport.identity import Identity

if TYPE_CHECKING:
    from tacit.preprocessing.store import StoreSource

NONCE = 32


def session(
    *,
    format: Format | None = None,
    topology: str | None = None,
    debug: bool = False,
    guard: bool | int = False,
    backend: str | None = None,
    timeout: float | None = None,
    seed: int = 0,
    on_party_lost: str = "continue",
) -> Session:
    """This party's session, with the other processes that `tacit run` started (or that wait on other hosts).

    `format`: how numbers are held. `topology`: "mesh", or "hub" for fewer bytes among many parties. `debug`: for made-up
    data; EVERY VALUE THAT IS COMPUTED, inputs too, is opened to all parties, and the line where one left its contract is
    named. `guard` (True, or every so many steps) reveals one bit at a step's end, before each reveal and at the end: whether
    any value left its contract. `timeout`: seconds of silence after which a peer counts as lost. `backend`:
    "torch" for secret tensors, "numpy" for secret arrays; by default tensors if the script has imported torch by now. `seed`:
    of the public randomness, such as the order of batches. `on_party_lost`: where the protocol can go on without a lost party,
    "continue" does so, and "raise" raises `PartyLost` for the script to decide. All parties have to give the same.
    """
    context = contexts.take()
    options = Options(
        protocol=context.protocol,
        format=format or Format(),
        topology=topology or context.topology,
        debug=debug,
        guard=int(guard),
        backend=backend,
        timeout=timeout or context.timeout or TIMEOUT,
        seed=seed,
        latency=context.latency,
        bandwidth=context.bandwidth,
        threshold=context.threshold,
        memory=context.memory,
        on_party_lost=on_party_lost,
    )
    return _dry(context, options) if context.plan else joined(context, options)


def _dry(context: Context, options: Options) -> Session:
    from tacit.sessions.dry import DrySource

    kind = protocol_kind(options.protocol, context.parties, options.threshold)
    threshold = options.threshold or kind.threshold(context.parties)
    lists = Path(context.lists) if context.lists else None
    source = DrySource(
        context.parties, context.dealer, lambda request: kind.material(request, context.parties, threshold), lists
    )
    return Session(
        context.me,
        context.parties,
        options,
        None,
        source,
        b"plan",
        report_to=lambda session: source.save(session.engine.costs, Path(context.plan)),
    )


def joined(context: Context, options: Options) -> Session:
    kind = protocol_kind(options.protocol, context.parties)
    store = _stored_source(context) if context.store else None
    endpoint = open_endpoint(context, always=kind.majority)
    opened: list[Channel] = []

    def end(why: str | None) -> None:
        for channel in opened:
            if why is not None:
                channel.stop(why)
            channel.close()
        endpoint.close()
        if store is not None:
            store.close()

    try:
        hello = {**options.hello(context.parties), **versions(), **_script(context)}
        if store is not None:
            hello["store"] = store.id.hex()[:16]
        past: Return | None = None
        if context.rejoin:
            past = Return(
                endpoint,
                context.parties,
                options.threshold or kind.threshold(context.parties),
                hello,
                options.timeout,
                context.wait,
            )
            online, identifier = past.channel, past.session
        else:
            online = endpoint.channel(
                "online", range(context.parties), hello, timeout=options.timeout, within=context.wait
            )
            identifier = agreed_id(online, context)
        opened.append(online)
        source: Source | None = store
        if context.me == 0:
            _announce(kind.warning or (DEALER_TRUST if context.dealer else ""))
        if store is None and kind.sourced:
            if context.dealer:
                source = _dealer_source(context, options, endpoint, opened)
            else:
                source = _own_source(context, options, endpoint, opened, identifier)
        material = opened[-1].meter if len(opened) > 1 else None
        channel = emulated(online, options.latency, options.bandwidth)
        return Session(
            context.me,
            context.parties,
            options,
            channel,
            source,
            identifier,
            signatures=endpoint.signatures,
            material=material,
            on_end=end,
            door=lambda history: Door(endpoint, hello, identifier, history, options.timeout),
            past=past,
        )
    except BaseException as error:
        end(reason(error))
        raise


def open_endpoint(context: Context, always: bool = False) -> Endpoint:
    """`always`: listen for parties that come back."""
    listener = None if context.listener is None else socket.socket(fileno=context.listener)
    if context.key_from is None:
        identity = Identity.load(context.certificate, context.key)
    else:
        identity = Identity.received(context.certificate, context.key_from)
    return Endpoint(
        context.me,
        context.addresses,
        identity,
        {i: pin for i, pin in context.pins.items() if i != context.me},
        names=context.names,
        listener=listener,
        always=always,
        run=bytes.fromhex(context.run),
    )


def _stored_source(context: Context) -> "StoreSource":
    """The source of this party's part of the material that `tacit prepare` made."""
    from tacit.preprocessing.store import StoreSource
    from tacit.preprocessing.vault import read_key

    key = read_key(Path(context.store_key))
    return StoreSource(context.me, context.parties, Path(context.store) / str(context.me), key)


def _dealer_source(context: Context, options: Options, endpoint: Endpoint, opened: list[Channel]) -> Source:
    from tacit.preprocessing.dealer import DealerSource

    channel = endpoint.channel(
        "material",
        [context.parties],
        common_hello(options.protocol, context.parties),
        timeout=options.timeout,
        within=context.wait,
    )
    opened.append(channel)
    return DealerSource(context.me, context.parties, channel)


def _own_source(
    context: Context, options: Options, endpoint: Endpoint, opened: list[Channel], session: bytes
) -> Source:
    """The parties make their correlated randomness themselves, over connections of their own."""
    from tacit.preprocessing.lattice import BYTES, LatticeSource

    hello = common_hello(options.protocol, context.parties)
    channel = endpoint.channel(
        "preparation", range(context.parties), hello, timeout=options.timeout, within=context.wait
    )
    opened.append(channel)
    emulated_line = emulated(channel, options.latency, options.bandwidth)
    budget = options.memory * MEGABYTE // BYTES
    return LatticeSource(context.me, context.parties, emulated_line, session, budget, progress=context.me == 0)


@protocol_step
def agreed_id(channel: Channel, context: Context) -> bytes:
    """A name for this session that no party chose alone."""
    nonce = secrets.token_bytes(NONCE)
    came = channel.exchange({i: [nonce] for i in channel.peers}, dict.fromkeys(channel.peers, NONCE), label="handshake")
    parts = {f"nonce {i}": bytes(n) for i, n in came.items()} | {f"nonce {context.me}": nonce}
    return session_id(parts | {f"pin {i}": pin.encode() for i, pin in context.pins.items()})


def _script(context: Context) -> dict[str, str]:
    """Digests of what runs here: compared by all, shown to all, under a key that who has no list of the parties does not know."""
    script = Path(sys.argv[0]) if sys.argv and sys.argv[0] else None
    content = script.read_bytes() if script is not None and script.is_file() else b""
    arguments = "\0".join(sys.argv[1:]).encode()
    pins = hashlib.blake2b(repr(sorted(context.pins.items())).encode(), digest_size=32).digest()
    found = {"script": content, "arguments": arguments}
    digests = {name: hashlib.blake2b(what, key=pins, digest_size=8).hexdigest() for name, what in found.items()}
    return {"list of parties": hashlib.blake2b(pins, digest_size=8).hexdigest(), **digests}


def _announce(line: str) -> None:
    if line:
        print(f"tacit: {line}.", file=sys.stderr, flush=True)
