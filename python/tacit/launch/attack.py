"""`tacit attack -n 3 script.py`: runs a script again and again, each time with one party that lies once.

First two honest runs: they show which messages and steps there are, and how far rounding moves what is revealed. Then each run
has one lie (`testing.lies`), drawn from the seed: every kind of message and every step is as likely as any other.
"""

import contextlib
import io
import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tacit.launch.liar import VARIABLE
from tacit.launch.local import run_local
from tacit.sessions.context import Context
from tacit.testing.lies import MESSAGE_LIES, STEP_LIES, Lie, Order, Outcome

RESOLUTION = 2.0**-8
"""Values that differ by less, relative to 1 and to themselves, count as the same."""
BLAMES = {"CheatingDetected"}

Outcomes = Mapping[int, Outcome]


@dataclass(frozen=True)
class Verdict:
    """The effect of one lie at the honest parties."""

    noticed: bool
    named: bool
    accused: tuple[int, ...]
    """Honest parties that an honest party blamed."""
    wrong: bool
    lines: tuple[str, ...]

    @property
    def bad(self) -> bool:
        return self.wrong or bool(self.accused)


def run_attack(
    template: Context, command: Sequence[str], liar: int, seed: int, runs: int, say: Callable[[str], None]
) -> int:
    """0 if no lie led to a wrong result or to the blame of an honest party, else 1; the honest run's code if that failed."""
    with tempfile.TemporaryDirectory(prefix="tacit-") as directory:
        folder = Path(directory)
        honest: list[Outcomes] = []
        for number in range(2):
            code, outcomes = _run(template, command, folder / f"honest.{number}", None, liar)
            if code or not all(o.finished for o in outcomes.values()):
                say((folder / f"honest.{number}" / "log").read_text(errors="replace"))
                say(f"the script failed without any lie (exit code {code}): attack a script that runs")
                return code or 1
            honest.append(outcomes)
        known = honest[0][liar]
        say(
            f"party {liar} of {template.parties} sends {sum(known.messages.values())} messages of {len(known.messages)} "
            f"kinds and takes {len(known.steps)} kinds of steps; {runs} runs with one lie each, seed {seed}"
        )
        rng, verdicts = random.Random(seed), []
        for number in range(runs):
            lie = drawn(known, rng)
            _, outcomes = _run(template, command, folder / f"run.{number}", lie, liar)
            verdict = judged(outcomes, honest, liar)
            verdicts.append(verdict)
            say(f"run {number + 1}: {lie}")
            for line in verdict.lines:
                say(f"    {line}")
        say(summary(verdicts))
    return int(any(v.bad for v in verdicts))


def drawn(known: Outcome, rng: random.Random) -> Lie:
    """A lie about something that `known` did."""
    kinds = [("message", label) for label in sorted(known.messages)] + [("step", name) for name in sorted(known.steps)]
    kind, where = kinds[rng.randrange(len(kinds))]
    count = (known.messages if kind == "message" else known.steps)[where]
    lies = sorted(MESSAGE_LIES) if kind == "message" else STEP_LIES
    return Lie(kind, where, rng.randrange(count), lies[rng.randrange(len(lies))], rng.getrandbits(32))


def _run(
    template: Context, command: Sequence[str], folder: Path, lie: Lie | None, liar: int
) -> tuple[int, dict[int, Outcome]]:
    """The exit code, and every party's outcome; a party that left none was killed."""
    folder.mkdir()

    def own(me: int) -> dict[str, str]:
        order = folder / f"{me}.order"
        Order(str(folder / f"{me}.outcome"), lie if me == liar else None).save(order)
        return {VARIABLE: str(order)}

    with (
        (folder / "log").open("wb") as log,
        io.TextIOWrapper(log, write_through=True) as text,
        contextlib.redirect_stdout(text),
        contextlib.redirect_stderr(text),
    ):
        code = run_local(template, command, module="tacit.launch.liar", own=own)
    outcomes = {}
    for me in range(template.parties):
        path = folder / f"{me}.outcome"
        outcomes[me] = Outcome.load(path) if path.exists() else Outcome(error="killed")
    return code, outcomes


def judged(outcomes: Outcomes, honest: Sequence[Outcomes], liar: int) -> Verdict:
    """Compares what the honest parties revealed with the honest runs, and says how each of them ended."""
    lied_at = outcomes[liar].lied_at
    if lied_at is None:
        return Verdict(False, False, (), False, ("the run took another course, and the lie was not told",))
    lines, noticed, named, accused, wrong = [], False, False, set(), False
    for me, outcome in sorted(outcomes.items()):
        if me == liar:
            continue
        differs = _difference(outcome, honest[0][me], honest[1][me])
        wrong = wrong or differs > 1
        shown = f"{len(outcome.revealed)} of {len(honest[0][me].revealed)} values revealed"
        if outcome.finished:
            end = "ended as if nothing had been"
        else:
            noticed = True
            end = f"{outcome.error} {max(0.0, outcome.ended_at - lied_at):.1f} s after the lie"
            names = {int(i) for i in re.findall(r"party (\d+)", outcome.message)}
            if outcome.error in BLAMES:
                named = named or liar in names
                accused |= names - {liar, me} if liar not in names else set()
        right = "WRONG" if differs > 1 else "right"
        lines.append(
            f"party {me}: {end}; {shown}, all of them {right}" + (f": {outcome.message}" if outcome.message else "")
        )
    return Verdict(noticed, named, tuple(sorted(accused)), wrong, tuple(lines))


def _difference(outcome: Outcome, one: Outcome, other: Outcome) -> float:
    """The largest distance of a revealed number from the honest run's, in units of what rounding explains."""
    largest = 0.0
    for found, a, b in zip(outcome.revealed, one.revealed, other.revealed, strict=False):
        if len(found) != len(a) or len(a) != len(b):
            return float("inf")
        for x, right, again in zip(found, a, b, strict=True):
            if x != right and not (x != x and right != right):
                room = 8 * abs(right - again) + RESOLUTION * (1 + abs(right))
                largest = max(largest, abs(x - right) / room if room == room else 0.0)
    return largest


def summary(verdicts: Sequence[Verdict]) -> str:
    """One paragraph."""
    count = Counter("wrong" if v.wrong else "noticed" if v.noticed else "harmless" for v in verdicts)
    named, accused = sum(v.named for v in verdicts), sum(bool(v.accused) for v in verdicts)
    blamed = f"; {accused} times an HONEST party was blamed" if accused else ""
    return (
        f"{len(verdicts)} lies: {count['noticed']} were noticed ({named} times the liar was named), "
        f"{count['harmless']} changed nothing, {count['wrong']} led to a WRONG value{blamed}"
    )
