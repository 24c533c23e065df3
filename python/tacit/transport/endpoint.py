"""A process's place on the network: one listening port, and TLS 1.3 connections to peers with pinned certificates.

Between two parties the one with the lower index listens and the other connects, but for a party that comes back (`knock`):
it connects with all. Each connection serves one `purpose`, so that two threads of a process can each have a channel over
the same port. Whoever is not pinned gets no connection, and neither strangers that say nothing nor strangers that send
garbage delay the parties: each new connection is greeted by a short-lived thread of its own, for a bounded time.
"""

from __future__ import annotations

import contextlib
import errno
import hmac
import logging
import os
import secrets
import socket
import ssl
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping

from tacit.errors import NAMES, ConfigurationError, PartyLost, named
from tacit.transport.channel import DEFAULT_TIMEOUT
from tacit.transport.handshake import handshake
from tacit.transport.identity import Identity, fingerprint, pin
from tacit.transport.link import cut
from tacit.transport.mending import Line, Mender
from tacit.transport.meter import Meter
from tacit.transport.tcp import TcpChannel
from tacit.transport.wire import (
    ANSWER_SIZE,
    INTRODUCTION_SIZE,
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
MOST_GREETINGS = 64

log = logging.getLogger("tacit.transport")


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. A launcher may open it and pass it to an `Endpoint`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # else a port stays taken for a minute after each run
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"port {port} on {host or 'this machine'} is taken by another process; stop that one (is a party of an "
                "earlier run still there?), or give this party another port in the addresses of all parties"
            ) from None
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; the address has to belong to this machine "
            "(0.0.0.0 stands for all of its addresses), and ports below 1024 are reserved"
        ) from None
    return sock


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
    ) -> None:
        """`always`: listen even where nobody has to connect at the start, for parties that come back."""
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
        self._greeting: OrderedDict[int, socket.socket] = OrderedDict()
        self._closed = False
        if listener is None and (always or any(index > me for index in self._pins)):
            if bind is None and me not in self._addresses:
                raise ConfigurationError(f"{self._who(me)} has no address, but others have to connect to it")
            listener = listen(*(bind or self._addresses[me]))
        self._listener = listener
        if listener is not None:
            listener.settimeout(None)
            threading.Thread(target=self._accept, name="tacit-accept", daemon=True).start()

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
        return None if self._listener is None else self._listener.getsockname()[:2]

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
            for sock in self._greeting.values():
                cut(sock)
            self._arrived.notify_all()
        self.mender.close()
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept
            self._listener.close()
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
            except Malformed:
                problem = "what answers there is no tacit party"
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
            sock.sendall(Introduction(self.me, peer, len(own)).encode() + own)
            answer = Answer.decode(_read(sock, ANSWER_SIZE, end))
            theirs = _read(sock, answer.size, end)
            self._judge_answer(answer, peer, f"{host}:{port}")
            if not self._is_pinned(peer, theirs):
                raise ConfigurationError(self._wrong(peer, theirs, f"at {host}:{port} "))
            sock = secure = self._wrap(sock, theirs, peer, server=False)
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

    def _accept(self) -> None:
        assert self._listener is not None
        while not self._closed:
            try:
                sock, address = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                time.sleep(0.05)  # out of file descriptors, or the other side left at once
                continue
            with self._arrived:
                if len(self._greeting) >= MOST_GREETINGS:
                    # Strangers must not fill the queue: the one that has been silent the longest goes.
                    cut(self._greeting.popitem(last=False)[1])
                self._greeting[id(sock)] = sock
            threading.Thread(target=self._greet, args=(sock, address), name="tacit-greet", daemon=True).start()

    def _greet(self, sock: socket.socket, address: Address) -> None:
        key = id(sock)
        kept: ssl.SSLSocket | None = None
        try:
            kept = self._admit(sock, key)
        except (OSError, EOFError, ValueError) as error:
            log.info("a connection from %s was no party: %s", address[0], error)
        except ConfigurationError as error:
            log.warning("refused a connection from %s: %s", address[0], error)
        finally:
            with self._arrived:
                self._greeting.pop(key, None)
            if kept is None:
                sock.close()

    def _admit(self, sock: socket.socket, key: int) -> ssl.SSLSocket | None:
        end = time.monotonic() + GREETING
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        intro = Introduction.decode(_read(sock, INTRODUCTION_SIZE, end))
        theirs = _read(sock, intro.size, end)
        own = self._identity.certificate
        verdict, pinned = Verdict.WELCOME, bytes(32)
        if intro.to != self.me:
            verdict = Verdict.NOT_ME
        elif intro.me not in self._pins or intro.me == self.me:
            verdict = Verdict.UNKNOWN_INDEX
        elif not self._is_pinned(intro.me, theirs):
            verdict, pinned = Verdict.WRONG_CERTIFICATE, self._pins[intro.me]
        sock.sendall(Answer(verdict, len(own), pinned).encode() + own)
        if verdict is not Verdict.WELCOME:
            message = (
                self._wrong(intro.me, theirs, "")
                if verdict is Verdict.WRONG_CERTIFICATE
                else f"it is {self._who(intro.me)} and looks for {self._who(intro.to)}: {verdict.name}"
            )
            if verdict is Verdict.WRONG_CERTIFICATE:
                # Anybody can claim an index, so this stops nobody: it is told if the right one never comes.
                self._refused[intro.me] = message
            raise ConfigurationError(message)
        secure = self._wrap(sock, theirs, intro.me, server=True)
        try:
            with self._arrived:
                if key not in self._greeting:
                    raise EOFError("crowded out")
                self._greeting[key] = secure
            self._prove(secure, intro.me, end)
            request, length = Request.decode(_read(secure, REQUEST_SIZE, end))
            purpose = _read(secure, length, end).decode()
            secure.settimeout(_left(end))
            # An opening that is known already: its reply was lost on the way.
            if request.ask is not Ask.OPEN or self.mender.knows(intro.me, request.token):
                return secure if self.mender.answer(intro.me, request, secure) else None
            if purpose in self._begun and self.mender.busy(purpose):
                secure.sendall(Reply(Told.BUSY, process=os.getpid(), began=self._begun[purpose]).encode())
                return None
            line = Line(
                self.mender, intro.me, purpose, request.token, dials=False, listens=request.listens, epoch=request.epoch
            )
            with self._arrived:
                mine = [waiting for waiting in self._waiting if waiting[0] == intro.me]
                # From here on it is no greeting, which `close` would cut: whoever takes it may close this endpoint at once.
                if self._closed or len(mine) >= 16 or self._greeting.pop(key, None) is None:
                    raise EOFError("not now")
                secure.sendall(Reply(Told.TAKEN).encode())
                stale = self._waiting.pop((intro.me, purpose), None)
                self._waiting[intro.me, purpose] = secure, line
                self._arrived.notify_all()
            if stale is not None:
                stale[0].close()
        except BaseException:
            secure.close()
            raise
        return secure

    # Both sides

    def _wrap(self, sock: socket.socket, theirs: bytes, peer: int, *, server: bool) -> ssl.SSLSocket:
        """TLS 1.3, both sides with certificates; `theirs` was checked against the pin and is all that is trusted."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.check_hostname = False  # the pin says more than a name could
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a pinned certificate needs no issuer
        if server:
            context.num_tickets = 0
        try:
            context.load_verify_locations(cadata=theirs)
        except ssl.SSLError:
            raise ConfigurationError(f"the pinned certificate of {self._who(peer)} is no X.509 certificate") from None
        self._identity.load_into(context)
        return context.wrap_socket(sock, server_side=server, do_handshake_on_connect=False)

    def _prove(self, secure: ssl.SSLSocket, peer: int, end: float) -> None:
        secure.settimeout(_left(end))
        secure.do_handshake()
        # Being the trust anchor, the pinned certificate could have signed another one: only itself will do.
        certificate = secure.getpeercert(binary_form=True) or b""
        if not self._is_pinned(peer, certificate):
            raise ConfigurationError(self._wrong(peer, certificate, ""))

    def _is_pinned(self, peer: int, certificate: bytes) -> bool:
        return hmac.compare_digest(pin(certificate) if len(certificate) != 32 else b"", self._pins[peer])

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
