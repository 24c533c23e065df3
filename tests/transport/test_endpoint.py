"""Connecting: pins, purposes, strangers, ports, and people's mistakes."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from networks import endpoints, identity, pins, tls, together

from tacit.errors import ConfigurationError, Mismatch, PartyLost, TacitError
from tacit.testing.transport import run, swap
from tacit.transport import Endpoint, Identity, fingerprint, listen, make_identity
from tacit.transport.wire import ANSWER_SIZE, Answer, Introduction, Verdict


def pair(a: Endpoint, b: Endpoint, **options: object) -> list[object]:
    results = together(
        lambda: a.channel("online", [0, 1], **options),  # type: ignore[arg-type]
        lambda: b.channel("online", [0, 1], **options),  # type: ignore[arg-type]
    )
    a.close()
    b.close()
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

    def slowly(self: Endpoint, sock: socket.socket, key: int) -> object:
        secure = admit(self, sock, key)
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
        sock = channel._links[1 - channel.me].sock
        assert sock.version() == "TLSv1.3" and "GCM" in sock.cipher()[0]
        assert sock.getpeercert(binary_form=True) == identity(1 - channel.me).certificate
        channel.close()


@pytest.mark.parametrize("form", ["certificate", "digest", "hex", "colons"])
def test_pins_have_several_forms(form: str) -> None:
    sock = listen("127.0.0.1", 0)
    text = identity(1).fingerprint()
    colons = ":".join(text[i : i + 2] for i in range(0, 64, 2)).upper()
    value = {"certificate": identity(1).certificate, "digest": bytes.fromhex(text), "hex": text, "colons": colons}[form]
    a = Endpoint(0, {0: sock.getsockname()}, identity(0), {1: value}, listener=sock)
    b = Endpoint(1, {0: sock.getsockname()}, identity(1), pins(2, 1))
    for channel in pair(a, b, within=10):
        channel.close()  # type: ignore[attr-defined]


def test_the_listener_refuses_a_certificate_that_is_not_pinned() -> None:
    sock = listen("127.0.0.1", 0)
    other = make_identity("other")
    a = Endpoint(0, {0: sock.getsockname()}, identity(0), pins(2, 0), listener=sock)
    b = Endpoint(1, {0: sock.getsockname()}, other, pins(2, 1))
    for error in pair(a, b, within=1.5):
        assert isinstance(error, ConfigurationError)
        text = str(error)
        assert "party 1" in text and other.fingerprint() in text and identity(1).fingerprint() in text and "pin" in text


def test_the_connecting_side_refuses_a_certificate_that_is_not_pinned() -> None:
    sock = listen("127.0.0.1", 0)
    other = make_identity("other")
    a = Endpoint(0, {0: sock.getsockname()}, other, pins(2, 0), listener=sock)
    b = Endpoint(1, {0: sock.getsockname()}, identity(1), pins(2, 1))
    lost, error = pair(a, b, within=1.5)
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
        def load_into(self, context: object) -> None:
            thief.load_into(context)  # type: ignore[arg-type]

    b._identity = Stolen(identity(1).certificate, thief.key)
    for error in pair(a, b, within=1.0):
        assert isinstance(error, TacitError) and not isinstance(error, Mismatch)


def test_strangers_delay_nobody() -> None:
    """Silent ones, garbage, and a client that hangs in the middle of an introduction."""
    ends = endpoints(2)
    strangers = [socket.create_connection(ends[0].address) for _ in range(80)]
    for k, stranger in enumerate(strangers[:60]):
        own = identity(1).certificate
        greeting = Introduction(1, 0, len(own)).encode() + own
        stranger.sendall([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 9, greeting[:30], greeting + b"\x16\x03\x01"][k % 3])
    start = time.monotonic()
    channels = pair(*ends, within=20)
    assert time.monotonic() - start < 5
    assert run(channels, lambda c: len(swap(c, 5))) == [1, 1]  # type: ignore[arg-type]
    for closing in (*channels, *strangers):
        closing.close()  # type: ignore[attr-defined]


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
    with socket.create_connection(ends[0].address) as stranger:
        stranger.sendall(Introduction(1, 0, len(other)).encode() + other)
        answer = Answer.decode(stranger.recv(ANSWER_SIZE))
        assert answer.verdict is Verdict.WRONG_CERTIFICATE and answer.pinned.hex() == identity(1).fingerprint()
    for channel in pair(*ends, within=10):
        channel.close()  # type: ignore[attr-defined]


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
    assert caught.value.party == "dealer" and 0.4 < time.monotonic() - start < 5
    alone = Endpoint(0, {0: (host, port)}, identity(0), pins(2, 0))
    with pytest.raises(PartyLost, match=f"party 1 .*never came.*127.0.0.1:{port}"):
        alone.channel("online", [1], within=0.3)
    alone.close()


def test_what_answers_may_be_something_else() -> None:
    with listen("127.0.0.1", 0) as sock:  # accepts (the system does) and never answers
        silent = Endpoint(1, {0: sock.getsockname()}, identity(1), pins(2, 1))
        with pytest.raises(PartyLost, match="does not answer"):
            silent.channel("online", [0], within=0.5)


def test_a_late_listener_is_waited_for() -> None:
    with listen("127.0.0.1", 0) as sock:
        address = sock.getsockname()
    early = Endpoint(1, {0: address}, identity(1), pins(2, 1))

    def late() -> object:
        time.sleep(0.4)
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
