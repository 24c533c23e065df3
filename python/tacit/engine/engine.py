"""Record, then force.

Operations on secrets are recorded as wires. Forcing some of them, in this order: orders what is pending; lowers it to
requests and tasks; compares its hash among all parties; takes the material; runs the tasks in rounds. Where the material is more
than `portion` bytes, the last two are done portion by portion (`protocols.plan`), and no more is held. What nobody forces is
never computed. Wires are forced at a reveal, at a step's end (`step`), and when `limit` elements are recorded: by rules that
every party applies alike.
"""

import gc
import hashlib
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar
from weakref import WeakValueDictionary

import numpy as np

from tacit import field as fp
from tacit.correlations.source import Source
from tacit.engine.callsite import where
from tacit.engine.guard import Guard
from tacit.engine.passes import order, pieces
from tacit.engine.recovery import Recovery
from tacit.errors import Mismatch, OutOfRange, PartyLost, TacitError
from tacit.field import Field
from tacit.graph.maps import Combine, Shape
from tacit.graph.operations import MARK, Linear, Operation, OutputMask
from tacit.graph.wires import Share, Wire
from tacit.interaction import rounds
from tacit.interaction.exchange import Rounds
from tacit.interaction.rounds import Task
from tacit.protocols.base import Protocol
from tacit.protocols.plan import OpeningRecord, Plan, Portion
from tacit.protocols.recoverable import Recoverable
from tacit.steps import protocol_step
from tacit.transport.channel import Channel
from tacit.transport.membership import Viewed

T = TypeVar("T")
LABEL = ", recorded at "
HASHED = re.compile(f" {MARK}[0-9a-f]*")
PUBLIC = (
    ". Public numbers in it are not the same, and the scripts may be: what each party computes by itself (floats by exp or mean, "
    "random numbers, what a file holds) differs with the versions of Python, NumPy and torch{}, and with the CPU. "
    "session.public(x, owner=0) takes it from one party"
)
LISTING = 1 << 16
"""Bytes of a graph's listing that are sent to find where two parties differ."""


@dataclass
class Costs:
    """The costs declared while lowering, and how long each phase took here."""

    rounds: int = 0
    sends: int = 0
    graphs: int = 0
    by_label: dict[str, int] = field(default_factory=dict)
    """Bytes."""
    rounds_by_label: dict[str, int] = field(default_factory=dict)
    """Rounds in which the label takes part: several labels share a round."""
    material_seconds: float = 0.0
    online_seconds: float = 0.0


@dataclass(frozen=True)
class Revealed:
    """The ledger's line for one reveal: what, how much of it, to whom (None: everyone)."""

    label: str
    shape: Shape
    to: tuple[int, ...] | None
    why: str = ""


@dataclass(frozen=True)
class Purpose:
    """The purpose of a reveal, as the script states it."""

    name: str | None = None
    why: str | None = None

    def __str__(self) -> str:
        return "".join(f", {k} {v!r}" for k, v in (("name", self.name), ("why", self.why)) if v is not None)


@dataclass
class Prepared:
    """A graph that was lowered, agreed on, and has the material of its first portion. Wires and portions go as they are done."""

    wires: list[Wire]
    plan: Plan
    portions: list[Portion]
    digest: bytes


class Engine:
    """One party's engine. `channel` is None in a dry run, which lowers and prices but computes nothing, and takes no material."""

    def __init__(
        self,
        protocol: Protocol,
        source: Source | None,
        channel: Channel | None,
        session: bytes,
        *,
        limit: int = 1 << 26,
        portion: int = 1 << 28,
        unchecked: int = 1 << 22,
        debug: bool = False,
        guard: int = 0,
        ask: bool = False,
    ) -> None:
        """`portion`: bytes of material that are taken at once, about. `unchecked`: elements that are opened before a check.

        `guard`: at every so many steps it is looked whether some value left its contract (`engine.guard`); 0: never.
        `ask`: a loss that the protocol survives is raised in the script, for which it has to be a `Viewed` channel.
        """
        self.protocol, self.source, self.channel, self.session = protocol, source, channel, session
        self.limit, self.portion, self.unchecked, self.debug = limit, portion, unchecked, debug
        self._listing = hashlib.blake2b(session, digest_size=32, person=b"tacit listing").digest()
        """The key of what parties compare, which nobody else has: they may be numbers that are easily guessed."""
        self.dry = channel is None
        self.costs = Costs()
        self.reveals: Counter[Revealed] = Counter()
        """How often each was revealed."""
        self.scope: list[str] = []
        self.guard = Guard(self, guard)
        self._recorded: list[Wire] = []
        self._elements = 0
        self._kept: dict[int, Wire] = {}
        self._numbered = 0
        self._forced = 0
        self._living: WeakValueDictionary[int, Wire] = WeakValueDictionary()
        """By serial, where the protocol survives losses: what is reshared when parties are lost or come back."""
        self._failure: BaseException | None = None
        self.recovery: Recovery | None = None
        if isinstance(channel, Viewed):
            self.recovery = Recovery(self, channel, ask)
        self._internal = source is None

    def start(self) -> None:
        """Before the first operation: what the protocol has to agree on, and the source that it is itself."""
        if not self.dry:
            self.together(self.restart, "start")

    def restart(self) -> None:
        """The same among those that are left."""
        self._drive(self.protocol.start(), "start")
        if self._internal:
            self.source = self.protocol.source(self._drive)

    # Steps that all parties finish, or none.

    def together(self, work: Callable[[], T], what: str, wires: Sequence[Wire] = ()) -> T:
        """`work`, and again after a loss that the protocol survives, until all that are left are through with it.

        A party on its way back does not do it: it takes the result from the others (`engine.history`, where `what` is explained).
        """
        self._alive()
        if self.recovery is None:
            return work()
        try:
            if self.returning:
                result: T = self.recovery.again(what, wires)
                return result
            return self.recovery.step(work, what)
        except BaseException as error:
            if not isinstance(error, PartyLost) and self._failure is None:
                self._failed(error)
            raise

    @property
    def returning(self) -> bool:
        """True while this party runs through the past that it missed."""
        return self.recovery is not None and self.recovery.past is not None

    @property
    def members(self) -> tuple[int, ...]:
        """The parties that the script may know to be there."""
        return self.protocol.members if self.recovery is None else self.recovery.members

    def skip(self, wires: Sequence[Wire]) -> None:
        """Count as forced what was forced before this party came back; its shares come later."""
        self._recorded, self._elements = [], 0
        skipped = order.pending(wires)
        for wire in skipped:
            self._number(wire)
            wire.task = Task(lambda: None, label=wire.label, done=True)
        for wire in skipped:
            self.protocol.settle(wire)

    def position(self) -> tuple[int, int]:
        """How many requests and graphs there were."""
        return self._numbered, self.costs.graphs

    def resume(self, numbered: int, graphs: int) -> None:
        """Go on from this position of the others."""
        self._numbered, self.costs.graphs = numbered, graphs

    @property
    def forced(self) -> int:
        """How many values were forced so far."""
        return self._forced

    def live(self) -> dict[int, Wire]:
        """The values that a party may still use, by serial: those that its script can reach, alike at all parties."""
        gc.collect()  # what only a cycle holds is gone at once at one party, and later at another
        found = sorted(self._living.items())
        return {serial: wire for serial, wire in found if wire.serial == serial and not wire.pending}

    @property
    def recoverable(self) -> Recoverable:
        assert isinstance(self.protocol, Recoverable)
        return self.protocol

    def reshare(self, held: Sequence[tuple[Shape, Share | None]], holders: Sequence[int]) -> list[Share]:
        """New shares of these values (`Recoverable.reshare`)."""
        shares: list[Share] = self._drive(self.recoverable.reshare(held, holders), "reshare")
        return shares

    def mark(self) -> tuple[Any, ...]:
        return self._forced, self._numbered, self.costs.graphs, self.recoverable.mark()

    def back(self, mark: tuple[Any, ...]) -> None:
        """Undo what was lowered since."""
        self._forced, self._numbered, self.costs.graphs, pending = mark
        self.recoverable.back(pending)

    # Recording.

    def record(self, operation: Operation, inputs: tuple[Wire, ...], shape: Shape, name: str) -> Wire:
        """A new pending wire. `name` is the operation's in the user's words; the label adds scope and line."""
        scope = "/".join(self.scope)
        # Interned: the ledger of a long training holds few labels, many times.
        wire = Wire(operation, inputs, tuple(shape), sys.intern(f"{where()} {scope and scope + ' '}{name}"))
        self._recorded.append(wire)
        self._elements += fp.size(shape)
        if self._elements > self.limit:
            self.force(*self._recorded)
        return wire

    def keep(self, key: int, wire: Wire) -> None:
        """State that lives on (a parameter that was written): forced at the step's end. `key` is its holder's identity."""
        self._kept[key] = wire

    def step(self, *wires: Wire) -> None:
        """The end of a step: force what was written in place since the last one, and `wires`; the guard looks.

        `OutOfRange` at all parties, if there is a guard and some value of the step left its contract.
        """
        self.force(*self.written(), *wires)
        self.guard.step()

    def written(self) -> list[Wire]:
        """The state that was written since the last step; it counts as taken care of."""
        kept, self._kept = list(self._kept.values()), {}
        self.guard.written(kept)
        return kept

    def finish(self) -> None:
        """Before a session ends: force what was written, check everything opened."""
        self._alive()
        with self.guard.before("the session's end"):
            self.force(*self.written())
        self.check()

    def check(self) -> None:
        """Check everything opened so far: before a share leaves the session."""
        if not self.dry and (self.returning or self.protocol.unchecked()):
            self.together(self.check_now, "check")

    def check_now(self) -> None:
        self._drive(self.protocol.check(), "check")

    # Forcing.

    def force(self, *wires: Wire, purpose: str = "") -> None:
        def work() -> None:
            prepared = self.prepare(*wires, purpose=purpose)
            if prepared is not None:
                self.run(prepared)

        self._alive()
        if purpose or any(w.pending for w in wires):
            self.together(work, "force", wires)
            self.guard.crowded()

    def prepare(self, *wires: Wire, purpose: str = "") -> Prepared | None:
        """Everything up to the first opening: lower, agree, take the (first) material. None if there is nothing to do.

        `purpose` says what will be done with `wires`, and that all parties have to agree on it.
        """
        with self._guarded():
            return self._prepare(wires, purpose)

    def _prepare(self, wires: Sequence[Wire], purpose: str) -> Prepared | None:
        self._recorded, self._elements = [], 0
        pending = order.pending(wires)
        if not pending and not purpose:
            return None
        plan = Plan(self._numbered, self.portion, shared_openings=order.shared_openings(pending, self.protocol.leading))
        if self.recovery is not None:
            self.recovery.wires += pending
        for wire in pending:
            self._number(wire)
        for wire in self.protocol.arranged(pending, plan):
            if wire.task is None:
                wire.task = pieces.lower(self.protocol, wire, plan)
        numbered, self._numbered = self._numbered, self._numbered + len(plan.requests)
        self._count(plan)
        portions = plan.portions()
        first, *later = portions
        if self.dry:
            for portion in portions:
                if portion.requests and self.source is not None:
                    self.source.request(portion.requests)
            first.release()
            return Prepared(pending, plan, portions, b"")
        target = f"{where()} {purpose}: {_serials(wires)}" if purpose else ""
        listed = f"graph {self.costs.graphs}, after {numbered} requests"
        if later:
            listed += f", in portions that begin with requests {', '.join(str(p.requests[0].number) for p in later)}"
        digest = self._agree(pending, listed, target)
        if self.recovery is not None:
            for wire in (*wires, *(i for w in pending for i in w.inputs)):
                wire.needed()
        self._supply(first)
        return Prepared(pending, plan, portions, digest)

    def _supply(self, portion: Portion) -> None:
        """Take its material. Nothing else happens meanwhile."""
        if portion.requests:
            assert self.source is not None
            started = time.perf_counter()
            portion.fill(self.source.take(self.source.request(portion.requests)))
            self.costs.material_seconds += time.perf_counter() - started

    def _number(self, wire: Wire) -> None:
        """Number a value that is forced; all parties do it in the same order."""
        wire.serial, self._forced = self._forced, self._forced + 1
        if self.recovery is not None:
            self._living[wire.serial] = wire
        self.guard.computed(wire)

    def run(self, prepared: Prepared) -> None:
        """The online phase of a prepared graph."""
        with self._guarded():
            self._run(prepared)

    def _run(self, prepared: Prepared) -> None:
        started, waited, rounds = time.perf_counter(), self.costs.material_seconds, 0
        while prepared.portions:
            portion = prepared.portions.pop(0)
            if self.dry:
                for task in portion.tasks:
                    task.end()
            else:
                rounds = self._rounds(portion.tasks, prepared.digest, rounds)
            self._settle(prepared)
            if self.protocol.unchecked() > self.unchecked:
                self._drive(self.protocol.check(), "check")
            if prepared.portions and not self.dry:
                prepared.portions[0].lease()
                self._supply(prepared.portions[0])
        waited = self.costs.material_seconds - waited
        self.costs.online_seconds += time.perf_counter() - started - waited

    def _settle(self, prepared: Prepared) -> None:
        """Let go of the wires that are done, and of what made them, but for a step that may be undone."""
        done = [w for w in prepared.wires if w.task is not None and w.task.done]
        prepared.wires = [w for w in prepared.wires if w.task is not None and not w.task.done]
        if self.debug and not self.dry:
            self._watch(done)
        if self.recovery is None or not self.recovery.inside:
            for wire in done:
                self.protocol.settle(wire)

    def _count(self, plan: Plan) -> None:
        self.costs.graphs += 1
        self.costs.rounds += plan.rounds
        self.costs.sends += plan.sends
        levels: dict[str, set[int]] = {}
        for task in plan.tasks:
            self.costs.by_label[task.label] = self.costs.by_label.get(task.label, 0) + task.sends
            if task.rounds:
                levels.setdefault(task.label, set()).update(range(task.depth - task.rounds, task.depth))
        for label, found in levels.items():
            self.costs.rounds_by_label[label] = self.costs.rounds_by_label.get(label, 0) + len(found)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Whatever goes wrong in here ends the session: values were opened that nobody will check any more.

        So the keys are burned, and every later call raises. A script that catches the error cannot be made to go on.
        """
        self._alive()
        try:
            yield
        except BaseException as error:
            if not (isinstance(error, PartyLost) and self.recovery is not None and self.recovery.inside):
                self._failed(error)
            raise

    def _failed(self, error: BaseException) -> None:
        self._failure = error
        self.protocol.burn()

    def cheated(self, error: TacitError) -> NoReturn:
        """End the session with `error`: some party was found out by a test outside the protocol's own."""
        with self._guarded():
            raise error

    def _alive(self) -> None:
        if self._failure is not None:
            raise TacitError(
                f"this session is over, since it failed before ({type(self._failure).__name__}: {self._failure}); nothing can be "
                "computed or revealed in it any more: start a new one"
            ) from self._failure

    def _rounds(self, tasks: Sequence[Task], digest: bytes, before: int = 0) -> int:
        assert self.channel is not None
        return rounds.run(tasks, self.channel.exchange, digest, before)

    def _drive(self, steps: Rounds, label: str) -> Any:
        """Run one interactive primitive by itself."""
        result: list[Any] = []

        def run() -> Rounds:
            result.append((yield from steps))

        with self._guarded():
            self._rounds([Task(run, label=label)], hashlib.blake2b(label.encode(), digest_size=8).digest())
        return result[0]

    @protocol_step
    def _agree(self, wires: Sequence[Wire], listed: str, purpose: str) -> bytes:
        """All parties record the same graph, or `Mismatch` names the first operation in which two of them differ.

        Labels are for people: what autograd does lazily may be recorded at one line or another.
        """
        assert self.channel is not None
        lines = [listed]
        for w in wires:
            assert w.operation is not None
            lines.append(f"{w.operation.describe(self._listing)} of ({_serials(w.inputs)}), shape {w.shape}")
        lines += [purpose] if purpose else []
        agreed = "\n".join(lines).encode()
        digest = hashlib.blake2b(agreed, key=self._listing, person=b"tacit graph", digest_size=32).digest()
        peers = self.channel.peers
        came = self.channel.exchange({i: [digest] for i in peers}, dict.fromkeys(peers, LISTING), label="agree")
        differing = [i for i in peers if came[i] != digest]
        if differing:
            labels = ["", *(LABEL + w.label for w in wires), ""]
            lines = [line + label for line, label in zip(lines, labels, strict=False)]
            mine = "\n".join(lines).encode()[: LISTING - 1]
            listings = self.channel.exchange(
                {i: [mine] for i in differing}, dict.fromkeys(differing, LISTING), label="agree"
            )
            for i in differing:
                theirs = bytes(listings[i]).decode(errors="replace")
                raise Mismatch(_difference(self.protocol.me, lines, i, theirs, self.channel.remark))
        return digest

    def _watch(self, wires: Sequence[Wire]) -> None:
        """The debugging mode: opens every value that has a bound, and names the first that left it."""
        if not (watched := [w for w in wires if w.bound]):
            return
        values = self._drive(self.protocol.reveal([w.value() for w in watched]), "debug")
        for wire, value in zip(watched, values, strict=True):
            if value.size and (largest := int(np.abs(fp.to_signed(value)).max())) > 1 << wire.bound:  # rounded up
                raise OutOfRange(
                    f"{wire.label} (shape {wire.shape}) reached {largest:.3g} = 2^{np.log2(largest):.1f} in units of its last "
                    f"place, but its contract is below 2^{wire.bound}: scale the data or the learning rate down, or declare a "
                    "format with more integer bits"
                )

    # Revealing.

    def reveal(
        self, wires: Sequence[Wire], to: Sequence[int] | None = None, detail: str = "", purpose: Purpose | None = None
    ) -> list[Field | None]:
        """The values of `wires`, at the parties `to` (everyone if None), after all checks; None at the others, and at a party
        that was given a value alone before it was lost and came back.

        A value for some parties only is opened under a mask that each of them knows: `to` costs one mask each.
        `detail`: how the values are meant, and `purpose`: both are something that all have to agree on.
        """
        shown: list[Wire] = list(wires)
        hidden: list[tuple[int, int, Wire]] = []  # (index of the value, receiver, its mask)
        if to is not None:
            shown = []
            for index, wire in enumerate(wires):
                for receiver in sorted(set(to)):
                    mask = self.record(OutputMask(receiver), (), wire.shape, f"mask for party {receiver}")
                    hidden.append((index, receiver, mask))
                    shown.append(self.record(Linear(Combine((1, 1))), (wire, mask), wire.shape, "masked output"))
        receivers = None if to is None else tuple(sorted(set(to)))
        with self.guard.before("a reveal"):
            self.force(*shown, purpose=f"reveal to {'all' if receivers is None else receivers}{detail}{purpose or ''}")
        name, why = (purpose.name, purpose.why or "") if purpose else (None, "")
        self.reveals.update(Revealed(name or w.label, w.shape, receivers, why) for w in wires)
        for w in shown:
            self.protocol.note(OpeningRecord(w.label, w.shape, "output"))
        self.costs.sends += sum(self.protocol.output_bytes(fp.size(w.shape)) for w in shown)
        self.costs.rounds += self.protocol.output_rounds()
        if self.dry:
            mine = to is None or self.protocol.me in to
            return [np.zeros(w.shape, np.uint64) if mine else None for w in wires]
        started = time.perf_counter()
        values = self.together(
            lambda: self._drive(self.protocol.reveal([w.value() for w in shown]), "reveal"), "reveal"
        )
        self.costs.online_seconds += time.perf_counter() - started
        if to is None:
            return list(values)
        results: list[Field | None] = [None] * len(wires)
        for (index, receiver, mask), value in zip(hidden, values, strict=True):
            if receiver == self.protocol.me and mask.clear is not None:
                results[index] = fp.sub(value, mask.clear)
        return results


def _serials(wires: Sequence[Wire]) -> str:
    """Which values of the session these are."""
    return ", ".join(f"#{w.serial}" for w in wires)


def _difference(me: int, lines: Sequence[str], peer: int, text: str, remark: str) -> str:
    differ = f"party {me} and party {peer} run different programs"
    for mine, theirs in zip(lines, text.split("\n"), strict=False):
        if mine.partition(LABEL)[0] != theirs.partition(LABEL)[0]:
            shown = "".join(c if c.isprintable() else " " for c in theirs[:400])  # a peer's text, for a terminal
            same = len({HASHED.sub("", line.partition(LABEL)[0]) for line in (mine, shown)}) == 1
            maybe = PUBLIC.format(f" ({remark})" if remark else "") if same else ""
            return f"{differ}: here «{mine}», there «{shown}»{maybe}"
    return f"{differ}: {len(lines) - 1} operations here, another number there"
