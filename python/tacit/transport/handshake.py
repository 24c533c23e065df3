"""The first round of a session: every party says what it runs, and all stop if that is not the same everywhere."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from tacit.errors import NAMES, Mismatch, named
from tacit.steps import protocol_step
from tacit.transport.channel import Channel

LONGEST_HELLO = 1 << 16
MOST_FIELDS = 256
SHOWN = 100
MAY_DIFFER = "version of "
"""How fields begin that need not be the same: a difference is told to people, and remembered for what may follow from it."""

log = logging.getLogger("tacit.transport")


@protocol_step
def handshake(channel: Channel, hello: Mapping[str, str], *, timeout: float | None = None) -> None:
    """Compare `hello` with that of every peer; Mismatch at all sides, naming each field that differs and its values."""
    own = encode_hello(hello)
    came = channel.exchange(
        {peer: [own] for peer in channel.peers},
        dict.fromkeys(channel.peers, LONGEST_HELLO),
        label="handshake",
        timeout=timeout,
    )
    said = {channel.me: dict(hello)}
    for peer, frame in sorted(came.items()):
        try:
            said[peer] = decode_hello(frame)
        except ValueError as error:
            raise Mismatch(f"{_who(channel, peer)} sent a greeting that is none: {error}") from None
    who = {peer: _who(channel, peer) for peer in said}
    channel.remark = "; ".join(compare(_fields(said, True), who))
    if channel.remark:
        log.warning("%s: floats that each computes for itself may differ", named(channel.remark, NAMES.get()))
    if differences := compare(_fields(said, False), who):
        raise Mismatch(f"the parties do not run the same: {'; '.join(differences)}. Start all of them alike")


def _fields(said: Mapping[int, Mapping[str, str]], may_differ: bool) -> dict[int, dict[str, str]]:
    return {i: {k: v for k, v in hello.items() if k.startswith(MAY_DIFFER) == may_differ} for i, hello in said.items()}


def compare(said: Mapping[int, Mapping[str, str]], who: Mapping[int, str]) -> list[str]:
    """A sentence for each field whose value is not the same everywhere."""
    order = sorted(said)
    fields = {name: None for index in order for name in said[index]}
    result = []
    for name in fields:
        values = [said[index].get(name) for index in order]
        if len(set(values)) > 1:
            parts = [f"{who[i]} has {_show(v)}" for i, v in zip(order, values, strict=True)]
            result.append(f"{_show(name)}: {', '.join(parts)}")
    return result


def encode_hello(hello: Mapping[str, str]) -> bytes:
    data = json.dumps(dict(hello)).encode()
    if len(data) > LONGEST_HELLO or len(hello) > MOST_FIELDS:
        raise ValueError(f"a hello has at most {MOST_FIELDS} fields and {LONGEST_HELLO} bytes; send digests")
    return data


def decode_hello(data: bytes | bytearray) -> dict[str, str]:
    """Parse a peer's hello; ValueError for anything but a flat object of strings."""
    if len(data) > LONGEST_HELLO:
        raise ValueError("too long")
    try:
        pairs = json.loads(bytes(data).decode("utf-8"), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(pairs, _Pairs):
        raise ValueError("not an object")
    result: dict[str, str] = {}
    for name, value in pairs:
        if not isinstance(value, str) or name in result:
            raise ValueError("not a set of named texts")
        result[name] = value
    if len(result) > MOST_FIELDS:
        raise ValueError("too many fields")
    return result


class _Pairs(list[tuple[str, Any]]):
    """An object's pairs, so that a name that comes twice is seen."""


def _show(value: str | None) -> str:
    """A peer's text for people: quoted, plain ASCII, of bounded length."""
    if value is None:
        return "nothing"
    return ascii(value) if len(value) <= SHOWN else ascii(value[:SHOWN]) + "..."


def _who(channel: Channel, peer: int) -> str:
    who = channel.who(peer)
    return f"party {who}" if isinstance(who, int) else f"the {who}"
