"""Going on when parties are lost: what all of them compute together is cut into *steps* that all finish, or none.

A step ends when everyone has told everyone that it is through. If a party is lost before, the others count who is left
(`transport.views`), in turns, until all of them name the same parties; those must be more than half of the last, so that no two
parts of a network that fell apart go on both, and as many as the protocol needs. A step that some party knows to be ended is
ended for all; else all go back to its beginning and do it again, with new keys: nothing is opened twice under one mask.
Shares stay what they are: who is lost takes its point of the polynomials along. A script sees a loss (`members`, `lost`) after
the same step at all parties, though some of them were through with the one before when they heard of it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tacit.errors import CheatingDetected, Mismatch, PartyLost, PeerStopped, TooFewLeft
from tacit.transport.views import CALLED, Call, Viewed

if TYPE_CHECKING:
    from tacit.engine.engine import Engine
    from tacit.sharing.wires import Wire

T = TypeVar("T")
THROUGH = b"through the step"
"""And the number of the step."""


class Recovery:
    """Of one engine. `ask`: a loss is raised in the script, which may go on after `allow`."""

    def __init__(self, engine: "Engine", channel: Viewed, ask: bool) -> None:
        self._engine, self._channel, self._ask = engine, channel, ask
        self.lost: list[PartyLost] = []
        """The losses that were survived, in order, and that the script may know."""
        self.members = engine.protocol.members
        self._unseen: list[PartyLost] = []
        self.inside = False
        self.wires: list[Wire] = []
        """Lowered in this step."""
        self._done = 0
        self._asking: PartyLost | None = None
        self._ahead = False

    def allow(self) -> None:
        """Go on without those that were lost."""
        self._asking = None
        self._show()

    def _show(self) -> None:
        self.lost += self._unseen
        self._unseen, self.members = [], self._engine.protocol.members

    def step(self, work: Callable[[], T]) -> T:
        """`work` as one step; inside a step, as part of it."""
        if self.inside:
            return work()
        while True:
            if self._asking is not None:
                raise self._asking
            mark = self._engine.mark()
            self.inside, self.wires = True, []
            finished = ended = False
            result: T
            try:
                result = work()
                finished = True
                self._through()
            except PartyLost as error:
                if error.party not in self._channel.peers:
                    # Lost before, and nobody else can do what the script asks of it.
                    self._back(mark)
                    self._show()
                    raise
                self._regroup(error, finished)
                if not (ended := self._ended(finished)):
                    self._back(mark)
                    continue
            finally:
                self.inside = False
            self._done += 1
            for wire in self.wires:
                wire.settle()
            self.wires = []
            if not ended:  # else some party is in the next step already, and hears of the loss there
                self._show()
            return result

    def _through(self) -> None:
        note = THROUGH + self._done.to_bytes(8, "little")
        peers = self._channel.peers
        came = self._channel.exchange({i: [note] for i in peers}, dict.fromkeys(peers, len(note)), label="through")
        for i in peers:
            if came[i] != note:
                raise Mismatch(f"party {i} ends another step than this party: do all parties run the same script?")

    def _back(self, mark: Any) -> None:
        for wire in self.wires:
            wire.unlower()
        self._engine.back(mark)

    def _ended(self, finished: bool) -> bool:
        """Whether some party knows that all were through with this step."""
        if self._ahead and not finished:
            raise CheatingDetected(f"a party says that all were through with step {self._done}, and this party was not")
        return self._ahead

    def _regroup(self, error: PartyLost, finished: bool) -> None:
        """Agree on who is left and on new keys; `TooFewLeft` if they cannot go on."""
        before = self._channel.peers
        turn, away = 1, set() if error.why == CALLED else {error.party}
        while True:
            known: dict[int, Call] = {}
            turn = self._count(turn, away, finished, known)
            self._ahead = any(call.done > self._done for call in known.values())
            members = tuple(sorted({*known, self._channel.me}))
            lost = [i for i in before if i not in members]
            self._enough(members, len(before) + 1)
            self._channel.part(lost)
            self._engine.protocol.without([i for i in self._engine.protocol.members if i not in members])
            try:
                self._engine.restart()
            except PartyLost as again:
                away, turn = ({again.party} & set(self._channel.peers)) | set(lost), turn + 1
                continue
            break
        self._channel.epoch += 1
        if lost:
            for party in lost:
                why = error.why if error.party == party else "the others lost it"
                self._unseen.append(PartyLost(party, why, error.operation))
            self._asking = self._unseen[-1] if self._ask else None

    def _count(self, turn: int, away: set[int | str], finished: bool, known: dict[int, Call]) -> int:
        """Turns until all that are left name the same parties: `known` has their calls. Returns the last turn."""
        me = self._channel.me
        heard: dict[int, Call] = {}
        members = {me, *self._channel.peers} - away
        for call in self._channel.heard():
            members &= {me, *call.members}  # who another lost already need not be waited for
        while True:
            mine = Call(self._channel.epoch, turn, self._done, finished, tuple(sorted(members)))
            peers = members - {me}
            lost = self._channel.calls(mine, peers, heard)
            calls = {i: heard[i] for i in peers if i in heard and i not in lost}
            excluded = next((i for i, c in calls.items() if me not in c.members), None)
            if excluded is not None:
                raise PeerStopped(excluded, "it goes on without this party, which was silent for too long")
            if not lost and all(c.members == mine.members and c.turn == turn for c in calls.values()):
                known.update(calls)
                return turn
            for call in calls.values():
                members &= set(call.members)
            members -= lost
            turn = max(turn + 1, *(c.turn for c in calls.values()), 0)

    def _enough(self, members: tuple[int, ...], before: int) -> None:
        fewest = self._engine.protocol.fewest
        assert fewest is not None
        if len(members) < fewest:
            raise TooFewLeft(members, f"{fewest} are needed to withstand as many colluding parties as before")
        if 2 * len(members) <= before:
            raise TooFewLeft(members, f"more than half of the last {before} are needed, lest another part goes on too")
