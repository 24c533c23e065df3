"""The way back of a party that was lost: it connects with all others, runs its script on what they tell of the past, and joins.

Between the party and each of the others, in turn, until it has caught up:
    it -> other: how many entries of the history its script has used
    other -> it: the entries since, or its admission, with which the connection becomes one of the session's
An entry is believed when more parties than may collude say the same. The others go on meanwhile; they admit it at the end of the
first step at which all of them say that it has caught up, but for one step (`Recovery`).
"""

import threading
import time
from collections import Counter
from collections.abc import Collection, Mapping

import msgpack

from tacit.engine.history import LARGEST, Admission, Entry, History
from tacit.errors import CheatingDetected, ConfigurationError, PartyLost, TacitError
from tacit.steps import protocol_step
from tacit.transport.endpoint import Endpoint
from tacit.transport.handshake import handshake
from tacit.transport.tcp import TcpChannel

PURPOSE = "return"
COUNT = 8
LONGEST_SCRIPT = 3600.0
"""Seconds that a script may take between two of its steps, while it catches up."""
LONGEST_NAME = 64
WAIT = 1 / 8
"""The part of a time-out for which the others wait for a party that has nearly caught up, at its pace so far."""
NOBODY = 5.0
"""Seconds after which a run is over whose parties do not even listen."""
PAUSE = 0.1
"""Seconds between two tries to reach the others."""


class Door:
    """Where the parties of a session meet those that come back. `hello`: what both sides have to run alike."""

    def __init__(
        self, endpoint: Endpoint, hello: Mapping[str, str], session: bytes, history: History, timeout: float
    ) -> None:
        self.endpoint, self.hello, self.session = endpoint, hello, session
        self.history, self.timeout = history, timeout
        self._visits: dict[int, Visit] = {}

    def ready(self, members: Collection[int], proposed: Collection[int] = ()) -> tuple[int, ...]:
        """Who is at the door and has caught up. `proposed` will be let in whatever happens: their visits stay what they are."""
        if self.history.full:
            return ()
        for party in self.endpoint.visitors(PURPOSE):
            if party in proposed:
                continue
            if (old := self._visits.pop(party, None)) is not None:
                old.give_up()
            self._visits[party] = Visit(self, party)
            self._visits[party].start()
        for party in [i for i, visit in self._visits.items() if visit.failed and i not in proposed]:
            self._visits.pop(party).give_up()
        return tuple(sorted(i for i, visit in self._visits.items() if i not in members and visit.caught_up()))

    def admit(self, party: int, admission: Admission) -> TcpChannel:
        """The connection to `party`, which has been told where it joins; a broken one if that failed."""
        return self._visits.pop(party).admit(admission)

    def revoke(self, party: int) -> None:
        """Never meet it again."""
        self.endpoint.revoke(party)
        if (visit := self._visits.pop(party, None)) is not None:
            visit.give_up()

    def close(self) -> None:
        for visit in self._visits.values():
            visit.give_up()


class Visit(threading.Thread):
    """A party's conversation with one that comes back."""

    def __init__(self, door: Door, party: int) -> None:
        super().__init__(name=f"tacit-visit-{party}", daemon=True)
        self._door, self._party = door, party
        self._channel = door.endpoint.receive(party, PURPOSE, door.timeout)
        self._used = -1
        """Entries, once it has said so."""
        self._began = time.monotonic()
        self._admission = b""
        self._over = threading.Event()
        self.failed = False

    def caught_up(self) -> bool:
        """But for what it runs through while the others wait for it: however short their steps are, it catches up with them."""
        if self.failed or self._used < 0:
            return False
        behind = len(self._door.history) - self._used
        pace = (time.monotonic() - self._began) / max(1, self._used)
        return behind <= 1 or behind * pace < self._door.timeout * WAIT

    def admit(self, admission: Admission) -> TcpChannel:
        with self._door.history.changed:
            self._admission = admission.pack()
            self._door.history.changed.notify_all()
        if not self._over.wait(self._door.timeout):
            self._channel.cut()
            self._over.wait(self._door.timeout)
        return self._channel

    def give_up(self) -> None:
        self.failed = True
        self._channel.cut()

    def run(self) -> None:
        try:
            self._talk()
        except (TacitError, OSError, ValueError):
            self.failed = True
        finally:
            if self.failed and not self._admission:
                self._channel.close()
            self._over.set()

    @protocol_step
    def _talk(self) -> None:
        party, channel, history = self._party, self._channel, self._door.history
        handshake(channel, self._door.hello)
        channel.exchange({party: [self._door.session]}, {})
        told = 0
        while True:
            came = channel.exchange({}, {party: COUNT}, timeout=LONGEST_SCRIPT)
            self._used = int.from_bytes(came[party], "little")
            with history.changed:
                if len(history) == told and not self._admission:
                    history.changed.wait(self._door.timeout / 2)
                entries, admission = history.since(told), self._admission
            if history.full:
                raise ConfigurationError("too much was revealed in this session to be told again")
            told += len(entries)
            channel.exchange({party: [msgpack.packb([list(entries), admission])]}, {})
            if admission:
                return


class Knock(threading.Thread):
    """Reaches one of the others, and hears which session it is in: `session`. Tries until then, or until it is told to stop."""

    def __init__(self, endpoint: Endpoint, peer: int, hello: Mapping[str, str], timeout: float) -> None:
        super().__init__(name=f"tacit-knock-{peer}", daemon=True)
        self._endpoint, self._peer, self._hello, self._timeout = endpoint, peer, hello, timeout
        self.channel: TcpChannel | None = None
        self.session = b""
        self.nobody = False
        """Nothing listens there."""
        self.error: TacitError | None = None
        self._stopped = threading.Event()

    def run(self) -> None:
        while not (self._stopped.is_set() or self.session or self.error):
            try:
                self.channel = self._endpoint.knock(self._peer, PURPOSE, self._timeout)
                self.nobody = False
                if self.channel is not None:
                    handshake(self.channel, self._hello)
                    self.session = bytes(self.channel.exchange({}, {self._peer: LONGEST_NAME})[self._peer])
            except PartyLost:  # it leaves, or is on its way back itself
                self.close()
            except ConnectionRefusedError:
                self.nobody = True
            except TacitError as error:
                self.error = error
            self._stopped.wait(PAUSE)
        if self._stopped.is_set():
            self.close()

    def stop(self) -> None:
        self._stopped.set()

    def close(self) -> None:
        if self.channel is not None:
            self.channel.close()


class Return:
    """The side of the party that comes back. Belongs to the script's thread."""

    def __init__(
        self, endpoint: Endpoint, parties: int, threshold: int, hello: Mapping[str, str], timeout: float, within: float
    ) -> None:
        """Connect with the parties of a session that goes on, which have to answer `within` seconds."""
        self._threshold = threshold
        self._knock = lambda peer: Knock(endpoint, peer, hello, timeout)
        self.channel = TcpChannel(endpoint.me, {}, timeout=timeout, names=endpoint.names)
        self._told: dict[int, list[bytes]] = {}
        self._admissions: dict[int, bytes] = {}
        self._used = 0
        self._knocks: dict[int, Knock] = {}
        for peer in range(parties):
            if peer != endpoint.me:
                self._start(peer)
        self._within, self._deadline = within, time.monotonic() + within
        self.session = self._answer()

    def _start(self, peer: int) -> None:
        self._knocks[peer] = self._knock(peer)
        self._knocks[peer].start()

    def _answer(self) -> bytes:
        """The session's name."""
        seen = time.monotonic()
        while True:
            said = {i: knock.session for i, knock in self._knocks.items() if knock.session}
            if (session := self._agreed(said)) is not None:
                return session
            errors = [knock.error for knock in self._knocks.values() if knock.error is not None]
            if len(errors) > self._threshold:
                raise errors[0]
            if not all(knock.nobody for knock in self._knocks.values()):
                seen = time.monotonic()
            if time.monotonic() > min(self._deadline, seen + NOBODY):
                self._stop()
                raise self._alone(said)
            time.sleep(PAUSE)

    @staticmethod
    def _alone(there: Collection[int]) -> ConfigurationError:
        return ConfigurationError(
            f"this party cannot come back: of the others, {', '.join(map(str, sorted(there))) or 'none'} answered alike. It can "
            "while they are still computing, and if it reaches all of them"
        )

    def take(self) -> Entry:
        """The next entry. Waits for it."""
        while (data := self._entry()) is None:
            self._listen()
        self._used += 1
        return Entry.unpack(data)

    def follows(self, what: str) -> bool:
        """Return whether the next entry is of this kind. Waits until that is known."""
        if self.admission() is not None:
            return False
        data = self._entry()
        assert data is not None
        return Entry.unpack(data).what == what

    def admission(self) -> Admission | None:
        """Where this party joins, if that is after the entries that were used. Waits until that is known."""
        while self._entry() is None:
            if (found := self._agreed(self._admissions)) is not None and self._told.keys() <= self._admissions.keys():
                self._stop()
                return self._checked(Admission.unpack(found))
            self._listen()
        return None

    def _checked(self, admission: Admission) -> Admission:
        """It has a connection with all others."""
        for peer in admission.members:
            if peer not in (*self._told, self.channel.me):
                raise PartyLost(peer, "its connection broke off while this party came back", "return")
        return admission

    def _entry(self) -> bytes | None:
        return self._agreed({i: told[self._used] for i, told in self._told.items() if len(told) > self._used})

    def _agreed(self, said: Mapping[int, bytes]) -> bytes | None:
        """The message that more than t parties say; None if there is none."""
        if not said:
            return None
        value, count = Counter(said.values()).most_common(1)[0]
        return value if count > self._threshold else None

    def _stop(self) -> None:
        for knock in self._knocks.values():
            knock.stop()

    def _listen(self) -> None:
        """One turn with all that have not admitted this party yet."""
        for peer in [i for i, knock in self._knocks.items() if knock.session == self.session]:
            channel = self._knocks.pop(peer).channel
            assert channel is not None
            self.channel.adopt(channel)
            self._told[peer] = []
        waiting = [i for i in self._told if i not in self._admissions]
        if len(self._told) > self._threshold:
            self._deadline = time.monotonic() + self._within
        if time.monotonic() > self._deadline or (self._admissions and not waiting):
            self._stop()
            raise self._alone(self._told)
        if not waiting:
            time.sleep(PAUSE)
        used = [self._used.to_bytes(COUNT, "little")]
        for out in ({peer: used} for peer in waiting):
            self._turn(out, {})
        for peer in waiting:
            for frame in self._turn({}, {peer: 2 * LARGEST} if peer in self._told else {}).values():
                self._hear(peer, bytes(frame))

    @protocol_step
    def _turn(self, out: Mapping[int, list[bytes]], expect: Mapping[int, int]) -> dict[int, bytearray]:
        """With one of them; who is lost may come back as well."""
        try:
            return self.channel.exchange(out, expect, label="return")
        except PartyLost as error:
            peer = int(error.party)
            self.channel.part([peer])
            del self._told[peer]
            self._start(peer)
            return {}

    def _hear(self, peer: int, frame: bytes) -> None:
        entries, admission = unpacked(frame, peer)
        self._told[peer] += entries
        if admission:
            self._admissions[peer] = admission


def unpacked(frame: bytes, peer: int) -> tuple[list[bytes], bytes]:
    """The entries and the admission (empty: none yet) that a party tells one that comes back."""
    try:
        entries, admission = msgpack.unpackb(frame)
        if all(isinstance(part, bytes) for part in (*entries, admission)):
            return list(entries), admission
    except (ValueError, TypeError, msgpack.UnpackException):
        pass
    raise CheatingDetected(f"party {peer} sent a malformed past")
