"""Connections break: at any byte, at one end or both, again and again. Nothing that the parties see may tell."""

from __future__ import annotations

import itertools
import os
import threading
from functools import partial

import numpy as np
import pytest
from networks import Breaking, behind, identity, pins, together, until

from tacit.errors import PartyLost, TacitError
from tacit.testing.transport import pattern, run, swap
from tacit.transport import Channel, Endpoint, TcpChannel, mending
from tacit.transport.wire import Ask, Malformed, Position, Reply, Request, Told

SIZES = [0, 1, 8, 500, 16384, 16385, 70_000, 3, 250_000, 0, 17]
TALK = sum(SIZES) * 2 * 3


def talk(channel: Channel, times: int = 3) -> bool:
    """Frames of many sizes, each compared; some rounds in one direction alone."""
    for k, size in enumerate(SIZES * times):
        for peer, frame in swap(channel, size).items():
            assert frame == pattern(peer, channel.me, size), (k, size)
        peers = channel.peers
        if (k + channel.me) % 2:
            channel.exchange({p: [k.to_bytes(2, "big"), bytes(k)] for p in peers if (k + p) % 2 == 0}, {})
        else:
            came = channel.exchange({}, {p: 500 for p in peers if (k + p) % 2})
            assert all(frame == k.to_bytes(2, "big") + bytes(k) for frame in came.values())
    return True


def opened(ends: list[Endpoint], timeout: float = 30.0) -> list[TcpChannel]:
    channels = together(*[lambda e=e: e.channel("online", range(len(ends)), {}, timeout=timeout) for e in ends])
    for channel in channels:
        if isinstance(channel, Exception):
            raise channel
    return channels


def ended(channels: list[TcpChannel], ends: list[Endpoint]) -> None:
    together(*[channel.close for channel in channels])
    for end in ends:
        end.close()


@pytest.fixture(scope="module")
def undisturbed() -> list[tuple[int, int, int]]:
    return [_totals(channel) for channel in _disturbed(2, lambda i, j, a: Breaking(a))[0]]


def _totals(channel: Channel) -> tuple[int, int, int]:
    total = channel.meter.total()
    return total.sent, total.received, total.rounds


def _disturbed(n: int, proxy) -> tuple[list[TcpChannel], dict]:
    ends, proxies = behind(n, proxy)
    channels = opened(ends)
    assert run(channels, talk) == [True] * n
    ended(channels, ends)
    return channels, proxies


@pytest.mark.parametrize("how", ["reset", "end", "connects", "listens"])
@pytest.mark.parametrize("seed", range(2))
def test_a_connection_that_breaks_at_any_byte_is_made_again(how: str, seed: int, undisturbed: list) -> None:
    rng = np.random.default_rng([seed, len(how)])
    limits = [int(rng.integers(1, top)) for top in (500, 3000, 30_000, TALK // 2, 5000, 20_000, TALK // 3, 100_000)]
    channels, proxies = _disturbed(2, lambda i, j, a: Breaking(a, limits[2:] if i > j else [], how))
    assert proxies[1, 0].made > 2
    assert [_totals(channel) for channel in channels] == undisturbed  # what is declared is what is counted
    assert sum(channel.meter.again for channel in channels) > 0


def _breaking_at(limit: int, i: int, j: int, address: tuple[str, int]) -> Breaking:
    return Breaking(address, [limit] * 2)


def test_every_byte_of_the_greeting_and_of_the_first_frames() -> None:
    for limit in (*range(1, 60, 19), *range(400, 6000, 571)):
        ends, _ = behind(2, partial(_breaking_at, limit))
        channels = opened(ends)
        assert run(channels, lambda c: [len(swap(c, size)) for size in (3, 200, 9)]) == [[1] * 3] * 2, limit
        ended(channels, ends)


def test_several_parties_whose_lines_all_break_again_and_again() -> None:
    seeds = itertools.count()

    def proxy(i: int, j: int, address: tuple[str, int]) -> Breaking:
        rng = np.random.default_rng(next(seeds))
        return Breaking(address, (int(x) for x in rng.integers(2000, 900_000, 12)), ["reset", "end", "listens"][i % 3])

    _, proxies = _disturbed(4, proxy)
    assert sum(p.made for p in proxies.values()) > 12


def test_all_lines_at_once_while_parties_compute() -> None:
    """Nobody is in an exchange: frames that were under way are sent again all the same."""
    ends, proxies = behind(3, lambda i, j, a: Breaking(a))
    channels = opened(ends)
    for k in range(3):
        for channel in channels:
            channel.exchange({p: [pattern(channel.me, p, 40_000 + k)] for p in channel.peers}, {})
        for p in proxies.values():
            p.cut()
        for channel in channels:
            came = channel.exchange({}, dict.fromkeys(channel.peers, 50_000))
            assert came == {p: pattern(p, channel.me, 40_000 + k) for p in channel.peers}
    ended(channels, ends)


def test_a_frame_larger_than_any_connection_lives_arrives() -> None:
    """The stream goes on at the byte where it was cut, not at the frame's beginning."""
    ends, proxies = behind(2, lambda i, j, a: Breaking(a, [1 << 20] * 30))
    channels = opened(ends)
    data = [np.random.default_rng(i).bytes(3 << 20) for i in range(2)]
    frames = run(channels, lambda c: c.exchange({1 - c.me: [data[c.me]]}, {1 - c.me: 6 << 20})[1 - c.me])
    assert frames == [data[1], data[0]] and proxies[1, 0].made > 3
    ended(channels, ends)


def test_buffers_may_change_after_the_round() -> None:
    """What is sent again is what was sent, though the caller's array holds something else by then."""
    ends, proxies = behind(2, lambda i, j, a: Breaking(a))
    channels = opened(ends)
    array = np.arange(50_000)
    channels[0].exchange({1: [array]}, {})
    right = array.tobytes()
    proxies[1, 0].cut()
    array[:] = -1
    assert channels[1].exchange({}, {0: len(right)})[0] == right
    ended(channels, ends)


def test_a_line_that_swallows_everything_is_noticed_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A NAT forgets a connection and says nothing: no sign of life comes, so another connection is made."""
    monkeypatch.setattr(mending, "SOONEST", 0.3)
    monkeypatch.setattr(mending, "SILENT", 1)
    ends, proxies = behind(2, lambda i, j, a: Breaking(a, [120_000], "silent"))
    channels = opened(ends, timeout=10.0)
    assert run(channels, lambda c: [len(swap(c, 30_000)) for _ in range(8)]) == [[1] * 8] * 2
    assert proxies[1, 0].made > 1
    ended(channels, ends)


def test_signs_of_life_below_the_limits_of_nats(monkeypatch: pytest.MonkeyPatch) -> None:
    assert mending.heartbeat(60.0) <= 10.0 and mending.quiet(60.0) <= 30.0
    ends, proxies = behind(2, lambda i, j, a: Breaking(a))
    channels = opened(ends, timeout=1.2)
    before, totals, progress = proxies[1, 0].carried, [_totals(c) for c in channels], channels[0].progress(1)
    until(lambda: proxies[1, 0].carried >= before + 400)  # a channel that is not used says something
    # Neither a round nor progress: who only says that it is there is lost.
    assert [_totals(c) for c in channels] == totals
    error = run(channels[:1], lambda c: c.exchange({}, {1: 1}))[0]
    assert isinstance(error, PartyLost) and "nothing came" in error.why and channels[0].progress(1) == progress
    ended(channels, ends)


def test_a_process_that_is_gone_is_not_waited_for() -> None:
    """Where nothing listens any more, or another process does, the time-out is not waited for."""
    for again in (False, True):
        ends, proxies = behind(2, lambda i, j, a: Breaking(a))
        channels = opened(ends, timeout=600.0)
        ends[0].close()  # as the system does for a process that died
        proxies[1, 0].close()
        reborn = Endpoint(0, {0: proxies[1, 0].address}, identity(0), pins(2, 0)) if again else None
        error = run(channels[1:], lambda c: swap(c, 5, "sum"), limit=60)[0]
        assert isinstance(error, PartyLost) and not error.silent and error.operation == "sum"
        assert ("has no part in this session" if again else "nothing listens") in error.why
        ended(channels, [*ends, *([reborn] if reborn else [])])


def test_a_line_that_stays_broken_is_given_up_at_the_time_out() -> None:
    """Something listens and never answers."""
    ends, proxies = behind(2, lambda i, j, a: Breaking(a, [], "reset"))
    channels = opened(ends, timeout=1.0)
    proxies[1, 0]._limits = iter([1] * 10**6)
    proxies[0, 1]._limits = iter([1] * 10**6)
    proxies[1, 0].cut()
    for error in run(channels, lambda c: swap(c, 5)):
        assert isinstance(error, PartyLost) and "broke off" in error.why
    ended(channels, ends)


def test_no_older_connection_no_other_channel_and_no_other_party_takes_a_streams_place() -> None:
    ends, _ = behind(3, lambda i, j, a: Breaking(a))
    channels = opened(ends)
    line = channels[0]._links[1].line
    assert line is not None

    def ask(who: int, token: bytes, epoch: int, kind: Ask = Ask.MEND) -> Reply | None:
        try:
            sock, reply = ends[who]._dial(0, Request(kind, token, epoch, Position(), purpose="online"), 5.0)
            sock.close()
            return reply
        except (OSError, EOFError, Malformed):
            return None

    line.epoch = 5
    assert ask(1, line.token, 5) is None and ask(1, line.token, 0) is None  # held up on the way, or replayed
    told = [ask(1, bytes(16), 9), ask(2, line.token, 9), ask(2, line.token, 9, Ask.CALL)]
    assert [reply and reply.told for reply in told] == [Told.GONE] * 3
    assert run(channels, lambda c: len(swap(c, 50))) == [2] * 3
    ended(channels, ends)


def test_the_last_frame_arrives_though_its_sender_has_closed() -> None:
    for _ in range(3):
        ends, proxies = behind(2, lambda i, j, a: Breaking(a))
        channels = opened(ends)
        data = pattern(0, 1, 300_000)
        channels[0].exchange({1: [data]}, {})
        proxies[1, 0].cut()
        closing = threading.Thread(target=channels[0].close)
        closing.start()
        assert channels[1].exchange({}, {0: len(data)})[0] == data
        ended(channels, ends)
        closing.join(20)


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that never says what it has got does not fill this party's memory; what it then misses is lost, and said to be."""
    monkeypatch.setattr("tacit.transport.connection.KEPT", 100_000)
    monkeypatch.setattr("tacit.transport.connection.TELL", 1 << 40)
    ends, proxies = behind(2, lambda i, j, a: Breaking(a))
    channels = opened(ends, timeout=5.0)
    link = channels[0]._links[1]
    for _ in range(30):
        channels[0].exchange({1: [np.zeros(5000)]}, {})
        assert link._held <= 140_016
    assert sum(frame.size for frame in link._kept) == link._held
    proxies[1, 0].cut()
    results = run(channels, lambda c: [len(swap(c, 40_000)) for _ in range(40)])
    assert all(isinstance(r, list | TacitError) for r in results) and any(isinstance(r, TacitError) for r in results)
    ended(channels, ends)


def test_the_two_ends_of_a_break_need_not_both_see_it() -> None:
    """Only the side that listened was told: it calls the other, which connects again."""
    ends, proxies = behind(2, lambda i, j, a: Breaking(a, [], "listens"))
    channels = opened(ends, timeout=600.0)
    proxies[1, 0].cut()
    assert channels[1].exchange({}, {}) == {}
    assert run(channels, lambda c: len(swap(c, 10)), limit=60) == [1, 1]
    ended(channels, ends)


def test_a_socket_is_let_go_with_each_connection() -> None:
    ends, proxies = behind(2, lambda i, j, a: Breaking(a))
    channels = opened(ends)

    def sockets() -> int:
        return sum("socket" in os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _there(fd))

    def _there(fd: str) -> bool:
        return os.path.lexists(f"/proc/self/fd/{fd}")

    counts = []
    for _ in range(12):
        proxies[1, 0].cut()
        assert run(channels, lambda c: len(swap(c, 10))) == [1, 1]
        counts.append(sockets())
    assert counts[-1] <= counts[2] + 2
    ended(channels, ends)
