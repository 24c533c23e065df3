"""Runs the tasks of a graph: all that can run does, then what all of them want to send goes in one frame to each peer."""

import struct
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from tacit.errors import CheatingDetected
from tacit.interaction.exchange import Exchange, Rounds

HEADER = struct.Struct("<8sII")
"""The graph's digest (8 bytes, agreed on before), the round, the number of messages in the frame."""
EMPTY = memoryview(b"")


@dataclass(eq=False)
class Task:
    """A step of a graph: runs once all of `after` have. `rounds` and `sends` (bytes by this party) are declared."""

    run: Callable[[], "Rounds | None"]
    after: tuple["Task", ...] = ()
    rounds: int = 0
    sends: int = 0
    label: str = ""
    done: bool = False
    undone: bool = False
    """Its step was undone after a loss: what it opened is not known to all."""
    depth: int = 0

    def end(self) -> None:
        """The task is done. What it would run is forgotten, with all that it refers to."""
        self.done, self.run = True, _done

    def undo(self) -> None:
        self.undone, self.run = True, _done


class Send(Protocol):
    """A round: `Channel.exchange` bound to its channel."""

    def __call__(
        self, out: Mapping[int, Sequence[Any]], expect: Mapping[int, int], *, label: Mapping[str, int]
    ) -> Mapping[int, Any]: ...


def run(tasks: Sequence[Task], send: Send, digest: bytes, rounds: int = 0) -> int:
    """Run all tasks, each after those it names, when the graph has taken so many `rounds`. Returns how many then.

    The order is the same at every party: it follows the list, never timing.
    """
    waiting = {id(t): sum(not a.done for a in t.after) for t in tasks}
    followers: dict[int, list[Task]] = {}
    for t in tasks:
        for a in t.after:
            if not a.done:
                followers.setdefault(id(a), []).append(t)
    ready = deque(t for t in tasks if waiting[id(t)] == 0)
    active: list[tuple[Task, Rounds, Exchange]] = []

    def finish(task: Task) -> None:
        task.end()
        for f in followers.pop(id(task), ()):
            waiting[id(f)] -= 1
            if waiting[id(f)] == 0:
                ready.append(f)

    while ready or active:
        if ready:
            task = ready.popleft()
            if (steps := task.run()) is None:
                finish(task)
            else:
                _advance(task, steps, None, active, finish)
            continue
        blocked: list[tuple[Task, Rounds, Exchange]] = []
        for (task, steps, _), came in zip(active, _round(active, send, digest, rounds), strict=True):
            _advance(task, steps, came, blocked, finish)
        active = blocked
        rounds += 1
    if not all(task.done for task in tasks):
        raise AssertionError("a task waits for one that is not in its graph")
    return rounds


def _advance(
    task: Task,
    steps: Rounds,
    came: Mapping[int, memoryview] | None,
    blocked: list[tuple[Task, Rounds, Exchange]],
    finish: Callable[[Task], None],
) -> None:
    try:
        wanted = next(steps) if came is None else steps.send(came)
    except StopIteration:
        finish(task)
    else:
        blocked.append((task, steps, wanted))


def _done() -> None:
    raise AssertionError("a task runs once")


def _round(
    active: Sequence[tuple[Task, Rounds, Exchange]], send: Send, digest: bytes, number: int
) -> list[dict[int, memoryview]]:
    """One frame to each peer with the messages of all active tasks, in their order; what came, task by task."""
    header = HEADER.pack(digest[:8], number, len(active))
    out: dict[int, list[Any]] = {}
    expect: dict[int, int] = {}
    labels: dict[str, int] = {}
    for task, _, wanted in active:
        sent = 0
        for peer, parts in wanted.out.items():
            pieces = out.setdefault(peer, [header])
            for part in parts:
                pieces.append(part)
                sent += part.nbytes if hasattr(part, "nbytes") else len(part)
        labels[task.label] = labels.get(task.label, 0) + sent
        for peer, count in wanted.expect.items():
            expect[peer] = expect.get(peer, HEADER.size) + count
    came = send(out, expect, label=labels)
    views: dict[int, memoryview] = {}
    for peer, count in expect.items():
        frame = memoryview(came[peer])
        if len(frame) != count or frame[: HEADER.size] != header:
            if all(wanted.corrects for _, _, wanted in active if peer in wanted.expect):
                continue
            if frame[: HEADER.size] == header:
                raise CheatingDetected(f"party {peer} sent {len(frame)} bytes in round {number} where {count} were due")
            raise CheatingDetected(
                f"a frame of party {peer} does not belong to round {number}, where this party is: one of the two runs another "
                "program, or a third has told them different things"
            )
        views[peer] = frame
    offset = dict.fromkeys(expect, HEADER.size)
    result = []
    for _, _, wanted in active:
        given: dict[int, memoryview] = {}
        for peer, count in wanted.expect.items():
            given[peer] = views.get(peer, EMPTY)[offset[peer] : offset[peer] + count]
            offset[peer] += count
        result.append(given)
    return result
