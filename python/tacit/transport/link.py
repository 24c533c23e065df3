"""One TLS connection to one peer, without waiting: bytes move when `push` and `pull` are called, as far as they can."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence

from tacit.errors import TacitError
from tacit.transport.channel import BROKE_OFF, CLOSED, Channel, Skip, reason_from
from tacit.transport.meter import HEADER_SIZE
from tacit.transport.wire import Kind, Malformed, header, parse_header

JOIN = 1 << 14
"""Frames up to one TLS record are copied together, so that a small frame is one record and one packet."""
RECORD = 1 << 14
"""Bytes of a TLS record at most. A small frame is read with its header, in one call."""
WRITE = 1 << 16
PIECE = 1 << 20
DUE = 1 << 26
"""A frame of exactly the length that is due, up to this one, gets its memory at once; any other grows with what has come."""
TURN = 1 << 19
"""Bytes moved before the other direction and the other peers get their turn."""


def cut(sock: socket.socket) -> None:
    """End a connection that another thread is using; that thread closes it."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # SSLSocket's own would pull TLS from under that thread


class Link:
    """The state of one connection. A fault is kept: a stream that went wrong cannot be used again."""

    def __init__(self, channel: Channel, peer: int, sock: ssl.SSLSocket) -> None:
        sock.setblocking(False)
        self.channel, self.peer, self.sock = channel, peer, sock
        self.fault: TacitError | None = None
        self.cannot_send = False
        self.unsent: list[memoryview] = []  # last piece first
        self.half_sent = False  # an exchange failed while its frame was under way
        self._came = memoryview(bytearray(RECORD))  # what is read while a header is due, from _start to _end
        self._start = self._end = 0
        self._kind: Kind | None = None
        self.size = 0  # of the frame that is coming in, once its header is there
        self._body = bytearray()
        self._body_view: memoryview | None = None
        self._body_got = 0
        self._skipping = False  # what comes is thrown away
        self.moved = 0
        """Bytes that were sent and received."""
        self.mark = 0.0, 0
        """A moment, and how many bytes had moved by then: the pace is judged from there."""

    def load(self, pieces: Sequence[memoryview], kind: Kind = Kind.DATA) -> None:
        """Take one frame to send. The pieces must not change until they are sent."""
        if self.cannot_send:
            return
        size = sum(map(len, pieces))
        head = header(kind, size)
        # Behind what is left of earlier frames: the last piece goes first.
        if size <= JOIN:
            self.unsent = [memoryview(head + b"".join(pieces)), *self.unsent]
        else:
            self.unsent = [*reversed(pieces), memoryview(head), *self.unsent]

    def push(self) -> bool:
        """Send what the connection takes; whether anything moved."""
        moved = 0
        unsent = self.unsent
        while unsent and moved < TURN:
            piece = unsent[-1]
            try:
                # After a refusal OpenSSL wants the same bytes again, which is what the next call gives it.
                done = self.sock.send(piece if piece.nbytes <= WRITE else piece[:WRITE])
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                break
            except (OSError, ValueError):
                # The peer is gone, but what it sent before is still to be read and may say why.
                self.cannot_send = True
                unsent.clear()
                return True
            moved += done
            self.moved += done
            if done == piece.nbytes:
                unsent.pop()
            else:
                unsent[-1] = piece[done:]
        return moved > 0

    def has(self, limit: int) -> bool:
        """Whether `pull` finds something, or a fault, though nothing more comes on the socket."""
        if self.fault is not None or self.sock.pending() or self.sock.fileno() < 0:
            return True
        if self._kind is None:
            return self._end - self._start >= HEADER_SIZE
        return self._kind is Kind.DATA and self.size > limit and not self._skipping

    def pull(self, limit: int, where: str) -> tuple[bool, bytearray | None]:
        """Receive what is there: whether anything moved, and the frame once it is complete. Sets `fault` on an end."""
        moved = 0
        try:
            if self._kind is None:
                while self._end - self._start < HEADER_SIZE:
                    if not (got := self._more()):
                        return self._fail(BROKE_OFF, where)
                    moved += got
                self._begin(limit, where)
            elif self._kind is Kind.DATA and self.size > limit and not self._skipping:
                self._excess(limit, where)  # its header came in an earlier, failed exchange
            if self.fault is not None:
                return True, None
            at, size = self._body_got, self.size
            while at < size and moved < TURN:
                got = self.sock.recv_into(self._room(at))
                if not got:
                    return self._fail(BROKE_OFF, where)
                at += got
                moved += got
                self.moved += got
                self._body_got = at
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return moved > 0, None
        except ssl.SSLEOFError:
            return self._fail(BROKE_OFF, where)
        except ssl.SSLError as error:
            return self._fail(f"its connection is damaged ({error.reason or error})", where)
        except Malformed as error:
            return self._fail(f"it sent {error}", where)
        except (OSError, ValueError) as error:
            return self._fail(f"{BROKE_OFF} ({error})" if isinstance(error, TimeoutError) else BROKE_OFF, where)
        if self._body_got < self.size:
            return True, None
        return True, self._finish(where)

    def _more(self) -> int:
        """Read on behind what is left of a record, less than a header; how many bytes came."""
        if self._start:
            left = bytes(self._came[self._start : self._end])
            self._start, self._end = 0, len(left)
            self._came[: self._end] = left
        got = self.sock.recv_into(self._came[self._end :])
        self._end += got
        self.moved += got
        return got

    def _begin(self, limit: int, where: str) -> None:
        """The header is complete: check it before memory is taken."""
        at = self._start + HEADER_SIZE
        kind, size = parse_header(self._came[self._start : at])
        if kind is Kind.DATA and size > limit and not self._excess(limit, where, size):
            return
        self._kind, self.size = kind, size
        self._body_got = min(size, self._end - at)
        self._start = at + self._body_got
        if not self._skipping:
            self._body = bytearray(size if size <= PIECE or size == limit <= DUE else PIECE)
            self._body_view = memoryview(self._body)
            self._body_view[: self._body_got] = self._came[at : self._start]

    def _excess(self, limit: int, where: str, size: int | None = None) -> bool:
        """A frame is longer than `limit`: whether it is passed over."""
        self._drop_body()
        self._skipping = isinstance(limit, Skip)
        if not self._skipping:
            self.fault = self.channel.too_long(self.peer, self.size if size is None else size, limit, where)
        return self._skipping

    def _room(self, at: int) -> memoryview:
        """Where the frame goes on. The memory doubles when it is full: it is never more than twice what has come."""
        if self._skipping:
            return memoryview(bytearray(min(WRITE, self.size - at)))
        assert self._body_view is not None
        if at == len(self._body):
            self._body_view.release()
            self._body += bytes(min(at, self.size - at))
            self._body_view = memoryview(self._body)
        return self._body_view[at:]

    def _drop_body(self) -> None:
        if self._body_view is not None:
            self._body_view.release()
        self._body_view, self._body = None, bytearray()

    def _finish(self, where: str) -> bytearray | None:
        kind, body, skipped = self._kind, self._body, self._skipping
        self._drop_body()  # releases the view: else the frame could not be resized by whoever gets it
        self._kind, self.size, self._skipping = None, 0, False
        if skipped:
            return None
        if kind is Kind.STOP:
            self.fault = self.channel.stopped(self.peer, reason_from(body))
        elif kind is Kind.END:
            self.fault = self.channel.lost(self.peer, CLOSED, where)
        else:
            return body
        return None

    def _fail(self, why: str, where: str) -> tuple[bool, None]:
        self.fault = self.channel.lost(self.peer, why, where)
        return True, None

    def drain(self, most: int = 1 << 24) -> None:
        """Throw away what has arrived: a socket that is closed with unread data takes back what it sent last."""
        scratch = bytearray(1 << 16)
        with contextlib.suppress(OSError, ValueError):
            while most > 0 and (got := self.sock.recv_into(scratch)):
                most -= got

    def last_words(self, where: str) -> TacitError:
        """After a failed send: the peer's own reason, if it left one behind its data, else that it is lost."""
        for _ in range(64):
            moved, _frame = self.pull(1 << 24, where)
            if self.fault is not None:
                return self.fault
            if not moved:
                break
        self._fail(BROKE_OFF, where)
        assert self.fault is not None
        return self.fault

    def close(self) -> None:
        with contextlib.suppress(OSError):
            # No TLS closure alert: the END frame is the orderly end, and unwrap() would wait for the peer.
            self.sock.shutdown(socket.SHUT_WR)
        self.drain()
        self.sock.close()
