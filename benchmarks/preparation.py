"""Material that the parties make themselves, and whole steps with it: `tacit run -n 2 benchmarks/preparation.py triples`.

Everything is included: proofs, drowning noise, MACs, sacrifice, checks, and for the jobs of `online.py` their online
phase. Party 0
prints one line of JSON. `peak` is the memory of the largest process beyond what it had before the first request.
"""

import json
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import online

import tacit
from tacit.graph.forms import Elementwise, MatMul
from tacit.graph.wires import Wire
from tacit.protocols.plan import Plan

STARTED = time.perf_counter()
TRIPLES = 1 << 20
TURNS = 1


def peak() -> int:
    """Bytes that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def loaded() -> None:
    """PyTorch and what its optimisers load: 0.6 GB that have nothing to do with material."""
    import torch

    torch.optim.SGD([torch.zeros(1)], lr=1.0)


def material(session: Any, ask: Callable[[Plan], None], repeat: int) -> tuple[float, int]:
    """Median seconds and bytes of one list of requests."""
    source, meter, engine = session.engine.source, session.material, session.engine
    seconds, sent, first = [], [], 1 << 32
    for turn in range(repeat + 1):
        plan = Plan(first)
        ask(plan)
        first += len(plan.requests)
        engine._drive(engine.protocol.check(), "check")  # the parties wait for each other
        before, start = meter.snapshot(), time.perf_counter()
        source._foresight.clear()  # nothing ahead: each list alone
        source.take(source.request(plan.requests))
        if turn:
            seconds.append(time.perf_counter() - start)
            sent.append(meter.since(before).total.sent)

    return statistics.median(seconds), sent[-1]


def triples(session: Any) -> dict[str, Any]:
    """Elementwise triples: two masks and their product each, with MACs."""

    def ask(plan: Plan) -> None:
        (a, _), (b, _) = plan.mask((TRIPLES,)), plan.mask((TRIPLES,))
        plan.product(Elementwise(), a, b)

    seconds, sent = material(session, ask, 3)
    return {
        "value": round(TRIPLES / seconds),
        "unit": "triples/s",
        "note": f"{sent / TRIPLES:.0f} B a party and triple",
    }


def matmul_triple_dense(session: Any) -> dict[str, Any]:
    """Masks of 128 x 1568 and 1568 x 10, and their product."""

    def ask(plan: Plan) -> None:
        (a, _), (b, _) = plan.mask((128, 1568)), plan.mask((1568, 10))
        plan.product(MatMul(), a, b)

    seconds, sent = material(session, ask, 5)
    return {"value": round(seconds, 3), "unit": "s", "note": f"{sent / 1e6:.1f} MB a party"}


def setup(session: Any) -> dict[str, Any]:
    """Keys and their proofs, of all parties; from the script's start, connections included."""
    return {
        "value": round(OPENED - STARTED, 2),
        "unit": "s",
        "note": f"{session.material.snapshot().total.sent / 1e6:.0f} MB a party",
    }


def everything(session: Any, record: Callable[[], Iterable[Wire]], repeat: int = 1) -> dict[str, Any]:
    """In place of `online.timed`: recording, material, rounds and check of one turn; the last, where several are run."""
    engine, meter = session.engine, session.material
    for _ in range(TURNS):
        engine._drive(engine.protocol.check(), "check")
        before, waited, start = meter.snapshot(), engine.costs.material_seconds, time.perf_counter()
        engine.force(*record())
        engine._drive(engine.protocol.check(), "check")
        seconds, waited = time.perf_counter() - start, engine.costs.material_seconds - waited
        sent = meter.since(before).total.sent
    note = f"material {waited:.2f} s and {sent / 1e6:.0f} MB a party"
    return {"value": round(seconds, 2), "unit": "s", "note": note}


def total(session: Any) -> dict[str, Any]:
    """A job of `online.py`, its material included."""
    online.timed = everything
    result = online.JOBS[sys.argv[1].removesuffix("_total")](session)
    result.pop("layers", None)
    return result


JOBS = {
    "setup": setup,
    "triples": triples,
    "matmul_triple_dense": matmul_triple_dense,
    "linreg_gd_total": total,
    "cnn_shallow_poly_step_total": total,
    "cnn_shallow_step_total": total,
}


if __name__ == "__main__":
    name = sys.argv[1]
    with tacit.session(
        format=online.FORMATS.get(name.removesuffix("_total"), tacit.Format()),
        backend="torch" if "cnn" in name else "numpy",
    ) as session:
        OPENED = time.perf_counter()
        if "cnn" in name:
            loaded()
        start = peak()
        result = JOBS[name](session)
        result["note"] += f"; {(peak() - start) / 1e9:.2f} GB of memory"
        if session.me == 0:
            print(online.RESULT + json.dumps({"name": name, "parties": session.parties, **result}), flush=True)
