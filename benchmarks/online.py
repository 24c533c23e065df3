"""Small jobs, timed inside a party: `tacit run -n 2 --dealer benchmarks/online.py mul_1m`.

The time of a job is recording, lowering, all rounds, and the check of everything opened or multiplied. A dealer's material is
received before (and timed apart), and the parties wait for each other in between; what parties make by themselves is part of
the job. Party 0 prints one line of JSON: medians over repeats.
"""

import json
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

import tacit
from tacit.graph.forms import Elementwise, MatMul
from tacit.graph.operations import Bilinear
from tacit.graph.wires import Wire
from tacit.numbers.format import Format

MATMUL = MatMul()
RESULT = "RESULT "


def timed(session: Any, record: Callable[[], Iterable[Wire]], repeat: int = 5) -> dict[str, Any]:
    """`record` returns the wires to force. The first repeat warms up and is not counted.

    Material that comes from a dealer is not counted either, whichever portion of the graph it is for: the parties wait for each
    other after each portion's, since party 0 has its own before the last party has it.
    """
    engine, channel = session.engine, session.engine.channel
    dealt = session.material is not None
    seconds, material, spent, barriers = [], [], [], [0]
    supply = engine._supply

    def barrier() -> None:
        channel.exchange({p: [b"go"] for p in channel.peers}, dict.fromkeys(channel.peers, 2), label="barrier")
        barriers[0] += 1

    def supplied(portion: Any) -> None:
        supply(portion)
        started = time.perf_counter()
        barrier()
        engine.costs.material_seconds += time.perf_counter() - started

    engine._supply = supplied
    for turn in range(repeat + 1):
        engine._drive(engine.protocol.check(), "check")
        waited = engine.costs.material_seconds
        before, barriers[0] = channel.meter.snapshot(), 0
        start = time.perf_counter()
        prepared = engine.prepare(*record())
        waited = engine.costs.material_seconds - waited
        recorded = time.perf_counter() - start - waited
        barrier()
        if dealt:
            before, barriers[0] = channel.meter.snapshot(), 0
        taken = engine.costs.material_seconds
        start = time.perf_counter()
        engine.run(prepared)
        engine._drive(engine.protocol.check(), "check")
        online = time.perf_counter() - start
        taken = engine.costs.material_seconds - taken
        waited += taken
        online -= taken
        if turn:
            seconds.append(recorded + online + (0 if dealt else waited))
            material.append(waited)
            spent.append(channel.meter.since(before).total)
    engine._supply = supply
    return {
        "value": round(statistics.median(seconds), 4),
        "unit": "s",
        "bytes_per_party": spent[-1].sent - 2 * barriers[0] * len(channel.peers),
        "rounds": spent[-1].rounds - barriers[0],
        "note": f"{'material before' if dealt else 'material, included'}: {statistics.median(material):.3f} s",
    }


def hidden(session: Any, shape: tuple[int, ...], low: float = -2.0, high: float = 2.0) -> Any:
    """Secret numbers that were never opened: neither input nor product."""
    x = session.random(shape, low, high)
    session.engine.force(x.number.wire)
    return x


def mul_1m(session: Any) -> dict[str, Any]:
    """1,000,000 products of numbers that were not opened before, truncated: three openings each."""

    def record() -> Iterable[Wire]:
        a = session.arithmetic
        return [a.rescale(a.multiply(x.number, y.number)).wire for x, y in [pairs.pop()]]

    pairs = [(hidden(session, (1000, 1000)), hidden(session, (1000, 1000))) for _ in range(6)]
    return timed(session, record)


def products_1m(session: Any) -> dict[str, Any]:
    """1,000,000 products of two parties' numbers, not truncated."""

    def record() -> Iterable[Wire]:
        return [session.arithmetic.multiply(x.number, y.number).wire]

    rng = np.random.default_rng(0)
    x, y = (session.materialize(session.secret(rng.uniform(-2, 2, (1000, 1000)), owner=owner)) for owner in (0, 1))
    return timed(session, record)


def unopened_1m(session: Any) -> dict[str, Any]:
    """1,000,000 products of products, not truncated: numbers that were not opened before."""
    shape = (1000, 1000)

    def product(x: Wire, y: Wire) -> Wire:
        return session.engine.record(Bilinear(Elementwise()), (x, y), shape, "product")

    rng = np.random.default_rng(0)
    x, y = (session.secret(rng.uniform(-2, 2, shape), owner=owner).number.wire for owner in (0, 1))
    pairs = [(product(x, y), product(y, x)) for _ in range(6)]
    session.engine.force(*(p for pair in pairs for p in pair))
    return timed(session, lambda: [product(*pairs.pop())])


def loss(session: Any) -> dict[str, Any]:
    """Seconds from the moment the last party kills itself to the end of the next operation of the others."""
    import signal
    import time as clock

    x = hidden(session, (100,))
    note = Path(sys.argv[2])
    for turn in range(4):
        if turn == 3 and session.me == session.parties - 1:
            note.write_text(str(clock.monotonic()))
            os.kill(os.getpid(), signal.SIGKILL)
        session.reveal((x * x).sum())
    return {
        "value": round(clock.monotonic() - float(note.read_text()), 3),
        "unit": "s",
        "note": "",
        "bytes_per_party": 0,
        "rounds": 0,
    }


def matmul_dense(session: Any) -> dict[str, Any]:
    """128 x 1568 by 1568 x 10, truncated."""

    def record() -> Iterable[Wire]:
        x, y = pairs.pop()
        return [session.arithmetic.rescale((x @ y).number).wire]

    pairs = [(hidden(session, (128, 1568), -1, 1), hidden(session, (1568, 10), -1, 1)) for _ in range(11)]
    return timed(session, record, 10)


def relu_100k(session: Any) -> dict[str, Any]:
    """100,000 ReLUs of products that are rescaled on the way, by 16 leading bits (a resolution of 2^-8)."""
    from tacit.numbers import comparison

    def record() -> Iterable[Wire]:
        a = session.arithmetic
        return [comparison.relu(a, a.rescale((numbers.pop() * 1.1).number)).wire]

    numbers = [hidden(session, (100, 1000), -30, 30) for _ in range(6)]
    return timed(session, record)


def less_100k_exact(session: Any) -> dict[str, Any]:
    """100,000 exact comparisons of numbers of 32 bits that were not opened before."""
    from tacit.numbers import comparison
    from tacit.numbers.arithmetic import Number

    def record() -> Iterable[Wire]:
        x = numbers.pop().number
        return [comparison.non_negative(session.arithmetic, Number(x.wire, x.scale, 32), exact=True).wire]

    numbers = [hidden(session, (100, 1000), -30, 30) for _ in range(6)]
    return timed(session, record)


def linreg_gd(session: Any) -> dict[str, Any]:
    """Linear regression, 100 steps of gradient descent, 1000 x 10, columns of all parties; inputs included."""
    rng = np.random.default_rng(0)
    data, noise = rng.normal(size=(1000, 10)), rng.normal(size=(1000, 1)) / 10
    target = data @ np.linspace(-1, 1, 10)[:, None] + noise
    split = np.array_split(np.arange(10), session.parties)
    a = session.arithmetic
    rows = 1000

    def record() -> Iterable[Wire]:
        x = session.table(columns={i: data[:, c] for i, c in enumerate(split)}).number
        y = session.secret(target, owner=0).number
        w = session.secret(np.zeros((10, 1)), owner=0).number
        transposed = a.permute(x, (1, 0))
        for _ in range(100):
            residual = a.add(a.bilinear(MATMUL, x, w, 10, "predict"), y, -1)
            gradient = a.bilinear(MATMUL, transposed, residual, rows, "gradient")
            w = a.like(a.add(w, a.times(gradient, -0.1 / rows)), w.scale)
        final.append(w)
        return [w.wire]

    final: list[Any] = []
    result = timed(session, record)
    (found,) = a.reveal([final[-1]])
    exact = np.zeros((10, 1))
    for _ in range(100):
        exact -= 0.1 / rows * data.T @ (data @ exact - target)
    result["note"] += f"; largest deviation from NumPy {np.abs(found - exact).max():.1e}"
    return result


def linreg_64(session: Any) -> dict[str, Any]:
    """Simple regression on 64 points by 300 steps of gradient descent, in a format of 24 + 4 bits: deviation from NumPy."""
    rng = np.random.default_rng(1)
    x = rng.uniform(-1, 1, 64)
    y = 0.7 * x - 0.3 + rng.normal(size=64) / 20
    a = session.arithmetic
    data = session.secret(np.stack([x, np.ones(64)], 1), owner=0).number
    target = session.secret(y[:, None], owner=1).number
    w = session.secret(np.zeros((2, 1)), owner=0).number
    for _ in session.steps(300):
        residual = a.add(a.bilinear(MATMUL, data, w, 2, "predict"), target, -1)
        gradient = a.bilinear(MATMUL, a.permute(data, (1, 0)), residual, 64, "gradient")
        w = a.like(a.add(w, a.times(gradient, -1 / 64)), w.scale)
        session.engine.keep(0, w.wire)
    (found,) = a.reveal([w])
    slope, intercept = np.polyfit(x, y, 1)
    return {
        "value": float(np.abs(found[:, 0] - [slope, intercept]).max()),
        "unit": "deviation",
        "note": "largest deviation of slope and intercept from NumPy's least squares",
    }


def softmax_128x10(session: Any) -> dict[str, Any]:
    """Softmax of 128 x 10 numbers that were not opened before."""
    from tacit.numbers.functions.softmax import softmax

    def record() -> Iterable[Wire]:
        return [softmax(session.arithmetic, numbers.pop().number).wire]

    numbers = [hidden(session, (128, 10), -20, 20) for _ in range(11)]
    return timed(session, record, 10)


def cnn_shallow_poly_step(session: Any) -> dict[str, Any]:
    """The shallow net with a polynomial of degree 2 for a ReLU, and MSE."""

    def loss(out: Any, y: Any) -> Any:
        return functional().mse_loss(out, functional().one_hot(y, 10).float())

    return cnn(session, "shallow", "polynomial", loss)


def cnn_shallow_step(session: Any) -> dict[str, Any]:
    """One step of the shallow MNIST net, batch 128: ReLU, softmax and cross-entropy with secret labels, SGD."""
    return cnn(session, "shallow", "relu", functional().cross_entropy)


def cnn_deep_step(session: Any) -> dict[str, Any]:
    """The deep net."""
    return cnn(session, "deep", "relu", functional().cross_entropy)


def functional() -> Any:
    from torch.nn import functional

    return functional


def cnn(session: Any, net: str, activation: str, loss_of: Callable[[Any, Any], Any]) -> dict[str, Any]:
    """One step, in the format of the example; the data are those of a later epoch. With bytes by layer."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
    import mnist_cnn
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    model = session.share(mnist_cnn.network(net, activation), owner=0)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    x = session.secret(rng.integers(0, 256, (128, 1, 28, 28)) / 256, owner=0, format=Format(8, 1), name="images")
    y = session.labels(rng.integers(0, 10, 128), num_classes=10, owner=1)

    def record() -> Iterable[Wire]:
        loss = loss_of(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return session.engine.written()

    session.engine.force(*record())
    before = dict(session.engine.costs.by_label)
    opened = len(session.engine.protocol.ledger)
    turns = 5
    result = timed(session, record, turns)
    spent = {k: (v - before.get(k, 0)) / (turns + 1) for k, v in session.engine.costs.by_label.items()}
    result["layers"] = by_layer(spent, {n: f"{n}({type(m).__name__})" for n, m in model.named_modules()})
    images = [r for r in session.engine.protocol.ledger[opened:] if "images" in r.label]
    result["note"] += f"; openings of the images in later epochs: {len(images)}"
    return result


def cnn_shallow_whole_step(session: Any, turns: int = 5) -> dict[str, Any]:
    """A step as a script runs it, its material included: with a guard, that of its look too (`--guard`)."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
    import mnist_cnn
    import torch

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    model = session.share(mnist_cnn.network("shallow"), owner=0)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    x = session.secret(rng.integers(0, 256, (128, 1, 28, 28)) / 256, owner=0, format=Format(8, 1), name="images")
    y = session.labels(rng.integers(0, 10, 128), num_classes=10, owner=1)
    channel, seconds, sent = session.engine.channel, [], []
    for _ in range(turns + 1):
        before, start = channel.meter.snapshot(), time.perf_counter()
        optimiser.zero_grad()
        functional().cross_entropy(model(x), y).backward()
        optimiser.step()
        session.end_step()
        channel.exchange({p: [b"go"] for p in channel.peers}, dict.fromkeys(channel.peers, 2), label="barrier")
        seconds.append(time.perf_counter() - start)
        sent.append(channel.meter.since(before).total)
    middle = sorted(seconds[1:])[turns // 2]
    note = f"guard: {'every step' if session.options.guard else 'none'}; material included"
    return {
        "value": round(middle, 4),
        "unit": "s",
        "bytes_per_party": sent[-1].sent,
        "rounds": sent[-1].rounds,
        "note": note,
    }


LAYER = re.compile(r"(backward of )?(\d+)(\(\w+\)|\.weight|\.bias)")


def by_layer(spent: dict[str, float], names: dict[str, str]) -> dict[str, list[float]]:
    """Bytes of each layer: forward, backward. What belongs to no layer is the loss's."""
    layers: dict[str, list[float]] = {}
    for label, sent in spent.items():
        found = LAYER.search(label)
        # A parameter is opened for the next forward pass; what a step truncates for it belongs to the backward pass.
        back = found is not None and (found.group(1) is not None or ("truncate" in label and "(" not in found.group(3)))
        layers.setdefault(names.get(found.group(2), "loss") if found else "loss", [0.0, 0.0])[back] += sent
    return {name: [round(v) for v in both] for name, both in sorted(layers.items()) if any(both)}


PRODUCTS = (mul_1m, products_1m, unopened_1m, matmul_dense)
SMALL = (*PRODUCTS, loss, relu_100k, less_100k_exact, linreg_gd, linreg_64, softmax_128x10)
JOBS = {
    job.__name__: job
    for job in (*SMALL, cnn_shallow_poly_step, cnn_shallow_step, cnn_deep_step, cnn_shallow_whole_step)
}
NARROW = (
    "relu_100k",
    "softmax_128x10",
    "cnn_shallow_poly_step",
    "cnn_shallow_step",
    "cnn_deep_step",
    "cnn_shallow_whole_step",
)
FORMATS = {"linreg_gd": Format(15, 11), "linreg_64": Format(24, 4), **dict.fromkeys(NARROW, Format(16, 6))}


if __name__ == "__main__":
    name = sys.argv[1]
    torch_needed = name.startswith("cnn")
    with tacit.session(
        format=FORMATS.get(name, Format()),
        backend="torch" if torch_needed else "numpy",
        guard="--guard" in sys.argv,
    ) as session:
        result = JOBS[name](session)
        if session.me == 0:
            print(RESULT + json.dumps({"name": name, "parties": session.parties, **result}), flush=True)
