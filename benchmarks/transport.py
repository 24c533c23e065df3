"""Round time and throughput of the TLS channel between processes of this machine. `python benchmarks/transport.py`."""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from tacit.transport import Channel, Endpoint, Identity, listen, make_identity

Result = dict[str, Any]
MIB = 1 << 20


def rounds(channel: Channel, count: int, size: int) -> float:
    """Seconds for each round of `size` bytes to and from every peer."""
    frame = bytes(size)
    out, expect = {peer: [frame] for peer in channel.peers}, dict.fromkeys(channel.peers, size)
    for _ in range(min(50, count)):
        channel.exchange(out, expect)
    start = time.perf_counter()
    for _ in range(count):
        channel.exchange(out, expect)
    return (time.perf_counter() - start) / count


def _party(
    me: int,
    listener: socket.socket,
    identity: Identity,
    addresses: dict[int, tuple[str, int]],
    pins: dict[int, bytes],
    work: Callable[..., float],
    args: tuple[int, ...],
    answer: Connection,
) -> None:
    with (
        Endpoint(me, addresses, identity, pins, listener=listener) as endpoint,
        endpoint.channel("online", addresses, {}) as channel,
    ):
        answer.send(work(channel, *args))


def between(n: int, work: Callable[..., float], *args: int) -> float:
    """The slowest party's figure, each in a process of its own."""
    context = multiprocessing.get_context("spawn")
    identities = [make_identity(f"party {i}") for i in range(n)]
    listeners = [listen("127.0.0.1", 0) for _ in range(n)]
    addresses = {i: listener.getsockname() for i, listener in enumerate(listeners)}
    pins = {i: identity.certificate for i, identity in enumerate(identities)}
    answers, processes = [], []
    for i in range(n):
        here, there = context.Pipe()
        others = {j: pins[j] for j in pins if j != i}
        args_of_party = (i, listeners[i], identities[i], addresses, others, work, args, there)
        processes.append(context.Process(target=_party, args=args_of_party))
        answers.append(here)
    for process in processes:
        process.start()
    figures = []
    for here in answers:
        if not here.poll(120):
            raise TimeoutError("a party gave no figure")
        figures.append(here.recv())
    for process in processes:
        process.join()
    for listener in listeners:
        listener.close()
    return max(figures)


def round_time() -> list[Result]:
    return [
        {
            "name": "transport_round",
            "value": round(between(n, rounds, 2000, 64) * 1e3, 4),
            "unit": "ms",
            "parties": n,
            "note": f"64 bytes to and from each peer over TLS, a process each, loopback, {multiprocessing.cpu_count()} cores",
        }
        for n in (2, 3, 5)
    ]


def throughput() -> list[Result]:
    size = 64 * MIB
    return [
        {
            "name": "transport_both_ways",
            "value": round((n - 1) * size / between(n, rounds, 4, size) / 1e6, 1),
            "unit": "MB/s",
            "parties": n,
            "note": "frames of 64 MiB over TLS, both ways at once; what one party sends",
        }
        for n in (2, 3)
    ]


def run() -> list[Result]:
    return [*round_time(), *throughput()]


if __name__ == "__main__":
    for result in run():
        figure = f"{result['value']:>10} {result['unit']:<5} {result['parties']} parties"
        print(f"{figure}  {result['name']} ({result['note']})")
