"""Connecting: pins, purposes, strangers, ports, and people's mistakes."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from dataclasses import replace
from typing import Any

import pytest
from networks import connection, endpoints, identity, pins, place, tls, together

from tacit.errors import ConfigurationError, Mismatch, PartyLost, TacitError
from tacit.testing.transport import run, swap
from tacit.transport import Endpoint, Identity, fingerprint, listen, make_identity
from tacit.transport.greeting import OLD, Seen, stamp
from tacit.transport.wire import ANSWER_SIZE, INTRODUCTION_SIZE, Answer, Introduction, Verdict


def pair(a: Endpoint, b: Endpoint, *, within: float = 60.0) -> list[Any]:
    results = together(*[lambda e=e: e.channel("online", [0, 1], within=within) for e in (a, b)])
    a.close()
    b.close()
    return results


def in_turn(*ends: Endpoint) -> list[Any]:
    """The results of the side that connects, then of the one that listens, which waits for the right one."""
    results = [together(lambda e=e: e.channel("online", [0, 1], within=0.2 if e.address else 60))[0] for e in ends]
    for end in ends:
        end.close()
    return results


def test_two_purposes_share_a_port() -> None:
    ends = endpoints(3)
    online = together(*[lambda e=e: e.channel("online", range(3), {"v": "1"}) for e in ends])
    early = ends[2].channel("dealer", [0])  # who connects need not wait until it is asked for
    late = ends[0].channel("dealer", [2])
    assert run([late, early], lambda c: c.exchange({2 - c.me: [b"hi"]}, {2 - c.me: 2})) == [{2: b"hi"}, {0: b"hi"}]
    assert not any(isinstance(r, Exception) for r in run(online, lambda c: swap(c, 9)))
    for closing in (*online, early, late, *ends):
        closing.close()


def test_closing_an_endpoint_leaves_a_connection_alone_that_was_just_greeted(monkeypatch: pytest.MonkeyPatch) -> None:
    closed, admit = threading.Event(), Endpoint._admit

    def slowly(self: Endpoint, sock: socket.socket, peer: int, key: int) -> object:
        secure = admit(self, sock, peer, key)
        assert closed.wait(20)
        return secure

    monkeypatch.setattr(Endpoint, "_admit", slowly)
    ends = endpoints(2)
    channels = together(*[lambda e=e: e.channel("online", range(2), within=10) for e in ends])
    for end in ends:
        end.close()
    closed.set()
    assert run(channels, lambda c: swap(c, 9).keys()) == [{1}, {0}]
    for channel in channels:
        channel.close()


def test_tls_1_3_and_exactly_the_pinned_certificates() -> None:
    channels = tls(2)
    for channel in channels:
        sock = connection(channel, 1 - channel.me)
        assert sock.version() == "TLSv1.3" and "GCM" in (sock.cipher() or "")[0]
        assert sock.getpeercert(binary_form=True) == identity(1 - channel.me).certificate
        channel.close()


@pytest.mark.parametrize("form", ["certificate", "digest", "hex", "colons"])
def test_pins_have_several_forms(form: str) -> None:
    sock = listen("127.0.0.1", 0)
    text = identity(1).fingerprint()
    colons = ":".join(text[i : i + 2] for i in range(0, 64, 2)).upper()
    forms: dict[str, bytes | str] = {
        "certificate": identity(1).certificate,
        "digest": bytes.fromhex(text),
        "hex": text,
        "colons": colons,
    }
    a = Endpoint(0, {0: sock.getsockname()}, identity(0), {1: forms[form]}, listener=sock)
    b = Endpoint(1, {0: sock.getsockname()}, identity(1), pins(2, 1))
    for channel in pair(a, b, within=10):
        channel.close()


def test_the_listener_refuses_a_certificate_that_is_not_pinned() -> None:
    sock = listen("127.0.0.1", 0)
    other = make_identity("other")
    a = Endpoint(0, {0: sock.getsockname()}, identity(0), pins(2, 0), listener=sock)
    b = Endpoint(1, {0: sock.getsockname()}, other, pins(2, 1))
    for error in in_turn(b, a):
        assert isinstance(error, ConfigurationError)
        text = str(error)
        assert "party 1" in text and other.fingerprint() in text and identity(1).fingerprint() in text and "pin" in text


def test_the_connecting_side_refuses_a_certificate_that_is_not_pinned() -> None:
    sock = listen("127.0.0.1", 0)
    other = make_identity("other")
    a = Endpoint(0, {0: sock.getsockname()}, other, pins(2, 0), listener=sock)
    b = Endpoint(1, {0: sock.getsockname()}, identity(1), pins(2, 1))
    error, lost = in_turn(b, a)
    assert isinstance(lost, PartyLost) and lost.party == 1
    assert isinstance(error, ConfigurationError)
    assert "party 0" in str(error) and other.fingerprint() in str(error) and identity(0).fingerprint() in str(error)


def test_a_certificate_without_its_key_proves_nothing() -> None:
    """A thief of the (public) certificate gets past the introduction, but not through TLS."""
    sock = listen("127.0.0.1", 0)
    thief = make_identity("thief")
    a = Endpoint(0, {0: sock.getsockname()}, identity(0), pins(2, 0), listener=sock)
    b = Endpoint(1, {0: sock.getsockname()}, identity(1), pins(2, 1))

    class Stolen(Identity):
        def load_into(self, context: ssl.SSLContext) -> None:
            thief.load_into(context)

    b._identity = Stolen(identity(1).certificate, thief.key)
    for error in pair(a, b, within=1.0):
        assert isinstance(error, TacitError) and not isinstance(error, Mismatch)


def test_strangers_delay_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent ones, garbage, and a client that hangs in the middle of an introduction."""
    monkeypatch.setattr("tacit.transport.greeting.SILENT", 600.0)
    ends = endpoints(2)
    strangers = [socket.create_connection(place(ends[0])) for _ in range(80)]
    for k, stranger in enumerate(strangers[:60]):
        own = identity(1).certificate
        greeting = Introduction(1, 0, len(own)).encode() + own
        stranger.sendall([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 9, greeting[:30], greeting + b"\x16\x03\x01"][k % 3])
    channels = pair(*ends, within=50)
    assert run(channels, lambda c: len(swap(c, 5))) == [1, 1]
    for closing in (*channels, *strangers):
        closing.close()


def _introduction(certificate: bytes, first: Introduction | None = None) -> bytes:
    return (first or Introduction(1, 0, len(certificate), stamp())).encode() + certificate


def _told(address: tuple[str, int] | None, said: bytes) -> Verdict:
    assert address is not None
    with socket.create_connection(address) as stranger:
        stranger.sendall(said)
        return Answer.decode(stranger.recv(ANSWER_SIZE, socket.MSG_WAITALL)).verdict


def test_who_proves_nothing_gets_no_thread_and_no_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate is public, and a recorded first message is taken once: neither buys a handshake."""
    ends = endpoints(2)
    handshakes: list[int] = []
    wrap = Endpoint._wrap

    def counted(self: Endpoint, sock: socket.socket, peer: int, *, server: bool) -> object:
        if server:
            handshakes.append(peer)
        return wrap(self, sock, peer, server=server)

    monkeypatch.setattr(Endpoint, "_wrap", counted)
    certificate = identity(1).certificate
    key = identity(1).agree(identity(0).certificate)
    assert key == identity(0).agree(certificate) != identity(2).agree(certificate)
    proved = Introduction(1, 0, len(certificate), stamp()).proved(key)
    other = Introduction(1, 0, len(certificate), stamp()).proved(bytes(32))
    before = threading.active_count()
    for said in (None, other, replace(proved, stamp=stamp())):
        assert _told(ends[0].address, _introduction(certificate, said)) is Verdict.UNPROVED
    assert handshakes == [] and threading.active_count() == before
    assert _told(ends[0].address, _introduction(certificate, proved)) is Verdict.WELCOME
    for _ in range(3):
        assert _told(ends[0].address, _introduction(certificate, proved)) is Verdict.UNPROVED
    for channel in pair(*ends, within=20):
        channel.close()
    assert len(handshakes) <= 2


@pytest.mark.parametrize("cut", [1, INTRODUCTION_SIZE - 1, INTRODUCTION_SIZE, INTRODUCTION_SIZE + 1])
def test_a_first_message_may_come_in_pieces(cut: int) -> None:
    """Whatever comes in whatever pieces, the port answers on."""
    ends = endpoints(2)
    said = _introduction(identity(1).certificate)
    assert ends[0].address is not None
    with socket.create_connection(place(ends[0])) as stranger:
        stranger.sendall(said[:cut])
        for _ in range(2):  # the first piece was read before the second comes
            assert _told(ends[0].address, said) is Verdict.UNPROVED
        stranger.sendall(said[cut:])
        assert Answer.decode(stranger.recv(ANSWER_SIZE, socket.MSG_WAITALL)).verdict is Verdict.UNPROVED
    for end in ends:
        end.close()


def test_old_first_messages_are_not_taken() -> None:
    seen = Seen()
    first, second = stamp(), stamp()
    old = (int.from_bytes(first[:8], "little") - 2 * OLD).to_bytes(8, "little") + first[8:]
    assert seen.new(first) and seen.new(second) and not seen.new(first) and not seen.new(old)
    assert Seen().new(old)  # by the first clock that is seen


def test_a_party_that_knows_only_a_digest_asks_for_the_certificate() -> None:
    sock = listen("127.0.0.1", 0)
    a = Endpoint(0, {0: sock.getsockname()}, identity(0), {1: identity(1).fingerprint()}, listener=sock)
    b = Endpoint(1, {0: sock.getsockname()}, identity(1), {0: identity(0).fingerprint()})
    for channel in pair(a, b, within=20):
        channel.close()


def test_the_parties_of_one_run_know_each_other_by_its_secret() -> None:
    for other in (b"run", b"another run"):
        sock = listen("127.0.0.1", 0)
        a = Endpoint(0, {0: sock.getsockname()}, identity(0), pins(2, 0), listener=sock, run=b"run")
        b = Endpoint(1, {0: sock.getsockname()}, identity(1), pins(2, 1), run=other)
        for result in pair(a, b, within=20 if other == b"run" else 1.5):
            if other == b"run":
                result.close()
            else:
                assert isinstance(result, PartyLost) and result.party in (0, 1)


def test_more_silent_strangers_than_are_held_keep_no_party_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.transport.greeting.STRANGERS", 16)
    ends = endpoints(2)
    over, held = threading.Event(), []

    def flood() -> None:
        while not over.is_set():
            with contextlib.suppress(OSError):
                held.append(socket.create_connection(place(ends[0]), timeout=1))
            if len(held) > 100:
                held.pop(0).close()

    thread = threading.Thread(target=flood)
    thread.start()
    channels = pair(*ends, within=30)
    over.set()
    thread.join()
    assert run(channels, lambda c: len(swap(c, 5))) == [1, 1]
    for closing in (*channels, *held):
        closing.close()


def test_nothing_is_said_for_each_stranger(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    ends = endpoints(2)
    for k in range(50):
        certificate = identity(1 + k % 2).certificate
        _told(ends[0].address, _introduction(certificate))
    assert len(caplog.records) <= 1
    for end in ends:
        end.close()


def test_a_process_of_an_earlier_run_is_told_apart() -> None:
    ends = endpoints(2)
    earlier = together(*[lambda e=e: e.channel("online", range(2), within=20) for e in ends])
    later = Endpoint(1, {0: ends[0].address or ("", 0)}, identity(1), pins(2, 1))
    with pytest.raises(PartyLost, match=rf"earlier run since .*process {os.getpid()}.*end that one.*127.0.0.1:\d+"):
        later.channel("online", [0], within=6)
    assert run(earlier, lambda c: len(swap(c, 5))) == [1, 1]
    for closing in (*earlier, *ends, later):
        closing.close()


def test_names_that_are_ipv6_only(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    real = socket.getaddrinfo

    def resolve(host: str | None, *args: Any, **options: Any) -> list:
        return real("::1" if host == "only.six" else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    sock = listen("only.six", 0)
    assert sock.family == socket.AF_INET6
    address = ("only.six", sock.getsockname()[1])
    a = Endpoint(0, {0: address}, identity(0), pins(2, 0), listener=sock)
    b = Endpoint(1, {0: address}, identity(1), pins(2, 1))
    for channel in pair(a, b, within=20):
        channel.close()
    with pytest.raises(ConfigurationError, match="name is not known"):
        listen("no such name.invalid", 0)


def test_an_unknown_index_and_a_wrong_address_are_told() -> None:
    ends = endpoints(3)
    host, port = ends[1].address or ("", 0)
    lost = Endpoint(2, {0: (host, port), 1: (host, port)}, identity(2), pins(3, 2))
    with pytest.raises(ConfigurationError, match="is not party 0 but another party"):
        lost.channel("online", [0], within=5)
    unknown = Endpoint(7, {0: ends[0].address or ("", 0)}, make_identity("seven"), pins(1, 7))
    with pytest.raises(ConfigurationError, match="knows no party 7"):
        unknown.channel("online", [0], within=5)
    for end in (*ends, lost, unknown):
        end.close()


def test_a_refusal_is_only_a_hint() -> None:
    """A stranger that shows a wrong certificate does not keep the right party out."""
    ends = endpoints(2)
    other = make_identity("other").certificate
    with socket.create_connection(place(ends[0])) as stranger:
        stranger.sendall(Introduction(1, 0, len(other)).encode() + other)
        answer = Answer.decode(stranger.recv(ANSWER_SIZE))
        assert answer.verdict is Verdict.WRONG_CERTIFICATE and answer.pinned.hex() == identity(1).fingerprint()
    for channel in pair(*ends, within=10):
        channel.close()


def test_a_taken_port_is_named() -> None:
    with listen("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} .* is taken .* another port"):
            Endpoint(0, {0: ("127.0.0.1", port)}, identity(0), pins(2, 0))
    with pytest.raises(ConfigurationError, match="belong to this machine"):
        listen("192.0.2.1", 4000)


def test_an_absent_peer_is_named_with_its_address() -> None:
    with listen("127.0.0.1", 0) as sock:
        host, port = sock.getsockname()
    absent = Endpoint(1, {0: (host, port)}, identity(1), pins(2, 1), names={0: "dealer"})
    start = time.monotonic()
    with pytest.raises(PartyLost, match=f"the dealer .*never came.*127.0.0.1:{port}") as caught:
        absent.channel("online", [0], within=0.5)
    assert caught.value.party == "dealer" and time.monotonic() - start > 0.4
    alone = Endpoint(0, {0: (host, port)}, identity(0), pins(2, 0))
    with pytest.raises(PartyLost, match=f"party 1 .*never came.*127.0.0.1:{port}"):
        alone.channel("online", [1], within=0.3)
    alone.close()


def test_what_answers_may_be_something_else() -> None:
    with listen("127.0.0.1", 0) as sock:  # accepts (the system does) and never answers
        silent = Endpoint(1, {0: sock.getsockname()}, identity(1), pins(2, 1))
        with pytest.raises(PartyLost, match="does not answer"):
            silent.channel("online", [0], within=0.5)


def test_a_late_listener_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    refused, connect = threading.Event(), socket.create_connection

    def tried(*given: Any, **options: Any) -> socket.socket:
        try:
            return connect(*given, **options)
        except ConnectionRefusedError:
            refused.set()
            raise

    monkeypatch.setattr(socket, "create_connection", tried)
    with listen("127.0.0.1", 0) as sock:
        address = sock.getsockname()
    early = Endpoint(1, {0: address}, identity(1), pins(2, 1))

    def late() -> object:
        assert refused.wait(30)
        return Endpoint(0, {0: address}, identity(0), pins(2, 0)).channel("online", [1])

    for channel in together(lambda: early.channel("online", [0]), late):
        channel.close()


def test_a_different_hello_stops_all_sides() -> None:
    ends = endpoints(3)
    hello = [{"version": f"0.{i // 2 + 1}.0", "field": "p"} for i in range(3)]
    errors = together(*[lambda e=e: e.channel("online", range(3), hello[e.me], within=10) for e in ends])
    for error in errors:
        assert isinstance(error, Mismatch)
        assert "party 0 has '0.1.0', party 1 has '0.1.0', party 2 has '0.2.0'" in str(error)
        assert "'field'" not in str(error)
    for end in ends:
        end.close()


def test_two_parties_may_not_have_one_certificate() -> None:
    with pytest.raises(ConfigurationError, match="party 1 and party 2 have the same certificate"):
        Endpoint(2, {}, identity(2), {0: identity(0).certificate, 1: bytes.fromhex(identity(2).fingerprint())})


def test_missing_settings_are_named() -> None:
    with pytest.raises(ConfigurationError, match="party 0 has no address"):
        Endpoint(0, {}, identity(0), pins(2, 0))
    end = Endpoint(1, {}, identity(1), pins(2, 1))
    with pytest.raises(ConfigurationError, match="party 0 has no address"):
        end.channel("online", [0], within=1)
    with pytest.raises(ConfigurationError, match="no certificate is pinned for party 3"):
        end.channel("online", [3], within=1)
    with pytest.raises(ConfigurationError, match="64 hexadecimal digits"):
        Endpoint(1, {}, identity(1), {0: "abc"})
    assert fingerprint(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
