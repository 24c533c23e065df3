"""The meter's arithmetic, frames on a connection, identities on disk, emulated lines, the attacker's hook, an import's cost."""

from __future__ import annotations

import os
import ssl
import stat
import subprocess
import sys
import threading
from pathlib import Path
from typing import cast

import pytest
from networks import connection, identity, tls

from tacit.errors import ConfigurationError, Mismatch, PartyLost
from tacit.testing.transport import Tampered, run, swap
from tacit.transport import (
    HEADER_SIZE,
    Channel,
    Identity,
    Meter,
    Totals,
    load_certificate,
    make_identity,
    memory,
    network,
)
from tacit.transport.connection import RECORD, Link
from tacit.transport.emulated import Emulated
from tacit.transport.meter import label_text, split
from tacit.transport.wire import Kind, header


class Wire:
    """A socket that gives what is there in pieces of `size` bytes, then has no more."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size = data, size

    def setblocking(self, flag: bool) -> None:
        pass

    def recv_into(self, buffer: memoryview) -> int:
        count = min(len(self._data), len(buffer), self._size)
        if not count:
            raise ssl.SSLWantReadError
        buffer[:count], self._data = self._data[:count], self._data[count:]
        return count


FRAMES = [b"", b"a", b"bc" * 3000, b"", bytes(range(256)) * 70, b"last"]


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 4096, RECORD, 1 << 20])
def test_frames_that_share_records_or_are_cut_anywhere(size: int) -> None:
    data = b"".join(header(Kind.DATA, len(f)) + f for f in FRAMES)
    link = Link(memory.network(2)[0], 1, cast(ssl.SSLSocket, Wire(data, size)))
    for frame in FRAMES:
        found = None
        while found is None:
            moved, found = link.pull(1 << 20, "test")
            assert (moved or found is not None) and link.fault is None
        assert found == frame
    assert link.pull(1 << 20, "test") == (False, None)


def test_what_follows_a_frame_that_is_too_long_is_not_taken_for_one() -> None:
    data = header(Kind.DATA, 11) + bytes(11) + header(Kind.DATA, 1) + b"x"
    link = Link(memory.network(2)[0], 1, cast(ssl.SSLSocket, Wire(data, RECORD)))
    for _ in range(2):
        link.fault = None
        assert link.pull(10, "test") == (True, None)
        assert isinstance(link.fault, Mismatch)
    link.fault = None
    assert link.pull(11, "test") == (True, bytes(11))


def _at_once(channel: Channel, expect: dict[int, int]) -> dict[int, bytearray]:
    """Long before its time-out."""
    (frames,) = run([channel], lambda c: c.exchange({}, expect), limit=60)
    return frames


@pytest.mark.parametrize(("first", "second"), [(5, 6), (20_000, 100), (20_000, 40_000), (RECORD - 8, 3)])
def test_bytes_that_have_left_the_socket_are_not_waited_for(first: int, second: int) -> None:
    """The end of a frame and the next one, or its beginning, come in one record; the socket says nothing of them."""
    channels = tls(3, timeout=600)
    pieces = [header(Kind.DATA, size) + bytes([size % 251]) * size for size in (first, second)]
    stream, cut = b"".join(pieces), len(pieces[0]) + min(len(pieces[1]), 1000)
    socks = [connection(channel, 1) for channel in (channels[0], channels[2])]
    assert socks[0].send(stream[:cut]) == cut
    for frame in (b"a", b"b"):
        assert socks[1].send(header(Kind.DATA, 1) + frame) == 9
    frames = _at_once(channels[1], {0: first, 2: 1})
    assert frames == {0: pieces[0][8:], 2: b"a"}
    if stream[cut:]:
        assert socks[0].send(stream[cut:]) == len(stream) - cut
    frames = _at_once(channels[1], {0: second, 2: 1})
    assert frames == {0: pieces[1][8:], 2: b"b"}
    with pytest.raises(PartyLost, match="nothing came"):
        channels[1].exchange({}, {0: 1, 2: 1}, timeout=0.1)
    for channel in channels:
        channel.close()


def test_a_frame_found_too_long_by_a_later_round_is_a_fault_at_once() -> None:
    channels = tls(3, timeout=20)
    connection(channels[0], 1).send(header(Kind.DATA, 9) + b"abc")
    with pytest.raises(PartyLost, match="nothing came"):
        channels[1].exchange({}, {0: 9, 2: 1}, timeout=0.2)
    with pytest.raises(Mismatch, match="at most 8"):
        channels[1].exchange({}, {0: 8, 2: 1})
    for channel in channels:
        channel.close()


def test_a_wait_reads_only_from_those_that_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = tls(4)
    for sender in channels[2:]:
        sender.exchange({0: [b"a"]}, {})
    pulled: list[int] = []
    pull = Link.pull

    def seen(link: Link, limit: int, where: str) -> tuple[bool, bytearray | None]:
        if link.channel is channels[0]:
            pulled.append(link.peer)
        if pulled == [2, 3]:
            channels[1].exchange({0: [b"a"]}, {})
        return pull(link, limit, where)

    monkeypatch.setattr(Link, "pull", seen)
    assert channels[0].exchange({}, dict.fromkeys((1, 2, 3), 1)).keys() == {1, 2, 3}
    assert sorted(pulled) == [1, 2, 3]
    for channel in channels:
        channel.close()


def test_a_split_adds_up_exactly() -> None:
    whole = Totals(1001, 77, 1, 2.0)
    parts = split(whole, {"a": 3, "b": 0, "c": 10, "d": 7})
    assert sum(part.sent for part in parts.values()) == 1001 and sum(part.received for part in parts.values()) == 77
    assert abs(sum(part.seconds for part in parts.values()) - 2.0) < 1e-12
    assert {part.rounds for part in parts.values()} == {1} and parts["b"].sent == 0
    assert split(whole, {}) == {"": whole}
    assert sum(part.sent for part in split(whole, {"a": 0, "b": 0}).values()) == 1001
    assert label_text({"a": 1, "b": 1, "c": 1, "d": 1}) == "a + b + c + 1 more"


def test_a_meter_may_serve_two_channels() -> None:
    meter = Meter()
    channels = [network(2), network(2)]
    for one in channels:
        one[0].meter = meter
        run(one, lambda c: swap(c, 10))
    assert meter.total().sent == 2 * (10 + HEADER_SIZE) and meter.by_label()["swap"].rounds == 2


def test_identities_are_kept_on_disk(tmp_path: Path) -> None:
    own = make_identity("hospital a")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    own.save(certificate, key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert Identity.load(certificate, key) == own and load_certificate(certificate) == own.certificate
    assert len(own.fingerprint()) == 64 and "PRIVATE" not in repr(own) and "PRIVATE" not in own.pem
    with pytest.raises(ConfigurationError, match="already"):
        own.save(certificate, key)
    os.chmod(key, 0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Identity.load(certificate, key)
    os.chmod(key, 0o600)
    certificate.write_text(identity(0).pem)
    with pytest.raises(ConfigurationError, match="do not belong together"):
        Identity.load(certificate, key)
    with pytest.raises(ConfigurationError, match="no PEM certificate"):
        load_certificate(key)
    with pytest.raises(ConfigurationError, match="cannot read"):
        Identity.load(certificate, tmp_path / "none")
    key.write_bytes(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
    with pytest.raises(ConfigurationError):
        Identity.load(certificate, key)


class Slept(threading.local):
    """In place of `time`: each thread's own, which passes while it sleeps."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_the_emulated_line_takes_the_time_of_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.transport.emulated.time", own := Slept())
    channels = [Emulated(channel, 0.05, 1e6) for channel in network(3)]

    def work(channel: Channel) -> list[float]:
        swap(channel, 10)
        short = own.now
        swap(channel, 50_000)
        return [short, own.now]

    first, second = 2 * (10 + HEADER_SIZE) / 1e6, 2 * (50_000 + HEADER_SIZE) / 1e6  # two frames share the line
    for times in run(channels, work):
        assert times == pytest.approx([0.05 + first, 0.05 + first + second + 0.05], abs=1e-6)
    assert channels[0].meter.total().sent == 2 * (10 + 50_000 + 2 * HEADER_SIZE)


def test_an_attacker_changes_drops_and_repeats() -> None:
    def tamper(peer: int, k: int, data: bytearray, label: str) -> bytearray | list[bytearray] | None:
        if label == "open" and k < 3:
            return (bytearray(b"evil"), [data, data], None)[k]
        return data

    channels = network(2)
    evil = Tampered(channels[0], tamper)

    def work(channel: Channel) -> list[bytes]:
        return [
            bytes(channel.exchange({1 - channel.me: [b"good"]}, {1 - channel.me: 4}, label="open").popitem()[1])
            for _ in range(4)
        ]

    victim = run([evil, channels[1]], work)[1]
    assert victim == [b"evil", b"good", b"good", b"good"]


def test_importing_is_quick_and_leaves_cryptography_out() -> None:
    code = "import sys, tacit.transport; sys.exit('cryptography' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        ).returncode
        == 0
    )
