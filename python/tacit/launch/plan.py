"""`tacit plan script.py`: what a script would ask for and send, without data and peers."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tacit.launch.local import child_environment, worker
from tacit.report import amount
from tacit.sessions.context import VARIABLE, Context


def run_plan(template: Context, command: Sequence[str]) -> int:
    """Run the script once as each party, dry; print what it would cost."""
    with tempfile.TemporaryDirectory(prefix="tacit-") as directory:
        found = []
        for me in range(template.parties):
            costs = dry(replace(template, me=me), Path(directory), command, shown=me == 0)
            if isinstance(costs, int):
                return costs
            found.append(costs)
    print("\n".join(table(found, template, command)))
    return 0


def dry(context: Context, folder: Path, command: Sequence[str], *, shown: bool = False) -> dict[str, Any] | int:
    """Run the script once without data and peers: what it would cost, or the exit code of what failed."""
    costs, path = folder / f"{context.me}.costs", folder / f"{context.me}.json"
    replace(context, plan=str(costs)).save(path)
    ended = subprocess.run(
        worker("tacit.launch.child", *command),
        env={**child_environment(1), VARIABLE: str(path)},
        stdout=None if shown else subprocess.DEVNULL,
        check=False,
    )
    if ended.returncode:
        return ended.returncode
    if not costs.exists():
        print("tacit: the script opened no session, so there is nothing to plan", file=sys.stderr)
        return 1
    found: dict[str, Any] = json.loads(costs.read_text())
    return found


def table(found: Sequence[dict[str, Any]], context: Context, command: Sequence[str]) -> list[str]:
    first = found[0]
    lines = [
        f"plan of {' '.join(command)}: {context.parties} parties, protocol {context.protocol}",
        f"{first['rounds']} rounds in {first['graphs']} forced graphs, reveals and their checks included",
        "",
        "requests to the source of correlations:",
        f"{'count':>8}  {'kind':<24} shape of each",
    ]
    lines += [f"{count:>8}  {kind:<24} {shape}" for kind, shape, count in first["requests"]] or ["  none"]
    if context.dealer:
        lines.append(
            f"a dealer sends {amount(first['material'])} of corrections to party {context.parties - 1} for them"
        )
    elif first["requests"]:
        lines.append(f"to make them, each party sends each other one about {amount(first['material'])}")
    lines += ["", "rounds, and bytes that each party sends; MAC checks (some 200 bytes to each peer) aside:"]
    lines.append(f"{'rounds':>7}" + "".join(f"{f'party {i}':>11}" for i in range(context.parties)) + "  by")
    rounds = first["rounds_by_label"]
    lines += [
        _row(rounds.get(label, 0), [f["by_label"].get(label, 0) for f in found], label) for label in _labels(found)
    ]
    lines.append(_row("", [f["sends"] - sum(f["by_label"].values()) for f in found], "reveals"))
    lines.append(_row(first["rounds"], [f["sends"] for f in found], "in all (operations share rounds)"))
    return lines


def _labels(found: Sequence[dict[str, Any]]) -> list[str]:
    """In the order of the script; what sends nothing is left out."""
    labels = {label: None for f in found for label, sent in f["by_label"].items() if sent}
    return list(labels)


def _row(rounds: object, sent: Sequence[int], label: str) -> str:
    return f"{rounds:>7}" + "".join(f"{amount(s):>11}" for s in sent) + f"  {label}"
