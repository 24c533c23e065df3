"""One TLS connection to one peer, without waiting: bytes move when `push` and `pull` are called, as far as they can.

A link outlives its connection. The frames of each direction are numbered; what was sent is kept until the peer has said that it
came (`Kind.ALIVE`), and when another connection is made (`mending.py`), both sides say how far they got, and the stream goes on
at that byte. A frame that came whole is never taken again, so nobody can replace it by another one.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tacit.errors import TacitError
from tacit.transport.channel import BROKE_OFF, CLOSED, LARGEST_FRAME, Channel, Skip, reason_from
from tacit.transport.meter import HEADER_SIZE
from tacit.transport.wire import COUNT, Kind, Malformed, Position, header, parse_header

if TYPE_CHECKING:
    from tacit.transport.mending import Line

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
KEPT = 1 << 26
"""Bytes of sent frames that are kept, and the last frame always: more than what can be under way in two sockets' buffers."""
TELL = 1 << 18
"""Bytes that come before the peer is told, so that it need not keep them."""

Copies = dict[tuple[int, int], memoryview]
"""Copies of buffers, by address and length: a buffer for several peers is copied once."""


def cut(sock: socket.socket) -> None:
    """End a connection that another thread is using; that thread closes it."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)  # SSLSocket's own would pull TLS from under that thread


@dataclass(slots=True)
class Sent:
    """A frame with its header, as `pieces`. `borrowed`: they are the caller's buffers, which may change after the round."""

    number: int
    pieces: list[memoryview]
    size: int
    borrowed: bool

    def own(self, copies: Copies) -> None:
        if self.borrowed:
            self.pieces, self.borrowed = [_copied(piece, copies) for piece in self.pieces], False


class Link:
    """The state of the stream to and from one peer. A fault is kept: a stream that went wrong cannot be used again.

    With a `line`, a connection that breaks off is no fault: the link is `broken` until another one is made, or given up.
    """

    def __init__(self, channel: Channel, peer: int, sock: ssl.SSLSocket, line: Line | None = None) -> None:
        sock.setblocking(False)
        self.channel, self.peer, self.line = channel, peer, line
        self.sock: ssl.SSLSocket | None = sock
        self.lock = threading.RLock()
        """The lock of connection and stream, which the channel's thread uses, and the threads that make connections again."""
        self.fault: TacitError | None = None
        self.cannot_send = False
        self.unsent: list[memoryview] = []  # last piece first
        self.half_sent = False  # an exchange failed while its frame was under way
        self.since = 0.0  # when the connection broke off
        self.problem = ""
        self._given_up = ""
        self._sent = self._received = 0  # frames
        self._kept: deque[Sent] = deque()
        self._held = 0  # bytes in _kept
        self._untold = 0  # bytes that came since the peer was told
        self._spoke = True  # since the last heartbeat was due
        self._over = False
        self.heard = 0.0  # when the channel last found that something had come, be it a heartbeat
        self._inbox: deque[bytearray] = deque()  # whole frames that were read before they were asked for
        self._came = memoryview(bytearray(RECORD))  # what is read while a header is due, from _start to _end
        self._start = self._end = 0
        self._kind: Kind | None = None
        self.size = 0  # of the frame that is coming in, once its header is there
        self._body = bytearray()
        self._body_view: memoryview | None = None
        self._body_got = 0
        self._skipping = False  # what comes is thrown away
        self._queued = 0  # bytes, as the next two
        self._out = self._best = 0  # where in the outgoing stream the connection is, and the furthest that one ever was
        self.moved = 0
        """Bytes that were received, and sent for the first time. Heartbeats do not count."""
        self.mark = 0.0, 0
        """A moment, and how many bytes had moved by then: the pace is judged from there."""

    @property
    def broken(self) -> bool:
        """There is no connection now."""
        return self.sock is None

    @property
    def waits(self) -> bool:
        """There is none now, and another one is looked for."""
        return self.sock is None and not self._given_up and self.fault is None

    @property
    def told(self) -> bool:
        """The peer has all that was sent, as far as that is known."""
        return not self._kept

    def failed(self, where: str) -> TacitError | None:
        """Why the link cannot be used any more, if it cannot."""
        if self._given_up and self.fault is None:
            self.fault = self.channel.lost(self.peer, self._given_up, where)
        return self.fault

    # Out.

    def load(self, pieces: Sequence[memoryview], kind: Kind = Kind.DATA) -> None:
        """Take one frame to send. The pieces must not change until they are sent, and `own` has been called."""
        with self.lock:
            if self.cannot_send and (self.line is None or self._over):
                return
            size = sum(map(len, pieces))
            head = header(kind, size)
            small = size <= JOIN
            whole = [memoryview(head + b"".join(pieces))] if small else [memoryview(head), *pieces]
            if kind is Kind.ALIVE:
                self._best += HEADER_SIZE + size  # it does not count as having moved
            else:
                self._keep(whole, HEADER_SIZE + size, not small)
            self._queued += HEADER_SIZE + size
            if self.sock is not None and not self.cannot_send:
                # Behind what is left of earlier frames: the last piece goes first.
                self.unsent = [*reversed(whole), *self.unsent]

    def _keep(self, whole: list[memoryview], size: int, borrowed: bool) -> None:
        self._sent += 1
        if self.line is None:
            return
        if not self.unsent and not self.broken:  # all that is kept was sent
            while self._kept and self._held + size > KEPT:
                self._held -= self._kept.popleft().size
        self._kept.append(Sent(self._sent, whole, size, borrowed))
        self._held += size

    def own(self, copies: Copies) -> None:
        """Copy what is kept of the caller's buffers: they may change from now on."""
        if self._kept and self._kept[-1].borrowed:
            with self.lock:
                for frame in self._kept:
                    frame.own(copies)

    def abandon(self, kept: bool) -> None:
        """A round failed. The rest of its frames is copied, to be sent later, or must never be sent."""
        with self.lock:
            if kept:
                self.unsent = [memoryview(bytes(piece)) for piece in self.unsent]
                return
            if self.unsent:
                self.half_sent = True
                self.unsent.clear()
                self.finish()
            if self.broken:
                self.give_up(self.problem)

    def push(self) -> bool:
        """Send what the connection takes; whether anything moved."""
        with self.lock:
            moved, unsent = 0, self.unsent
            while unsent and moved < TURN:
                assert self.sock is not None
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
                if done == piece.nbytes:
                    unsent.pop()
                else:
                    unsent[-1] = piece[done:]
            if moved:
                self._spoke = True
                self._out += moved
                self.moved += max(0, self._out - self._best)
                self._best = max(self._best, self._out)
            return moved > 0

    def tell(self) -> None:
        """Say what came from the peer."""
        with self.lock:
            self._tell()

    def beat(self) -> None:
        """Say that this party is there, and what came from the peer, if nothing else was said since the last call."""
        with self.lock:
            if self._spoke or self.unsent:
                self._spoke = False
            else:
                self._tell()

    def _tell(self) -> None:
        if self.half_sent or self.cannot_send or self.sock is None:
            return
        self._untold = 0
        self.load([memoryview(COUNT.pack(self._received))], Kind.ALIVE)
        if len(self.unsent) == 1:
            self.push()

    # In.

    def has(self, limit: int) -> bool:
        """Return whether `pull` finds something, or a fault, though nothing more comes on the socket."""
        with self.lock:
            if self.fault is not None or self._inbox or self._given_up:
                return True
            if self.sock is None:
                return False
            if self.sock.pending() or self.sock.fileno() < 0:
                return True
            if self._kind is None:
                return self._end - self._start >= HEADER_SIZE
            return self._kind is Kind.DATA and self.size > limit and not self._skipping

    def pull(self, limit: int, where: str) -> tuple[bool, bytearray | None]:
        """Receive what is there: whether anything moved, and the frame once it is complete. Sets `fault` on an end."""
        with self.lock:
            while self._inbox:
                if len(frame := self._inbox[0]) <= limit:
                    return True, self._inbox.popleft()
                if not isinstance(limit, Skip):
                    self.fault = self.channel.too_long(self.peer, len(frame), limit, where)
                    return True, None
                self._inbox.popleft()
            if self.sock is None or self.failed(where) is not None:
                return self.failed(where) is not None, None
            return self._pull(limit, where)

    def _pull(self, limit: int, where: str) -> tuple[bool, bytearray | None]:
        moved = before = self.moved
        try:
            if self._kind is None:
                while self._end - self._start < HEADER_SIZE:
                    if not self._more():
                        return self._fail(BROKE_OFF, where)
                self._begin(limit, where)
            elif self._kind is Kind.DATA and self.size > limit and not self._skipping:
                self._excess(limit, where)  # its header came in an earlier, failed exchange
            if self.fault is not None:
                return True, None
            at, size = self._body_got, self.size
            assert self.sock is not None
            while at < size and moved - before < TURN:
                got = self.sock.recv_into(self._room(at))
                if not got:
                    return self._fail(BROKE_OFF, where)
                at += got
                moved += got
                self._body_got = at
                if self._kind is not Kind.ALIVE:
                    self.moved += got
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return self.moved > before, None
        except ssl.SSLEOFError:
            return self._fail(BROKE_OFF, where)
        except ssl.SSLError as error:
            return self._fail(f"its connection is damaged ({error.reason or error})", where)
        except Malformed as error:
            self._over = True
            return self._fail(f"it sent {error}", where)
        except (OSError, ValueError) as error:
            return self._fail(f"{BROKE_OFF} ({error})" if isinstance(error, TimeoutError) else BROKE_OFF, where)
        if self._body_got < self.size:
            return True, None
        alive = self._kind is Kind.ALIVE
        return not alive, self._finish(where)

    def _more(self) -> int:
        """Read on behind what is left of a record, less than a header; how many bytes came."""
        assert self.sock is not None
        if self._start:
            left = bytes(self._came[self._start : self._end])
            self._start, self._end = 0, len(left)
            self._came[: self._end] = left
        got = self.sock.recv_into(self._came[self._end :])
        self._end += got
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
        if kind is not Kind.ALIVE:
            self.moved += HEADER_SIZE + self._body_got
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
        self._untold += HEADER_SIZE + self.size
        self._drop_body()  # releases the view: else the frame could not be resized by whoever gets it
        self._kind, self.size, self._skipping = None, 0, False
        if kind is Kind.ALIVE:
            self._told(body)
            return None
        self._received += 1
        if kind is not Kind.DATA and self.line is not None:
            self._tell()  # it waits for that a little
        if kind is Kind.STOP:
            self.fault = self.channel.stopped(self.peer, reason_from(body))
        elif kind is Kind.END:
            self.fault = self.channel.lost(self.peer, CLOSED, where)
        elif self.line is not None and self._untold >= TELL:
            self._tell()
        return None if skipped or self.fault is not None else body

    def _told(self, body: bytearray) -> None:
        """The peer has so many frames: they need not be kept. Who says too many hurts itself alone."""
        if len(body) == COUNT.size:
            self._forget(COUNT.unpack(body)[0])

    def _forget(self, number: int) -> None:
        while self._kept and self._kept[0].number <= number:
            self._held -= self._kept.popleft().size

    # Ends.

    def _fail(self, why: str, where: str) -> tuple[bool, None]:
        if self.line is None or self._over:
            self.fault = self.channel.lost(self.peer, why, where)
        else:
            self.detach(why)
            if self.fault is None:
                self.line.broke(self)
        return True, None

    def drain(self, most: int = 1 << 24) -> None:
        """Throw away what has arrived: a socket that is closed with unread data takes back what it sent last."""
        scratch = bytearray(1 << 16)
        with contextlib.suppress(OSError, ValueError):
            while self.sock is not None and most > 0 and (got := self.sock.recv_into(scratch)):
                most -= got

    def read_out(self, where: str) -> None:
        """After a failed send: what the peer left behind, and perhaps its reason; then the link is broken or has a fault."""
        with self.lock:
            while self.fault is None and self.sock is not None:
                moved, frame = self._pull(LARGEST_FRAME, where)
                if frame is not None:
                    self._inbox.append(frame)
                elif not moved and not self.has(LARGEST_FRAME):
                    self._fail(BROKE_OFF, where)

    def close(self) -> None:
        with self.lock:
            self.finish()
            if (sock := self.sock) is None:
                return
            with contextlib.suppress(OSError):
                # No TLS closure alert: the END frame is the orderly end, and unwrap() would wait for the peer.
                sock.shutdown(socket.SHUT_WR)
            self.drain()
            sock.close()

    # Another connection.

    def finish(self) -> None:
        """No connection is made again from now on."""
        with self.lock:
            self._over = True
            if self.line is not None:
                self.line.forget(self)
            self._kept.clear()

    def give_up(self, why: str) -> None:
        """No connection could be made again."""
        with self.lock:
            if self.waits:
                self.finish()
                self._given_up = why
        self.channel.wake()

    def doubt(self, why: str) -> None:
        """The connection is taken for broken, though nothing says so."""
        with self.lock:
            if self.line is not None and not self._over and not self.broken:
                self._fail(why, "")

    def detach(self, why: str) -> None:
        """The connection is of no use any more: what came on it is sorted out; the stream waits for another one."""
        with self.lock:
            if (sock := self.sock) is None:
                return
            self.sock, self.since, self.problem = None, time.monotonic(), why
            self.unsent.clear()
            self.cannot_send = False
            try:
                while self._kind is None and self._end - self._start >= HEADER_SIZE and self.fault is None:
                    self._begin(LARGEST_FRAME, "")
                    if self._body_got == self.size and (frame := self._finish("")) is not None:
                        self._inbox.append(frame)
            except Malformed as error:
                self.fault = self.channel.lost(self.peer, f"it sent {error}")
            self._start = self._end = 0  # part of a header
            if self._kind is Kind.ALIVE:
                self._drop_body()
                self._kind, self.size = None, 0
            cut(sock)
            sock.close()
        self.channel.wake()

    def position(self) -> Position:
        """How far the peer's stream came: frames, and bytes of the next one."""
        with self.lock:
            return Position(self._received, 0 if self._kind is None else HEADER_SIZE + self._body_got)

    def attach(self, sock: ssl.SSLSocket, theirs: Position) -> bool:
        """Go on over another connection, at the place that the peer has come to; false if that is no more than lost."""
        with self.lock:
            if self._over or not self.broken:
                return False
            if (
                theirs.frames > self._sent
                or (self._kept[0].number if self._kept else self._sent + 1) > theirs.frames + 1
            ):
                self.give_up("it missed more than is kept when its connection broke off")
                return False
            self._forget(theirs.frames)
            again = [piece for frame in self._kept for piece in frame.pieces]
            skipped = theirs.bytes
            while again and skipped >= len(again[0]) > 0:
                skipped -= len(again.pop(0))
            if again:
                again[0] = again[0][skipped:]
            left = sum(map(len, again))
            self._out = self._queued - left
            self.channel.meter.resent(max(0, self._best - self._out))
            sock.setblocking(False)
            self.sock, self.unsent, self._spoke, self.heard = sock, again[::-1], False, time.monotonic()
        self.channel.wake()
        return True


def _copied(piece: memoryview, copies: Copies) -> memoryview:
    if type(piece.obj) is bytes:
        return piece
    key = np.frombuffer(piece, np.uint8).__array_interface__["data"][0], piece.nbytes
    if key not in copies:
        copies[key] = memoryview(bytes(piece))
    return copies[key]
