"""Bytes from other parties on their way into a session."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.errors import BadInput, Mismatch
from tacit.sessions import public
from tacit.sessions.data import announced, shape_of
from tacit.transport import memory

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), lambda x: st.lists(x, max_size=4)
)


def hears(frame: bytes, shape=None):
    """What party 0 makes of party 1's announcement."""
    first, second = memory.network(2, timeout=1)
    second.exchange({0: [frame]}, {}, label="announce")
    return announced(first, "x", 1, shape)


def test_a_shape_is_heard():
    assert hears(json.dumps(["enter", "x", [3, 0, 2]]).encode()) == (3, 0, 2)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff",
        b"{}",
        b"[" * 4000,
        b'["enter"]',
        b'["enter", "x", null]',
        b'["enter", "y", [1]]',
        b'["leave", "x", [1]]',
    ],
)
def test_what_is_no_announcement_is_a_mismatch(frame):
    with pytest.raises(Mismatch):
        hears(frame)


@pytest.mark.parametrize("sizes", [5, "ab", [-1], [1.5], [None], [1] * 17, [1 << 31, 2], [[1]], {"a": 1}])
def test_a_wrong_shape_takes_no_memory(sizes):
    with pytest.raises(BadInput):
        hears(json.dumps(["enter", "x", sizes]).encode())


@given(st.binary(max_size=64) | JSON.map(lambda x: json.dumps(["enter", "x", x]).encode()[:4096]))
def test_nothing_else_is_raised(frame):
    try:
        shape = hears(frame)
    except (Mismatch, BadInput):
        return
    assert shape_of(shape, "it") == shape


@pytest.mark.parametrize(
    "header",
    [
        ["number", "<f8", [0]],
        ["number", "<f8", [1]],
        ["number", "<f8", [2, 2]],
        ["secret", "<f8", [1]],
        ["array", "(2,", [1]],
        ["array", ",", [1]],
        ["array", None, [1]],
        ["array", "<M8[s]", [1]],
        ["array", "<f8", [1 << 31] * 4],
        ["array", "<f8", [-1]],
        {"array": 1, "<f8": 2, "shape": 3},
    ],
)
def test_public_numbers_that_are_none_are_a_mismatch(header):
    frame = json.dumps(header).encode()
    with pytest.raises(Mismatch):
        public.unpacked(len(frame).to_bytes(8, "little") + frame + bytes(32), 1)


@given(JSON, JSON, JSON)
def test_no_other_public_numbers_raise_anything_else(kind, dtype, shape):
    frame = json.dumps([kind, dtype, shape]).encode()
    with contextlib.suppress(Mismatch):
        public.unpacked(len(frame).to_bytes(8, "little") + frame + bytes(32), 1)
