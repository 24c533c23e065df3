"""Going on when parties are lost, or come back: what all of them compute together is cut into *steps* that all finish, or none.

A step ends when everyone has told everyone that it is through. If a party is lost before, the others agree on who of them goes
on (`transport.counting`): at most one set of parties, whatever the cheaters among them say, and as many as the protocol needs. A
step that some party knows to be ended is ended for all; else all go back to its beginning and do it again.

After a count, and when a party comes back, the *view* changes, which is a step like any other: new keys, so that nothing is
opened twice under one mask, and new shares of all values that live, so that those of who is lost are of no use. A party is
admitted at a step's end, when all others say that it has caught up with them (`engine.rejoin`).
A script sees who is lost and who is back (`members`, `lost`) after the same step at all parties, though some of them were through
with the one before when they heard of it.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tacit.engine.history import Admission, Entry, History
from tacit.errors import CheatingDetected, ConfigurationError, Mismatch, PartyLost, TooFewLeft
from tacit.graph.wires import Share
from tacit.steps import protocol_step
from tacit.transport.calls import PARTIES
from tacit.transport.counting import Count, Settled
from tacit.transport.membership import CALLED, Viewed

if TYPE_CHECKING:
    from tacit.engine.engine import Engine
    from tacit.engine.rejoin import Door, Return
    from tacit.graph.wires import Wire

T = TypeVar("T")
THROUGH = b"through the step"
"""And the number of the step, who is to be let in (1 + its number, or 0), and who has caught up, a bit for each party."""
NEXT = 2
"""Bytes of a party's number."""
COUNTS = 32
"""In one step, at most, after which nobody was lost: a party that calls for ever would hold all others."""
REVOKED = "it was revoked"
STAY = 64
"""Steps after which it does not count any more that a party was lost before."""
GONE = "it was lost before this party came back"


class Recovery:
    """The recovery from losses of one engine. `ask`: a loss is raised in the script, which may go on after `allow`."""

    def __init__(self, engine: "Engine", channel: Viewed, ask: bool) -> None:
        if engine.protocol.parties > PARTIES:
            raise ConfigurationError(f"at most {PARTIES} parties can lose each other and go on")
        self._engine, self._channel, self._ask = engine, channel, ask
        self.lost: list[PartyLost] = []
        """The losses that were survived, in order, and that the script may know."""
        self.members = engine.protocol.members
        self.history = History()
        self.revoked: set[int] = set()
        """Who is never let in again."""
        self.door: Door | None = None
        """Where parties that come back are met."""
        self.past: Return | None = None
        """While this party is on its way back: what happened before."""
        self.inside = False
        self.wires: list[Wire] = []
        """Lowered in this step."""
        self._unseen: list[PartyLost] = []
        self._done = 0
        self._holders = set(self.members)
        self._bases = [frozenset(self.members)]
        """The last view that this party knows to be everybody's, and those that may have become so since."""
        self._due = False
        """The view has to change."""
        self._proposed: tuple[int, ...] = ()
        """Who had caught up at the end of the last step, as all others said."""
        self._coming: tuple[int, ...] = ()
        """The same, when all have told each other that they found it so."""
        self._asking: PartyLost | None = None
        self._raising: Entry | None = None
        self._ahead = False
        """Some party knows that all were through with the step in which this one lost somebody."""
        self._behind = False
        """Some party does not know yet that all were through with the step before that."""
        self._counts = 0
        self._waits: dict[int, tuple[int, int]] = {}
        """By party that was lost: after how many steps, and how many more it has to wait before it is let in again."""

    # What the script sees.

    def allow(self) -> None:
        """Go on without those that were lost."""
        self._asking = None
        if self.past is None:
            self._show()
        else:
            assert self._raising is not None
            self._seen(self._raising)

    def revoke(self, party: int) -> None:
        """Go on without `party`, and never let it in again. All others do the same in the same step."""
        self.revoked.add(party)
        if self.door is not None:
            self.door.revoke(party)
        self._engine.together(lambda: self._without(party), "revoke")

    def _without(self, party: int) -> None:
        self._proposed = tuple(i for i in self._proposed if i != party)
        if party in self._channel.peers:
            raise PartyLost(party, REVOKED, "revoke")

    def _show(self) -> tuple[int, ...]:
        shown = tuple(int(loss.party) for loss in self._unseen)
        self.lost += self._unseen
        self._unseen, self.members = [], self._engine.protocol.members
        return shown

    def _seen(self, entry: Entry) -> None:
        self.lost += [PartyLost(i, GONE) for i in entry.lost]
        self.members = entry.members

    def _remember(self, entry: Entry) -> None:
        if self.door is not None:
            self.history.append(entry)

    def _raised(self, error: PartyLost, lost: Iterable[int], asked: bool) -> PartyLost:
        members = self._engine.protocol.members
        self._remember(Entry("asked" if asked else "lost", error.party, members, tuple(lost)))
        return error

    # Steps.

    def step(self, work: Callable[[], T], what: str) -> T:
        """`work` as one step; inside a step, as part of it."""
        if self.inside:
            return work()
        while True:
            self._change()
            if self._asking is not None and self._asking.party not in self.revoked:
                raise self._raised(self._asking, (int(loss.party) for loss in self._unseen), True)
            try:
                done, ended, result = self._attempt(work, self.door)
            except PartyLost as error:  # lost before, and nobody else can do what the script asks of it
                raise self._raised(error, self._show(), False) from None
            if not done:
                continue
            for wire in self.wires:
                self._engine.protocol.settle(wire)
            self.wires, self._counts = [], 0
            # Else some party is in the next step already, and hears of the loss there.
            shown = () if ended else self._show()
            self._remember(Entry(what, result, self.members, shown))
            if self._coming:
                self._admit()
            return result

    def _attempt(self, work: Callable[[], T], door: "Door | None" = None) -> tuple[bool, bool, T]:
        """(all are through, this party was told so by another that was ahead, result). At the end: who is at the `door`?"""
        mark = self._engine.mark()
        self.inside, self.wires = True, []
        finished = ended = False
        result: Any = None
        try:
            result = work()
            finished = True
            self._through(door)
        except PartyLost as error:
            if error.party not in self._channel.peers:
                self._back(mark)
                raise
            self._regroup(error, finished)
            if not (ended := self._ended(finished)):
                self._back(mark)
                return False, False, result
        finally:
            self.inside = False
        self._done += 1
        return True, ended, result

    @protocol_step
    def _through(self, door: "Door | None") -> None:
        """All are through. And who is at the door has to have caught up with all of them: what each party says of that may
        differ from what it says to others, so that they compare what came of it at the next step's end, before they let it in.
        """
        protocol = self._engine.protocol
        proposed, self._coming, self._proposed = self._proposed, (), ()
        ready = () if door is None else self._ready(door, proposed)
        note = THROUGH + self._done.to_bytes(8, "little")
        found = sum(1 << i for i in ready)
        away = sum(1 << i for i in range(protocol.parties) if i not in protocol.members)
        peers = self._channel.peers
        awaited = sum(1 + i for i in proposed).to_bytes(NEXT, "little")
        whole = note + awaited + found.to_bytes(PARTIES // 8, "little")
        came = self._channel.exchange({i: [whole] for i in peers}, dict.fromkeys(peers, len(whole)), label="through")
        for i in peers:
            theirs = int.from_bytes(came[i][len(note) + NEXT :], "little")
            if came[i][: len(note)] != note or len(came[i]) != len(whole) or theirs & ~away:
                raise Mismatch(
                    f"party {i} and party {self._channel.me} end different steps: do all parties run the same script?"
                )
            found &= theirs
        if any(came[i][len(note) : len(note) + NEXT] != awaited for i in peers):
            raise CheatingDetected(
                "the parties were told different things about who has come back: one of them lied, and cannot be told. Start "
                "again, without that party if you know it"
            )
        self._coming = proposed
        if not proposed:
            self._proposed = tuple(i for i in ready if found >> i & 1)[:1]  # those after it do not know it yet

    def _ready(self, door: "Door", proposed: Sequence[int]) -> tuple[int, ...]:
        found = door.ready(self._engine.protocol.members, proposed)
        waits = {i: lost + wait for i, (lost, wait) in self._waits.items()}
        return tuple(i for i in found if i not in self.revoked and waits.get(i, 0) <= self._done)

    def _missed(self, party: int) -> None:
        """It waits twice as long as the last time, if it was lost again soon after it had come back."""
        since = self._channel.record.since.get(party)
        soon = since is not None and self._done - since < STAY
        self._waits[party] = self._done, max(2, 2 * self._waits.get(party, (0, 0))[1]) if soon else 0

    def _back(self, mark: Any) -> None:
        for wire in self.wires:
            wire.unlower()
            self._engine.protocol.forget(wire)
        self._engine.back(mark)

    def _ended(self, finished: bool) -> bool:
        """Return whether some party knows that all were through with this step."""
        if self._ahead and not finished:
            raise CheatingDetected(f"a party says that all were through with step {self._done}, and this party was not")
        return self._ahead

    # Who is left.

    def _regroup(self, error: PartyLost, finished: bool) -> None:
        """Agree on who is left; `TooFewLeft` if they cannot go on."""
        before = self._channel.peers
        settled = self._count([] if error.silent or error.why == CALLED else [int(error.party)], finished)
        self._ahead = any(call.done > self._done for call in settled.calls.values())
        self._behind |= any(call.done < self._done for call in settled.calls.values())
        members = tuple(sorted(settled.members))
        lost = [i for i in before if i not in members]
        self._counts += not lost
        if self._counts > COUNTS:
            raise CheatingDetected("some party calls for counts again and again though nobody is lost")
        self._holders &= set(members)
        if len(self._holders) < self._engine.recoverable.min_parties:
            raise TooFewLeft(
                members,
                f"{self._engine.recoverable.min_parties} are needed to withstand as many colluding parties as before",
            )
        self._bases.append(settled.members)
        self._channel.part(lost)
        self._engine.recoverable.set_members(members)
        self._due, self._coming, self._proposed = True, (), ()
        for party in lost:
            self._missed(party)
            why = error.why if error.party == party else "the others lost it"
            self._unseen.append(PartyLost(party, why, error.operation))
        if self._ask and set(lost) - self.revoked:
            self._asking = next(loss for loss in reversed(self._unseen) if loss.party not in self.revoked)

    def _count(self, lost: Sequence[int], finished: bool) -> Settled:
        holds = self._channel.me in self._holders
        threshold = (self._engine.recoverable.min_parties - 1) // 2
        return Count(self._channel, lost, self._done, finished, holds, self._bases, threshold).run()

    # Views.

    def _change(self) -> None:
        """The members' new keys and shares, if there are new members."""
        while self._due:
            self._due = False
            members = self._engine.protocol.members
            done, _, staged = self._attempt(self._new_view)
            if not done:
                continue
            self._holders = set(members) & set(self._engine.protocol.members)
            # Somebody may have been lost after its end: what is left of it is no view yet.
            self._bases = list(dict.fromkeys(map(frozenset, (members, self._engine.protocol.members))))
            new, gone = staged
            for wire, share in new:
                wire.replace(share)
                self._engine.protocol.forget(wire)
            for wire, parties in gone:
                wire.drop(parties)
                self._engine.protocol.forget(wire)

    def _new_view(self) -> tuple[list[tuple["Wire", Share]], list[tuple["Wire", list[int]]]]:
        """(values with their new shares, values that some party does not hold, with who that is)."""
        self._engine.restart()
        live = self._engine.live()
        claims = self._claims(np.array(list(live), "<u8").tobytes())
        alike = set(live).intersection(*claims.values())
        wires = [wire for serial, wire in live.items() if serial in alike]
        held = [(wire.shape, wire.share) for wire in wires]
        shares = self._engine.reshare(held, sorted(self._holders))
        gone = [
            (wire, [i for i in sorted(claims) if serial not in claims[i]])
            for serial, wire in live.items()
            if serial not in alike
        ]
        return list(zip(wires, shares, strict=True)), gone

    @protocol_step
    def _claims(self, mine: bytes) -> dict[int, set[int]]:
        """The serials of the values that each of the others holds, alike at all parties: lists, then a hash of all of them."""
        me, peers = self._channel.me, self._channel.peers
        longest = 8 * self._engine.forced
        came = self._channel.exchange({i: [mine] for i in peers}, dict.fromkeys(peers, longest), label="view")
        lists = {i: mine if i == me else bytes(came[i]) for i in sorted((me, *peers))}
        told = b"".join(len(a).to_bytes(8, "little") + a for a in lists.values())
        echo = hashlib.blake2b(told, digest_size=32, person=b"tacit view").digest()
        echoed = self._channel.exchange({i: [echo] for i in peers}, dict.fromkeys(peers, len(echo)), label="view")
        if any(echoed[i] != echo for i in peers):
            raise CheatingDetected(
                "the parties were told different lists of the values that some party holds, after a loss or a return: one of "
                "them lied, and cannot be told. Start again, without that party if you know it"
            )
        claims = {}
        for i in peers:
            serials = np.frombuffer(lists[i], "<u8") if len(lists[i]) % 8 == 0 else np.zeros(2)
            if (serials[1:] <= serials[:-1]).any():
                raise Mismatch(f"party {i} sent a malformed list of values; do all parties run one version of tacit?")
            claims[i] = set(serials.tolist())
        return claims

    def _admit(self) -> None:
        """At the end of a step, after which all others do the same."""
        assert self.door is not None
        coming, self._coming, self._behind = self._coming, (), False
        # What was not checked yet can be checked only by those that hold shares of it.
        if not self._engine.protocol.unchecked() or (self._attempt(self._engine.check_now)[0] and not self._due):
            members = tuple(sorted({*self._engine.protocol.members, *coming}))
            record = self._channel.record
            record.since.update(dict.fromkeys(coming, self._done))
            since = tuple(sorted(record.since.items()))
            admission = Admission(self._done, *self._engine.position(), record.over, members, coming, since)
            for party in coming:
                self._channel.adopt(self.door.admit(party, admission))
            self._bases.append(frozenset(members))
            self._engine.recoverable.set_members(members)
            self._due = True
        self._change()
        self._views()

    def _views(self) -> None:
        """The script sees the new view, unless some party is still in the step before."""
        if not self._behind:
            self._remember(Entry("view", None, self._engine.protocol.members, self._show()))

    # On the way back.

    def again(self, what: str, wires: "Sequence[Wire]") -> Any:
        """A step that was done before this party came back; the last of them is followed by its admission."""
        assert self.past is not None
        if what == "check" and not self.past.follows("check"):
            return None
        entry = self._next()
        if entry.what == "asked":
            self._raising = entry
            raise PartyLost(entry.result, GONE)
        self._seen(entry)
        if entry.what == "lost":
            raise PartyLost(entry.result, GONE)
        if entry.what != what:
            raise Mismatch(f"this party's script asks for another step ({what}) than it did before ({entry.what})")
        self._engine.skip(wires)
        while self.past.follows("view"):
            self._seen(self._next())
        if (admission := self.past.admission()) is not None:
            self._come_back(admission)
        return entry.result

    def _next(self) -> Entry:
        assert self.past is not None
        entry = self.past.take()
        self._remember(entry)
        return entry

    def _come_back(self, admission: Admission) -> None:
        assert self.past is not None
        self._channel.part([i for i in self._channel.peers if i not in admission.members])
        self._channel.record.over = admission.turn
        self._channel.record.since = dict(admission.since)
        self.past = None
        self._done = admission.done
        self._engine.recoverable.set_members(admission.members)
        self._engine.resume(admission.numbered, admission.graphs)
        self._holders = set(admission.members) - set(admission.coming)
        self._bases = [frozenset(self._holders), frozenset(admission.members)]
        self._due, self._behind = True, False
        self._change()
        self._views()
