"""A process's place on the network: one listening port, and TLS 1.3 connections to peers with pinned certificates.

Between two parties the one with the lower index listens and the other connects, but for a party that comes back (`knock`):
it connects with all. Each connection serves one `purpose`, so that two threads of a process can each have a channel over
the same port. Whoever is not pinned gets no connection, and strangers cost and delay next to nothing (`greeting.py`): only a
connection that begins with a party's proof is greeted, by a short-lived thread of its own, for a bounded time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping

from tacit.errors import NAMES, ConfigurationError, PartyLost, named
from tacit.transport.channel import DEFAULT_TIMEOUT
from tacit.transport.connection import cut
from tacit.transport.greeting import Greeter, Seen, TurnedAway, stamp
from tacit.transport.handshake import handshake
from tacit.transport.identity import Identity, fingerprint, pin
from tacit.transport.listening import listen
from tacit.transport.mending import Line, Mender
from tacit.transport.meter import Meter
from tacit.transport.signing import Signatures
from tacit.transport.tcp import TcpChannel
from tacit.transport.wire import (
    ANSWER_SIZE,
    LONGEST_PURPOSE,
    REPLY_SIZE,
    REQUEST_SIZE,
    TOKEN,
    Answer,
    Ask,
    Introduction,
    Malformed,
    Reply,
    Request,
    Told,
    Verdict,
)

Address = tuple[str, int]
Arrival = tuple[ssl.SSLSocket, Line]
DEFAULT_WITHIN = 60.0
"""Seconds for the peers to come."""
GREETING = 10.0
"""Seconds that a new connection has to show who it is."""
MOST_GREETINGS = 8
"""Greetings of one party that are heard at the same time."""

log = logging.getLogger("tacit.transport")


class Endpoint:
    """Makes channels to the pinned peers. One for each process.

    `addresses` has the host and port of every index that others connect to; `pins` the certificate (DER), its SHA-256
    digest, or the digest in hex, of every other index. `bind` is where to listen if that is not the own address.
    """

    def __init__(
        self,
        me: int,
        addresses: Mapping[int, Address],
        identity: Identity,
        pins: Mapping[int, bytes | str],
        *,
        names: Mapping[int, str] | None = None,
        bind: Address | None = None,
        listener: socket.socket | None = None,
        always: bool = False,
        run: bytes = b"",
    ) -> None:
        """`always`: listen even where nobody has to connect at the start, for parties that come back.

        `run`: what only the parties of this run know, who tell themselves from strangers by it; else by their keys.
        """
        self.me = me
        self.names = dict(names or {})
        self._members = NAMES.get()  # threads that greet have none
        self._addresses = dict(addresses)
        self._identity = identity
        self._pins = {index: pin(value) for index, value in pins.items()}
        self._pins[me] = pin(identity.certificate)
        self._check_pins()
        self._arrived = threading.Condition()
        self._waiting: dict[tuple[int, str], Arrival] = {}
        self._begun: dict[str, int] = {}  # purposes of channels, and since when they are there
        self.mender = Mender(self._dial)
        self._refused: dict[int, str] = {}
        self._greeting: dict[int, tuple[int, socket.socket]] = {}
        self._run = run
        self._certificates: dict[int, bytes] = {}  # that were held against the pins
        self.signatures = Signatures(identity, self._certificates)
        self._keys: dict[int, bytes] = {}
        self._contexts: dict[tuple[int, bool], ssl.SSLContext] = {}
        self._making = threading.Lock()
        self._seen: dict[int, Seen] = {}
        self._closed = False
        if listener is None and (always or any(index > me for index in self._pins)):
            if bind is None and me not in self._addresses:
                raise ConfigurationError(f"{self._who(me)} has no address, but others have to connect to it")
            listener = listen(*(bind or self._addresses[me]))
        for index, value in pins.items():
            if isinstance(value, bytes) and len(value) != 32:
                self._certificates[index] = value
        self._listener = listener
        self._address = None if listener is None else listener.getsockname()[:2]
        self._greeter = None if listener is None else Greeter(listener, self._judge, self._arrive)

    def _check_pins(self) -> None:
        seen: dict[bytes, int] = {}
        for index, digest in self._pins.items():
            if digest in seen:
                raise ConfigurationError(
                    f"{self._who(seen[digest])} and {self._who(index)} have the same certificate ({digest.hex()}), so "
                    "either could pass for the other; make an identity for each"
                )
            seen[digest] = index

    @property
    def address(self) -> Address | None:
        """Where this endpoint listens."""
        return self._address

    def channel(
        self,
        purpose: str,
        peers: Iterable[int],
        hello: Mapping[str, str] | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        within: float = DEFAULT_WITHIN,
        meter: Meter | None = None,
    ) -> TcpChannel:
        """Connect with `peers`, who ask for the same purpose; wait for them at most `within` seconds.

        With `hello`, all compare what they run first (see `handshake`). Raises PartyLost for a peer that never came,
        ConfigurationError for a certificate that is not the pinned one, Mismatch for a different hello.
        """
        if not 0 < len(purpose.encode()) <= LONGEST_PURPOSE:
            raise ValueError(f"a purpose has 1 to {LONGEST_PURPOSE} bytes")
        deadline = time.monotonic() + within
        sockets: dict[int, Arrival] = {}
        try:
            # Connect first: those that listen hold the connection until they ask for it, so no order can lock up.
            for peer in sorted(set(peers) - {self.me}):
                if peer not in self._pins:
                    raise ConfigurationError(f"no certificate is pinned for {self._who(peer)}; add it to the pins")
                sockets[peer] = (
                    self._connect(peer, purpose, deadline) if peer < self.me else self._await(peer, purpose, deadline)
                )
        except BaseException:
            for sock, _ in sockets.values():
                sock.close()
            raise
        self._begun[purpose] = int(time.time())
        channel = self._made(sockets, timeout, meter)
        if hello is not None:
            try:
                handshake(channel, hello, timeout=max(1.0, deadline - time.monotonic()))
            except BaseException:
                channel.close()
                raise
        return channel

    def knock(self, peer: int, purpose: str, timeout: float) -> TcpChannel | None:
        """A connection with `peer`, whichever has the lower index, if it answers now; ConnectionRefusedError: nobody is there."""
        if peer not in self._addresses:
            raise ConfigurationError(f"{self._who(peer)} has no address; add its host and port")
        line = self._new_line(peer, purpose)
        try:
            sock, reply = self._dial(peer, self._opening(line), min(timeout, GREETING))
            if reply.told is Told.TAKEN:
                return self._made({peer: (sock, line)}, timeout)
            sock.close()
            return None
        except ConnectionRefusedError:
            raise
        except (OSError, EOFError, Malformed):
            return None

    def visitors(self, purpose: str) -> list[int]:
        """Who has connected for `purpose`, and waits."""
        with self._arrived:
            return [peer for peer, wanted in self._waiting if wanted == purpose]

    def receive(self, peer: int, purpose: str, timeout: float) -> TcpChannel:
        """The connection of a visitor."""
        with self._arrived:
            arrival = self._waiting.pop((peer, purpose))
        return self._made({peer: arrival}, timeout)

    def revoke(self, peer: int) -> None:
        """Refuse its connections from now on, whatever certificate it shows."""
        with self._arrived:
            self._pins.pop(peer, None)
            waiting = [self._waiting.pop(key) for key in list(self._waiting) if key[0] == peer]
        for sock, _ in waiting:
            sock.close()

    def _made(self, arrivals: Mapping[int, Arrival], timeout: float, meter: Meter | None = None) -> TcpChannel:
        sockets = {peer: sock for peer, (sock, _) in arrivals.items()}
        lines = {peer: line for peer, (_, line) in arrivals.items()}
        return TcpChannel(self.me, sockets, lines=lines, timeout=timeout, meter=meter, names=self.names)

    def _new_line(self, peer: int, purpose: str) -> Line:
        return Line(self.mender, peer, purpose, secrets.token_bytes(TOKEN), dials=True, listens=True)

    def _opening(self, line: Line) -> Request:
        line.epoch += 1
        return Request(Ask.OPEN, line.token, line.epoch, listens=self._listener is not None, purpose=line.purpose)

    def close(self) -> None:
        """Stop listening, and drop connections that nobody asked for. Channels stay open, but are not mended any more."""
        with self._arrived:
            if self._closed:
                return
            self._closed = True
            left = list(self._waiting.values())
            self._waiting.clear()
            for _, sock in self._greeting.values():
                cut(sock)
            self._arrived.notify_all()
        self.mender.close()
        if self._greeter is not None:
            self._greeter.close()
        for sock, _ in left:
            with contextlib.suppress(OSError):
                sock.close()

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The side that connects

    def _connect(self, peer: int, purpose: str, deadline: float) -> Arrival:
        if peer not in self._addresses:
            raise ConfigurationError(f"{self._who(peer)} has no address; add its host and port")
        host, port = self._addresses[peer]
        line = self._new_line(peer, purpose)
        pause, problem = 0.02, "nobody answered"
        while (left := deadline - time.monotonic()) > 0:
            try:
                sock, reply = self._dial(peer, self._opening(line), min(left, GREETING))
                if reply.told is Told.TAKEN:
                    return sock, line
                sock.close()
                problem = self._leftover(reply)
            except socket.gaierror:
                problem = f"the name {host} is not known"
            except ConnectionRefusedError:
                problem = "nothing listens there"
            except TimeoutError:
                problem = "it does not answer"
            except Malformed as error:
                problem = f"what answers there is no party of this run ({error})"
            except ssl.SSLError as error:
                problem = f"TLS failed ({error.reason or error}); are clocks and certificates in order?"
            except (OSError, EOFError) as error:
                problem = f"the connection broke off ({error})"
            time.sleep(max(0.0, min(pause, deadline - time.monotonic())))
            pause = min(1.0, pause * 1.5)
        raise PartyLost(
            self.names.get(peer, peer),
            f"never came: {problem} ({host}:{port}); start it{' anew' if 'earlier' in problem else ''}, or correct its address",
            f"connecting for {purpose!r}",
        )

    def _leftover(self, reply: Reply) -> str:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(reply.began))
        return (
            f"the process that answers there is in an earlier run since {since} (process {reply.process} on its host): "
            "end that one"
        )

    def _dial(self, peer: int, request: Request, limit: float) -> tuple[ssl.SSLSocket, Reply]:
        """A connection that is proved, and what the other side answers to the request."""
        if peer not in self._addresses:
            raise ConfigurationError(f"{self._who(peer)} has no address; add its host and port")
        host, port = self._addresses[peer]
        end = time.monotonic() + limit
        sock: socket.socket = socket.create_connection((host, port), timeout=limit)
        try:
            own = self._identity.certificate
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            first = Introduction(self.me, peer, len(own), stamp())
            if asks := not self._run and peer not in self._certificates:
                pass  # of whom no more is known than a digest: the answer has its certificate
            else:
                first = first.proved(self._key(peer, self._certificates.get(peer, b"")))
            sock.sendall(first.encode() + own)
            answer = Answer.decode(_read(sock, ANSWER_SIZE, end))
            theirs = _read(sock, answer.size, end)
            self._judge_answer(answer, peer, f"{host}:{port}")
            if not self._is_pinned(peer, theirs):
                raise ConfigurationError(self._wrong(peer, theirs, f"at {host}:{port} "))
            if answer.verdict is Verdict.UNPROVED:
                sock.close()
                if asks:
                    return self._dial(peer, request, _left(end))
                raise Malformed(
                    "it knows no such proof: was one of the two keys made anew, or does its process belong to an earlier run?"
                )
            sock = secure = self._wrap(sock, peer, server=False)
            self._prove(secure, peer, end)
            secure.sendall(request.encode())
            return secure, Reply.decode(_read(secure, REPLY_SIZE, end))
        except BaseException:
            sock.close()
            raise

    def _judge_answer(self, answer: Answer, peer: int, address: str) -> None:
        """Turn a refusal into an error. It is not authenticated, so it is no more than a reason to stop."""
        if answer.verdict is Verdict.NOT_ME:
            raise ConfigurationError(
                f"{address} is not {self._who(peer)} but another party; correct the addresses of the parties"
            )
        if answer.verdict is Verdict.UNKNOWN_INDEX:
            raise ConfigurationError(
                f"{self._who(peer)} ({address}) knows no party {self.me}; give all parties the same list of parties"
            )
        if answer.verdict is Verdict.WRONG_CERTIFICATE:
            raise ConfigurationError(
                f"{self._who(peer)} ({address}) expects another certificate of {self._who(self.me)}: it has "
                f"{answer.pinned.hex()} pinned, and this one is {self._identity.fingerprint()}; give it this "
                f"certificate as that of {self._who(self.me)}, or start with the identity that it knows"
            )

    # The side that listens

    def _await(self, peer: int, purpose: str, deadline: float) -> Arrival:
        if self._listener is None:
            raise ConfigurationError(f"{self._who(self.me)} does not listen, so {self._who(peer)} cannot connect")
        with self._arrived:
            self._arrived.wait_for(
                lambda: self._closed or (peer, purpose) in self._waiting, max(0.0, deadline - time.monotonic())
            )
            sock = self._waiting.pop((peer, purpose), None)
            refused = self._refused.get(peer)
        if sock is not None:
            return sock
        if refused:
            raise ConfigurationError(refused)
        raise PartyLost(
            self.names.get(peer, peer),
            "never came: it did not connect to {}:{}; start it, or correct this address in its list".format(
                *(self._addresses.get(self.me) or self.address or ("?", "?"))
            ),
            f"connecting for {purpose!r}",
        )

    def _judge(self, first: Introduction, theirs: bytes) -> bytes:
        """The answer to a connection's other end; `TurnedAway` for all but a party that proves that it is one."""
        own = self._identity.certificate

        def away(verdict: Verdict, why: str, pinned: bytes = bytes(32)) -> TurnedAway:
            return TurnedAway(why, Answer(verdict, len(own), pinned).encode() + own)

        if first.to != self.me:
            raise away(Verdict.NOT_ME, f"it is {self._who(first.me)} and looks for {self._who(first.to)}")
        if first.me not in self._pins or first.me == self.me:
            raise away(Verdict.UNKNOWN_INDEX, f"nobody knows a {self._who(first.me)} here")
        if not self._is_pinned(first.me, theirs):
            # Anybody can claim an index, so this stops nobody: it is told if the right one never comes.
            self._refused[first.me] = self._wrong(first.me, theirs, "")
            raise away(Verdict.WRONG_CERTIFICATE, self._refused[first.me], self._pins[first.me])
        if not first.is_proved(self._key(first.me, theirs)):
            raise away(Verdict.UNPROVED, "it proves nothing")
        if not self._seen.setdefault(first.me, Seen()).new(first.stamp):
            raise away(Verdict.UNPROVED, "what it says was said before")
        return Answer(Verdict.WELCOME, len(own)).encode() + own

    def _arrive(self, sock: socket.socket, peer: int) -> None:
        """A connection that a party began: TLS takes a thread, and a bounded number for each party."""
        with self._arrived:
            mine = sum(who == peer for who, _ in self._greeting.values())
            if not self._closed and mine < MOST_GREETINGS:
                self._greeting[id(sock)] = peer, sock
                threading.Thread(target=self._greet, args=(sock, peer), name="tacit-greet", daemon=True).start()
                return
        sock.close()

    def _greet(self, sock: socket.socket, peer: int) -> None:
        key = id(sock)
        kept: ssl.SSLSocket | None = None
        try:
            kept = self._admit(sock, peer, key)
        except (OSError, EOFError, ValueError, ConfigurationError) as error:
            log.info("a connection of %s came to nothing: %s", self._who(peer), error)
        finally:
            with self._arrived:
                self._greeting.pop(key, None)
            if kept is None:
                sock.close()

    def _admit(self, sock: socket.socket, peer: int, key: int) -> ssl.SSLSocket | None:
        end = time.monotonic() + GREETING
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        secure = self._wrap(sock, peer, server=True)
        kept = False
        try:
            with self._arrived:
                if key not in self._greeting:
                    raise EOFError("this party ends")
                self._greeting[key] = peer, secure
            self._prove(secure, peer, end)
            request, length = Request.decode(_read(secure, REQUEST_SIZE, end))
            purpose = _read(secure, length, end).decode()
            secure.settimeout(_left(end))
            # An opening that is known already: its reply was lost on the way.
            if request.ask is not Ask.OPEN or self.mender.knows(peer, request.token):
                with self._arrived:
                    self._greeting.pop(key, None)  # a stream's from here on
                kept = self.mender.answer(peer, request, secure)
            elif purpose in self._begun and self.mender.busy(purpose):
                secure.sendall(Reply(Told.BUSY, process=os.getpid(), began=self._begun[purpose]).encode())
            else:
                self._wait_for_owner(
                    secure,
                    Line(
                        self.mender,
                        peer,
                        purpose,
                        request.token,
                        dials=False,
                        listens=request.listens,
                        epoch=request.epoch,
                    ),
                    key,
                )
                kept = True
        finally:
            if not kept:
                secure.close()
        return secure if kept else None

    def _wait_for_owner(self, secure: ssl.SSLSocket, line: Line, key: int) -> None:
        with self._arrived:
            mine = [waiting for waiting in self._waiting if waiting[0] == line.peer]
            # From here on it is no greeting, which `close` would cut: whoever takes it may close this endpoint at once.
            if self._closed or line.peer not in self._pins or len(mine) >= 16 or self._greeting.pop(key, None) is None:
                raise EOFError("not now")
            secure.sendall(Reply(Told.TAKEN).encode())
            stale = self._waiting.pop((line.peer, line.purpose), None)
            self._waiting[line.peer, line.purpose] = secure, line
            self._arrived.notify_all()
        if stale is not None:
            stale[0].close()

    # Both sides

    def _key(self, peer: int, certificate: bytes) -> bytes:
        """The key by which this party and `peer` prove to each other that they are no strangers."""
        if peer not in self._keys:
            if self._run:
                pair = b"%d %d" % (min(self.me, peer), max(self.me, peer))
                self._keys[peer] = hashlib.blake2b(pair, key=self._run, digest_size=32).digest()
            else:
                self._keys[peer] = self._identity.agree(certificate)
        return self._keys[peer]

    def _wrap(self, sock: socket.socket, peer: int, *, server: bool) -> ssl.SSLSocket:
        return self._context(peer, server).wrap_socket(sock, server_side=server, do_handshake_on_connect=False)

    def _context(self, peer: int, server: bool) -> ssl.SSLContext:
        """TLS 1.3, both sides with certificates; the peer's was checked against the pin and is all that is trusted. Made once."""
        with self._making:
            if (made := self._contexts.get((peer, server))) is not None:
                return made
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
            context.minimum_version = ssl.TLSVersion.TLSv1_3
            context.check_hostname = False  # the pin says more than a name could
            context.verify_mode = ssl.CERT_REQUIRED
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a pinned certificate needs no issuer
            if server:
                context.num_tickets = 0
            try:
                context.load_verify_locations(cadata=self._certificates[peer])
            except ssl.SSLError:
                raise ConfigurationError(
                    f"the pinned certificate of {self._who(peer)} is no X.509 certificate"
                ) from None
            self._identity.load_into(context)
            self._contexts[peer, server] = context
            return context

    def _prove(self, secure: ssl.SSLSocket, peer: int, end: float) -> None:
        secure.settimeout(_left(end))
        secure.do_handshake()
        # Being the trust anchor, the pinned certificate could have signed another one: only itself will do.
        certificate = secure.getpeercert(binary_form=True) or b""
        if not self._is_pinned(peer, certificate):
            raise ConfigurationError(self._wrong(peer, certificate, ""))

    def _is_pinned(self, peer: int, certificate: bytes) -> bool:
        if certificate and certificate == self._certificates.get(peer):
            return True
        if len(certificate) == 32 or pin(certificate) != self._pins[peer]:
            return False
        self._certificates[peer] = certificate
        return True

    def _wrong(self, peer: int, certificate: bytes, where: str) -> str:
        return (
            f"the certificate that {self._who(peer)} shows {where}is not the pinned one: expected "
            f"{self._pins[peer].hex()}, got {fingerprint(certificate)}; if its owner confirms that the latter is its "
            "fingerprint, pin it, else somebody else is at that address"
        )

    def _who(self, peer: int) -> str:
        name = self.names.get(peer)
        return named(f"party {peer}", self._members) if name is None else f"the {name}"


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError("too slow")
    return left


def _read(sock: socket.socket, size: int, end: float) -> bytes:
    """Exactly `size` bytes, before `end`."""
    data = bytearray()
    while len(data) < size:
        sock.settimeout(_left(end))
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError("the other side left")
        data += piece
    return bytes(data)
