"""Real processes that are killed, stopped, or misbehave after they were let in."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from networks import endpoints, identity, pins, tls, together

from tacit.errors import Mismatch, PartyLost, PeerStopped
from tacit.testing.transport import run, swap
from tacit.transport import Channel, Endpoint, Identity
from tacit.transport.channel import Skip
from tacit.transport.wire import Kind, header

SIZE = 1000


def _swap_for_ever(addresses: dict[int, tuple[str, int]], own: Identity, known: dict[int, bytes]) -> None:
    channel = Endpoint(2, addresses, own, known, always=True).channel("online", [0, 1], {})
    while True:
        swap(channel, SIZE)


@contextmanager
def third_process(timeout: float) -> Iterator[tuple[list[Channel], int]]:
    """Parties 0 and 1 here, party 2 in a process of its own."""
    ends = endpoints(3)
    addresses = {i: end.address for i, end in enumerate(ends)}
    ends.pop().close()  # its port is the process's own: where nothing listens any more, a process has died
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_swap_for_ever, args=(addresses, identity(2), pins(3, 2)), daemon=True)
    process.start()
    channels = together(*[lambda e=e: e.channel("online", range(3), {}, timeout=timeout, within=60) for e in ends])
    try:
        assert process.pid is not None
        yield channels, process.pid
    finally:
        process.kill()
        process.join(10)
        for closing in (*channels, *ends):
            closing.close()


@pytest.mark.parametrize(("what", "timeout", "most"), [(signal.SIGKILL, 20.0, 5.0), (signal.SIGSTOP, 1.0, 6.0)])
def test_a_process_that_goes_is_named_by_both_others(what: signal.Signals, timeout: float, most: float) -> None:
    with third_process(timeout) as (channels, pid):
        gone = threading.Event()
        fallen: list[float] = []

        def work(channel: Channel) -> None:
            for k in range(100_000):
                if channel.me == 0 and k == 50:
                    # All have sent: if it stopped after one send, who waits for the others would look as silent as it.
                    time.sleep(0.2)
                    os.kill(pid, what)
                    fallen.append(time.monotonic())
                    gone.set()
                swap(channel, SIZE, "multiply")

        errors = run(channels, work, limit=30)
        assert gone.is_set() and time.monotonic() - fallen[0] < most
        for error in errors:
            assert isinstance(error, PartyLost) and error.party == 2 and error.operation == "multiply"


def test_a_stalled_process_does_not_hold_up_a_farewell() -> None:
    with third_process(0.5) as (channels, pid):
        swap_all = run(channels, lambda c: len(swap(c, SIZE)))
        assert swap_all == [2, 2]
        os.kill(pid, signal.SIGSTOP)
        data = bytes(32 << 20)
        errors = run(channels, lambda c: c.exchange({2: [data]}, {}))
        assert all(isinstance(e, PartyLost) and e.party == 2 for e in errors)
        start = time.monotonic()
        channels[0].stop("lost party 2")
        assert time.monotonic() - start < 3
        error = run(channels[1:], lambda c: c.exchange({}, {0: 1}))[0]
        assert isinstance(error, PeerStopped) and error.party == 0 and error.message == "lost party 2"


def test_what_was_not_sent_in_time_is_never_sent() -> None:
    """After a failed exchange the caller may reuse its buffers: no later content of theirs may get out."""
    channels = tls(2, timeout=0.3)
    data = bytearray(32 << 20)
    assert isinstance(run(channels[:1], lambda c: c.exchange({1: [data]}, {}))[0], PartyLost)
    data[:] = b"\xff" * len(data)
    error = run(channels, lambda c: c.exchange({1: [b"a"]}, {}), lambda c: c.exchange({}, {0: 32 << 20}))[0]
    assert isinstance(error, PartyLost)
    channels[0].stop("time-out")
    channels[0].close()
    link = channels[1]._links[0]
    run(channels[1:], lambda c: c.exchange({}, {0: 32 << 20}))
    assert b"\xff" not in link._body
    channels[1].close()


def test_a_byte_now_and_then_is_progress_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = tls(2, timeout=0.5)
    sock = channels[0]._links[1].sock

    def trickle() -> None:
        for piece in [header(Kind.DATA, 4), *(bytes([k]) for k in b"slow")]:
            time.sleep(0.2)
            sock.send(piece)

    monkeypatch.setattr("tacit.transport.tcp.SLOWEST", 1)
    assert together(trickle, lambda: channels[1].exchange({}, {0: 4}))[1] == {0: b"slow"}
    start = time.monotonic()
    monkeypatch.setattr("tacit.transport.tcp.SLOWEST", 20)
    error = together(trickle, lambda: channels[1].exchange({}, {0: 4}, timeout=0.4))[1]
    assert isinstance(error, PartyLost) and "slower than" in error.why and time.monotonic() - start < 5
    for channel in channels:
        channel.close()


def test_who_announces_much_and_trickles_is_lost_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = tls(2, timeout=0.5)
    sock, over = channels[0]._links[1].sock, threading.Event()

    def trickle() -> None:
        sock.send(header(Kind.DATA, 1 << 30))
        while not over.wait(0.05):
            sock.send(b"x")

    def wait() -> object:
        try:
            return channels[1].exchange({}, {0: 1 << 30})
        finally:
            over.set()

    monkeypatch.setattr("tacit.transport.tcp.SLOWEST", 200)
    error = together(trickle, wait)[1]
    assert isinstance(error, PartyLost) and "slower than" in error.why and not error.silent
    for channel in channels:
        channel.close()


def test_progress_shows_a_frame_that_is_under_way() -> None:
    """Who votes on lost parties tells by it that a frame is in transit."""
    channels = tls(2, timeout=0.2)
    sock = channels[0]._links[1].sock
    seen = []
    for piece in (header(Kind.DATA, 5000), bytes(3000), b"", bytes(2000)):
        sock.send(piece)
        with contextlib.suppress(PartyLost):
            channels[1].exchange({}, {0: 5000})
        seen.append(channels[1].progress(0))
    assert seen == [8, 3008, 3008, 5008]
    for channel in channels:
        channel.close()


@pytest.mark.parametrize("limit", [1 << 40, 1 << 32, Skip(64)])
def test_memory_is_taken_for_what_came_not_for_what_a_header_says(limit: int) -> None:
    channels = tls(2, timeout=0.3)
    sock = channels[0]._links[1].sock
    sock.send(header(Kind.DATA, 1 << 32) + bytes(1000))
    tracemalloc.start()
    try:
        error = run(channels[1:], lambda c: c.exchange({}, {0: limit}))[0]
        assert isinstance(error, PartyLost) and tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    for channel in channels:
        channel.close()


@pytest.mark.parametrize(
    ("sent", "kind", "why"),
    [
        (b"\xff" * 64, PartyLost, "a frame header that no tacit party sends"),
        (header(Kind.DATA, 1 << 39), Mismatch, "at most 8"),
        (bytes([1, 0, 0, 0, 0, 1, 0, 1]), PartyLost, "header"),
        (bytes(3), PartyLost, "nothing came"),
        (header(Kind.STOP, 4) + b"\xff\xfe\x00\x1b", PeerStopped, ""),
        (header(Kind.END, 0), PartyLost, "closed"),
    ],
)
def test_a_party_that_was_let_in_sends_garbage(sent: bytes, kind: type[Exception], why: str) -> None:
    channels = tls(2, timeout=0.5)
    channels[0]._links[1].sock.send(sent)
    error = run(channels[1:], lambda c: c.exchange({}, {0: 8}, label="open"))[0]
    assert isinstance(error, kind) and why in str(error)
    for channel in channels:
        channel.close()


def test_a_send_that_failed_in_an_earlier_round_is_found_at_once() -> None:
    channels = tls(2, timeout=20)
    channels[0]._links[1].cannot_send = True
    channels[1].close()
    start = time.monotonic()
    error = run(channels[:1], lambda c: c.exchange({1: [b"a"]}, {}))[0]
    assert isinstance(error, PartyLost) and time.monotonic() - start < 5
    channels[0].close()


def test_what_came_is_read_before_time_is_up() -> None:
    channels = tls(3)
    for sender in channels[1:]:
        sender.exchange({0: [b"a"]}, {})
    assert channels[0].exchange({}, {1: 1, 2: 1}, timeout=0).keys() == {1, 2}
    with pytest.raises(PartyLost, match="nothing came"):
        channels[0].exchange({}, {1: 1, 2: 1}, timeout=0)
    for channel in channels:
        channel.close()


def test_bytes_that_are_no_tls_end_the_connection() -> None:
    channels = tls(2, timeout=5)
    raw = socket.socket(fileno=os.dup(channels[0]._links[1].sock.fileno()))
    raw.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    error = run(channels[1:], lambda c: c.exchange({}, {0: 8}))[0]
    assert isinstance(error, PartyLost) and "damaged" in error.why
    raw.close()
    for channel in channels:
        channel.close()
