"""The conformance suite of `Channel`. A new implementation supplies a maker and runs all of `CHECKS`:

    @pytest.mark.parametrize("check", transport.CHECKS, ids=lambda check: check.__name__)
    def test_conformance(check):
        check(make)

`make(n, timeout=..., names=...)` returns the channels of n parties; each is used by a thread of its own here.
Also `Tampered`, a party whose outgoing frames an attacker changes.
"""

from __future__ import annotations

import array
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from tacit.errors import Mismatch, PartyLost, PeerStopped, TacitError
from tacit.transport.channel import Around, Channel, Round, Skip
from tacit.transport.handshake import handshake
from tacit.transport.meter import HEADER_SIZE, Totals

LARGE = 64 << 20
SOON = 1.0
"""The time-out of channels in checks that wait for it."""
SLACK = 30.0
"""How much later than its time-out a wait may end on a busy machine."""


class Maker(Protocol):
    def __call__(self, n: int, *, timeout: float = 60.0, names: Mapping[int, str] | None = None) -> list[Channel]: ...


Work = Callable[[Channel], Any]
Check = Callable[[Maker], None]
CHECKS: list[Check] = []


def _check(function: Check) -> Check:
    CHECKS.append(function)
    return function


def run(channels: Sequence[Channel], *works: Work, limit: float = 60.0) -> list[Any]:
    """Run `works[i]` (or the only one) on channel i in a thread each; results or the TacitErrors that they raised.

    Other exceptions are raised here, and so is a thread that does not end: nothing may hang.
    """
    results: list[Any] = [None] * len(channels)
    bugs: list[BaseException] = []

    def one(i: int) -> None:
        try:
            results[i] = works[i if len(works) > 1 else 0](channels[i])
        except TacitError as error:
            results[i] = error
        except BaseException as error:
            bugs.append(error)

    threads = [threading.Thread(target=one, args=(i,), daemon=True) for i in range(len(channels))]
    for thread in threads:
        thread.start()
    end = time.monotonic() + limit
    for i, thread in enumerate(threads):
        thread.join(max(0.0, end - time.monotonic()))
        if thread.is_alive():
            raise AssertionError(f"party {i} hangs")
    if bugs:
        raise bugs[0]
    return results


def pattern(sender: int, receiver: int, size: int) -> bytes:
    """Bytes that tell frames of different parties and positions apart."""
    unit = bytes((sender * 31 + receiver * 7 + k * (k >> 3)) & 255 for k in range(251))
    return (unit * (size // 251 + 1))[:size]


def swap(channel: Channel, size: int, label: str = "swap") -> dict[int, bytearray]:
    """Send a pattern to everybody, and get one from everybody."""
    return channel.exchange(
        {peer: [pattern(channel.me, peer, size)] for peer in channel.peers},
        dict.fromkeys(channel.peers, size),
        label=label,
    )


def _finish(channels: Sequence[Channel]) -> None:
    for channel in channels:
        channel.close()


@_check
def everybody_gets_everything(make: Maker) -> None:
    for n in (2, 3, 5):
        channels = make(n)
        assert [c.me for c in channels] == list(range(n))
        assert all(c.peers == tuple(j for j in range(n) if j != c.me) for c in channels)
        for me, frames in enumerate(run(channels, lambda c: swap(c, 1000))):
            assert {peer: bytes(f) for peer, f in frames.items()} == {
                peer: pattern(peer, me, 1000) for peer in range(n) if peer != me
            }
        _finish(channels)


@_check
def sizes_differ(make: Maker) -> None:
    sizes = [0, 1, 7, 8, 4096, 16384, 16385, 65536, 100_003, 1_000_000]
    channels = make(2)

    def work(channel: Channel) -> None:
        other = 1 - channel.me
        mine_first = sizes if channel.me else sizes[::-1]
        for mine, theirs in zip(mine_first, mine_first[::-1], strict=True):
            data = pattern(channel.me, other, mine)
            cut = mine // 3
            frame = channel.exchange({other: [data[:cut], b"", bytearray(data[cut:])]}, {other: 1 << 20})[other]
            assert isinstance(frame, bytearray)
            assert frame == pattern(other, channel.me, theirs)

    assert run(channels, work) == [None, None]
    _finish(channels)


@_check
def any_contiguous_buffer_is_sent(make: Maker) -> None:
    channels = make(2)
    words = array.array("Q", range(1000))
    grid = memoryview(words).cast("B").cast("Q", (10, 100))
    empty = array.array("d")

    def work(channel: Channel) -> bytearray:
        other = 1 - channel.me
        return channel.exchange({other: [words, empty, grid]}, {other: 16000})[other]

    assert all(bytes(frame) == words.tobytes() * 2 for frame in run(channels, work))
    try:
        channels[0].exchange({1: [memoryview(words)[::2]]}, {})
    except ValueError as error:
        assert "contiguous" in str(error)
    else:
        raise AssertionError("a buffer with gaps was accepted")
    _finish(channels)


@_check
def empty_frames_count(make: Maker) -> None:
    channels = make(3)
    for _ in range(3):
        for channel, frames in zip(channels, run(channels, lambda c: swap(c, 0)), strict=True):
            assert frames == dict.fromkeys(channel.peers, b"")
    assert channels[0].meter.total().sent == 3 * 2 * HEADER_SIZE
    assert channels[0].exchange({}, {}) == {} and channels[0].meter.total().rounds == 3
    _finish(channels)


@_check
def large_frames_both_ways_at_once(make: Maker) -> None:
    channels = make(2)
    data = [pattern(i, 1 - i, LARGE) for i in range(2)]
    frames = run(channels, lambda c: c.exchange({1 - c.me: [data[c.me]]}, {1 - c.me: LARGE}))
    assert frames[0][1] == data[1] and frames[1][0] == data[0]
    _finish(channels)


@_check
def large_frames_in_a_ring(make: Maker) -> None:
    """Each sends to the next and expects from the one before: nobody's peer reads what it sends from whom it hears."""
    channels = make(3)

    def work(channel: Channel) -> bool:
        after, before = (channel.me + 1) % 3, (channel.me + 2) % 3
        data = pattern(channel.me, after, LARGE // 4)
        return channel.exchange({after: [data]}, {before: LARGE})[before] == pattern(before, channel.me, LARGE // 4)

    assert run(channels, work) == [True] * 3
    _finish(channels)


@_check
def many_small_rounds(make: Maker) -> None:
    channels = make(3)

    def work(channel: Channel) -> None:
        for k in range(300):
            number = k.to_bytes(4, "big")
            frames = channel.exchange({p: [number] for p in channel.peers}, dict.fromkeys(channel.peers, 4))
            assert all(int.from_bytes(f, "big") == k for f in frames.values())

    assert run(channels, work) == [None] * 3
    assert all(c.meter.total().rounds == 300 for c in channels)
    _finish(channels)


@_check
def a_fast_peer_is_ahead(make: Maker) -> None:
    channels = make(2)
    for k in range(5):
        channels[0].exchange({1: [pattern(0, k, 100 * k)]}, {})
    for k in range(5):
        assert channels[1].exchange({}, {0: 1000})[0] == pattern(0, k, 100 * k)
    _finish(channels)


@_check
def running_ahead_is_bounded(make: Maker) -> None:
    """Whoever sends without end to a peer that does not read is told so; nobody's memory fills up."""
    channels = make(2, timeout=SOON)
    data = bytes(16 << 20)
    for _ in range(40):
        try:
            channels[0].exchange({1: [data]}, {}, label="flood")
        except PartyLost as error:
            assert error.party == 1 and error.operation == "flood"
            break
    else:
        raise AssertionError("640 MiB were kept for a peer that reads nothing")
    _finish(channels)


@_check
def a_frame_too_long_is_refused(make: Maker) -> None:
    channels = make(2)
    channels[0].exchange({1: [bytes(65)]}, {}, label="seven words")
    try:
        channels[1].exchange({}, {0: 64}, label="eight words")
    except Mismatch as error:
        assert "party 0" in str(error) and "eight words" in str(error) and "64" in str(error)
    else:
        raise AssertionError("a frame that is too long was accepted")
    _finish(channels)


@_check
def what_is_passed_over_takes_nothing(make: Maker) -> None:
    channels = make(2)
    for frame in (bytes(100_000), b"", b"short", bytes(9), b"last"):
        channels[0].exchange({1: [frame]}, {})
    assert [channels[1].exchange({}, {0: Skip(8)})[0] for _ in range(3)] == [b"", b"short", b"last"]
    channels[0].exchange({1: [b"more"]}, {})
    assert channels[1].exchange({}, {0: 4}) == {0: b"more"}
    _finish(channels)


@_check
def some_only_send(make: Maker) -> None:
    channels = make(3)

    def work(channel: Channel) -> int:
        if channel.me == 2:
            channel.exchange({0: [b"a"], 1: [b"bc"]}, {}, label="deal")
            return 0
        return len(channel.exchange({}, {2: 2}, label="deal")[2])

    assert run(channels, work) == [1, 2, 0]
    assert channels[2].meter.by_label()["deal"].received == 0
    _finish(channels)


@_check
def a_stranger_is_a_bug(make: Maker) -> None:
    channels = make(2)
    for out, expect in (({7: [b""]}, {}), ({}, {0: 5})):
        try:
            channels[0].exchange(out, expect)
        except ValueError:
            continue
        raise AssertionError("an index that is no peer was accepted")
    _finish(channels)


@_check
def a_peer_closes(make: Maker) -> None:
    channels = make(2)
    channels[1].close()
    channels[1].close()
    error = run(channels[:1], lambda c: swap(c, 10, "sum"))[0]
    assert isinstance(error, PartyLost) and error.party == 1 and error.operation == "sum" and "closed" in error.why
    channels[0].close()
    channels[0].stop("too late")
    error = run(channels[:1], lambda c: swap(c, 10))[0]
    assert isinstance(error, TacitError) and "was closed" in str(error)


@_check
def a_frame_outlives_its_sender(make: Maker) -> None:
    for end in (lambda c: c.close(), lambda c: c.stop("enough")):
        channels = make(2)
        channels[0].exchange({1: [pattern(0, 1, 50_000)]}, {})
        end(channels[0])
        assert channels[1].exchange({0: [b"hello"]}, {0: 50_000})[0] == pattern(0, 1, 50_000)
        assert isinstance(run(channels[1:], lambda c: swap(c, 1))[0], PartyLost | PeerStopped)
        _finish(channels)


@_check
def a_peer_says_why_it_stops(make: Maker) -> None:
    channels = make(3)
    channels[1].stop("its MAC check failed\n\x1b[31m")
    channels[1].close()
    for channel in (channels[0], channels[2]):
        for _ in range(2):
            error = run([channel], lambda c: c.exchange({1: [b"x"]}, {1: 1}))[0]
            assert isinstance(error, PeerStopped) and error.party == 1 and "its MAC check failed" in error.message
            assert "\n" not in error.message and "\x1b" not in error.message
    frames = run([channels[0], channels[2]], lambda c: c.exchange({2 - c.me: [b"on"]}, {2 - c.me: 2}))
    assert frames == [{2: b"on"}, {0: b"on"}]  # who is left can go on without it
    _finish(channels)


@_check
def a_sender_learns_why(make: Maker) -> None:
    """Also a party that only sends is told, even if its peer has gone."""
    channels = make(2)
    channels[1].stop("disk full")
    channels[1].close()

    def work(channel: Channel) -> None:
        for _ in range(1000):
            channel.exchange({1: [bytes(10_000)]}, {})
            time.sleep(0.001)

    error = run(channels[:1], work)[0]
    assert isinstance(error, PeerStopped) and error.message == "disk full"
    _finish(channels)


@_check
def a_silent_peer_is_named_in_time(make: Maker) -> None:
    channels = make(3, timeout=SOON, names={2: "dealer"})
    start = time.monotonic()
    errors = run(channels[:2], lambda c: swap(c, 100, "multiply"))
    assert SOON * 0.9 <= time.monotonic() - start < SOON + SLACK
    for error in errors:
        assert isinstance(error, PartyLost) and error.party == "dealer" and error.operation == "multiply"
        assert "the dealer" in str(error)
    start = time.monotonic()
    error = run(channels[:1], lambda c: c.exchange({}, {2: 1}, timeout=SOON / 4))[0]
    assert isinstance(error, PartyLost) and time.monotonic() - start < SOON / 4 + SLACK
    _finish(channels)


@_check
def everybody_ends_when_one_dies(make: Maker) -> None:
    channels = make(4, timeout=600.0)

    def work(channel: Channel) -> None:
        for k in range(100):
            if channel.me == 3 and k == 20:
                channel.close()
                return
            try:
                swap(channel, 200)
            except TacitError as error:
                channel.stop(str(error))
                raise

    *errors, _ = run(channels, work, limit=60.0)
    assert all(isinstance(e, PartyLost | PeerStopped) for e in errors)
    assert any(isinstance(e, PartyLost) and e.party == 3 for e in errors)
    assert all(e.party == 3 or "party 3" in e.message for e in errors)
    _finish(channels)


@_check
def meters_agree(make: Maker) -> None:
    channels = make(3)

    def work(channel: Channel) -> None:
        swap(channel, 100, "a")
        before = channel.meter.snapshot()
        both = {"b": 10, "c": 20}
        channel.exchange({p: [bytes(30)] for p in channel.peers}, dict.fromkeys(channel.peers, 30), label=both)
        since = channel.meter.since(before)
        assert set(since.by_label) == {"b", "c"} and since.total.rounds == 1

    assert run(channels, work) == [None] * 3
    seen = [channel.meter.snapshot() for channel in channels]
    for i in range(3):
        for j in channels[i].peers:
            assert seen[i].sent_to[j] == seen[j].received_from[i] == 100 + 30 + 2 * HEADER_SIZE
        total, labels = channels[i].meter.total(), channels[i].meter.by_label()
        assert total.rounds == 2 and total.sent == total.received == 2 * (130 + 2 * HEADER_SIZE) and total.seconds > 0
        assert [labels[k].rounds for k in "abc"] == [1, 1, 1]
        assert sum((labels[k] for k in "abc"), Totals()).sent == total.sent
        assert abs(labels["c"].sent - 2 * labels["b"].sent) <= 2
    _finish(channels)


@_check
def nothing_is_shared(make: Maker) -> None:
    channels = make(2)
    data = bytearray(b"secret" * 10)
    channels[0].exchange({1: [data]}, {})
    data[:] = bytes(len(data))
    frame = channels[1].exchange({}, {0: 60})[0]
    assert frame == b"secret" * 10
    frame.clear()  # it is the receiver's own
    _finish(channels)


@_check
def handshakes_compare(make: Maker) -> None:
    channels = make(3)
    assert run(channels, lambda c: handshake(c, {"version": "0.1.0", "script": "ab"})) == [None] * 3

    def work(channel: Channel) -> None:
        new = {"new": "x"} if channel.me else {}
        handshake(channel, {"version": f"0.{channel.me // 2}.0", "protocol": "spdz", **new})

    for error in run(channels, work):
        assert isinstance(error, Mismatch)
        text = str(error)
        assert "'version'" in text and "party 0 has '0.0.0'" in text and "party 2 has '0.1.0'" in text
        assert "party 0 has nothing" in text and "spdz" not in text
    _finish(channels)


Tamper = Callable[[int, int, bytearray, str], "bytearray | bytes | Sequence[bytearray | bytes] | None"]


class Tampered(Around):
    """A channel whose outgoing frames an attacker changes.

    `tamper(peer, round, payload, label)` returns what to send instead: a frame, a list of frames, or None for nothing.
    """

    def __init__(self, channel: Channel, tamper: Tamper) -> None:
        super().__init__(channel)
        self._tamper, self._count = tamper, 0

    def _round(self, asked: Round) -> None:
        last: dict[int, list[memoryview]] = {}
        for peer, pieces in asked.out.items():
            changed = self._tamper(peer, self._count, bytearray().join(pieces), asked.where)
            several = [changed] if isinstance(changed, bytes | bytearray) else list(changed or [])
            for frame in several[:-1]:
                self._inner._round(replace(asked, out={peer: [memoryview(frame)]}, expect={}))
            if several:
                last[peer] = [memoryview(several[-1])]
        self._count += 1
        self._inner._round(replace(asked, out=last))
