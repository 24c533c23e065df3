"""Decoders of bytes from the network: they return what was encoded, or raise the one error that callers handle."""

from __future__ import annotations

import json
import ssl
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.errors import Mismatch, PartyLost, PeerStopped
from tacit.testing.transport import Tampered, run
from tacit.transport import handshake, network
from tacit.transport.channel import LONGEST_REASON, reason_from, reason_text
from tacit.transport.connection import Link
from tacit.transport.handshake import LONGEST_HELLO, decode_hello, encode_hello
from tacit.transport.wire import (
    LONGEST_CERTIFICATE,
    Answer,
    Introduction,
    Kind,
    Malformed,
    Verdict,
    header,
    parse_header,
)

few = settings(max_examples=150, deadline=None)
words = st.integers(0, 2**32 - 1)


@few
@given(st.sampled_from([(Kind.DATA, 1 << 40), (Kind.STOP, LONGEST_REASON), (Kind.END, 0)]), st.data())
def test_headers_come_back(kind: tuple[Kind, int], data: st.DataObject) -> None:
    size = data.draw(st.integers(0, kind[1]))
    assert parse_header(header(kind[0], size)) == (kind[0], size)


@few
@given(st.binary(min_size=8, max_size=8))
def test_any_header_is_parsed_or_malformed(data: bytes) -> None:
    try:
        kind, size = parse_header(data)
    except Malformed:
        return
    assert header(kind, size) == data


class Pieces:
    """A socket that gives a stream in the pieces that were drawn."""

    def __init__(self, stream: bytes, cuts: list[int]) -> None:
        self.stream, self.cuts = stream, cuts

    def setblocking(self, _: bool) -> None: ...

    def recv_into(self, view: memoryview) -> int:
        size = min(len(view), len(self.stream), self.cuts.pop() if self.cuts else 1 << 20)
        if size == 0:
            raise ssl.SSLWantReadError
        view[:size], self.stream = self.stream[:size], self.stream[size:]
        return size


@few
@given(st.lists(st.binary(max_size=50), max_size=5), st.binary(max_size=60), st.lists(st.integers(0, 20), max_size=30))
def test_any_stream_gives_frames_and_then_a_fault(frames: list[bytes], junk: bytes, cuts: list[int]) -> None:
    stream = b"".join(header(Kind.DATA, len(frame)) + frame for frame in frames) + junk
    link = Link(network(2)[1], 0, cast(ssl.SSLSocket, Pieces(stream, cuts)))
    came = []
    for _ in range(300):
        _, frame = link.pull(50, "open")
        if frame is not None:
            came.append(bytes(frame))
        assert link.size <= LONGEST_REASON
        if link.fault is not None:
            assert isinstance(link.fault, PartyLost | PeerStopped | Mismatch)
            break
    assert came[: len(frames)] == frames


@few
@given(st.binary(max_size=80), words, words, st.integers(1, LONGEST_CERTIFICATE))
def test_introductions(data: bytes, me: int, to: int, size: int) -> None:
    intro = Introduction(me, to, size)
    assert Introduction.decode(intro.encode()) == intro
    for junk in (data, intro.encode()[:8] + data, intro.encode() + b"x"):
        try:
            assert 0 < Introduction.decode(junk).size <= LONGEST_CERTIFICATE
        except Malformed:
            continue


@few
@given(
    st.binary(max_size=80),
    st.sampled_from(Verdict),
    st.integers(0, LONGEST_CERTIFICATE),
    st.binary(min_size=32, max_size=32),
)
def test_answers(data: bytes, verdict: Verdict, size: int, pinned: bytes) -> None:
    answer = Answer(verdict, size, pinned)
    assert Answer.decode(answer.encode()) == answer
    for junk in (data, answer.encode()[:8] + data, answer.encode()[:-1]):
        try:
            assert Answer.decode(junk).size <= LONGEST_CERTIFICATE
        except Malformed:
            continue


@few
@given(st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=20))
def test_hellos_come_back(hello: dict[str, str]) -> None:
    assert decode_hello(encode_hello(hello)) == hello


@few
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_hello_is_decoded_or_refused(data: bytes) -> None:
    try:
        hello = decode_hello(data)
    except ValueError:
        return
    assert all(isinstance(k, str) and isinstance(v, str) for k, v in hello.items())


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b'{"a": "b", "a": "c"}',
        b'{"a": {"b": "c"}}',
        b'{"a": 1}',
        b"9" * 60_000,
        b"{}" + b" " * LONGEST_HELLO,
        b"\xff",
        json.dumps({str(k): "" for k in range(300)}).encode(),
    ],
)
def test_hostile_hellos_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_hello(data)


def test_a_hostile_hello_is_a_mismatch() -> None:
    channels = network(2)
    evil = Tampered(channels[0], lambda peer, k, data, label: b'{"a": ["\\ud800"]}')
    errors = run([evil, channels[1]], lambda c: handshake(c, {"a": "b"}))
    assert errors[0] is None and isinstance(errors[1], Mismatch) and "party 0" in str(errors[1])
    evil = Tampered(channels[0], lambda peer, k, data, label: b'{"a": "\\ud800\\u001b[31m' + b"x" * 5000 + b'"}')
    error = run([evil, channels[1]], lambda c: handshake(c, {"a": "b"}))[1]
    assert isinstance(error, Mismatch) and str(error).isascii() and str(error).isprintable() and len(str(error)) < 1000


@few
@given(st.binary(max_size=5000), st.text(max_size=3000))
def test_reasons_are_printable_and_short(data: bytes, text: str) -> None:
    for reason in (reason_from(data), reason_from(reason_text(text))):
        assert reason.isprintable() and 0 < len(reason) <= LONGEST_REASON
