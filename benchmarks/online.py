"""The online phase of small jobs, timed inside a party: `tacit run -n 2 --dealer benchmarks/online.py mul_1m`.

The time of a job is recording, lowering, all rounds, and the MAC check of everything opened; the material is received before
(and timed apart), and the parties wait for each other in between. Party 0 prints one line of JSON: medians over repeats.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

import tacit
from tacit.fixed.format import Format
from tacit.sharing.forms import MatMul
from tacit.sharing.wires import Wire

MATMUL = MatMul()
RESULT = "RESULT "


def timed(session: Any, record: Callable[[], Iterable[Wire]], repeat: int = 5) -> dict[str, Any]:
    """`record` returns the wires to force. The first repeat warms up and is not counted."""
    engine, channel = session.engine, session.engine.channel
    seconds, material, spent = [], [], []
    for turn in range(repeat + 1):
        engine._drive(engine.protocol.check(), "check")
        waited = engine.costs.material_seconds
        start = time.perf_counter()
        prepared = engine.prepare(*record())
        waited = engine.costs.material_seconds - waited
        recorded = time.perf_counter() - start - waited
        channel.exchange({p: [b"go"] for p in channel.peers}, dict.fromkeys(channel.peers, 2), label="barrier")
        before = channel.meter.snapshot()
        start = time.perf_counter()
        engine.run(prepared)
        engine._drive(engine.protocol.check(), "check")
        online = time.perf_counter() - start
        if turn:
            seconds.append(recorded + online)
            material.append(waited)
            spent.append(channel.meter.since(before).total)
    return {
        "value": round(statistics.median(seconds), 4),
        "unit": "s",
        "bytes_per_party": spent[-1].sent,
        "rounds": spent[-1].rounds,
        "note": f"material before: {statistics.median(material):.3f} s",
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
        return [a.round(a.multiply(x.number, y.number)).wire for x, y in [pairs.pop()]]

    pairs = [(hidden(session, (1000, 1000)), hidden(session, (1000, 1000))) for _ in range(6)]
    return timed(session, record)


def matmul_dense(session: Any) -> dict[str, Any]:
    """128 x 1568 by 1568 x 10, truncated."""

    def record() -> Iterable[Wire]:
        x, y = pairs.pop()
        return [session.arithmetic.round((x @ y).number).wire]

    pairs = [(hidden(session, (128, 1568), -1, 1), hidden(session, (1568, 10), -1, 1)) for _ in range(11)]
    return timed(session, record, 10)


def relu_100k(session: Any) -> dict[str, Any]:
    """100,000 ReLUs of products that are rescaled on the way, by 16 leading bits (a resolution of 2^-8)."""
    from tacit.fixed import comparison

    def record() -> Iterable[Wire]:
        a = session.arithmetic
        return [comparison.relu(a, a.round((numbers.pop() * 1.1).number)).wire]

    numbers = [hidden(session, (100, 1000), -30, 30) for _ in range(6)]
    return timed(session, record)


def less_100k_exact(session: Any) -> dict[str, Any]:
    """100,000 exact comparisons of numbers of 32 bits that were not opened before."""
    from tacit.fixed import comparison
    from tacit.fixed.arithmetic import Number

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


def cnn_shallow_poly_step(session: Any) -> dict[str, Any]:
    """One step of the shallow MNIST net, batch 128, polynomial ReLU of degree 2, MSE, SGD; in the format of the example."""
    from torch import nn

    class Polynomial(nn.Module):
        def forward(self, x: Any) -> Any:
            return 0.125 * x**2 + 0.5 * x + 0.25

    return cnn_shallow(session, Polynomial())


def cnn_shallow_relu_step(session: Any) -> dict[str, Any]:
    """The same with a ReLU."""
    from torch import nn

    return cnn_shallow(session, nn.ReLU())


def cnn_shallow(session: Any, activation: Any) -> dict[str, Any]:
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (128, 1, 28, 28)) / 256
    labels = np.eye(10)[rng.integers(0, 10, 128)]
    model = session.share(
        nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.AvgPool2d(2), activation, nn.Flatten(), nn.Linear(6272, 10))
    )
    optimiser = torch.optim.SGD(model.parameters(), lr=0.02)
    y = session.secret(labels, owner=1)
    x = session.secret(pixels, owner=0, format=Format(8, 1))

    def record() -> Iterable[Wire]:
        loss = nn.functional.mse_loss(model(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return session.engine.written()

    record()
    session.engine.step()
    return timed(session, record)


SMALL = (mul_1m, matmul_dense, relu_100k, less_100k_exact, linreg_gd, linreg_64)
JOBS = {job.__name__: job for job in (*SMALL, cnn_shallow_poly_step, cnn_shallow_relu_step)}
FORMATS = {
    "relu_100k": Format(16, 6),
    "linreg_gd": Format(15, 11),
    "linreg_64": Format(24, 4),
    "cnn_shallow_poly_step": Format(16, 6),
    "cnn_shallow_relu_step": Format(16, 6),
}


if __name__ == "__main__":
    name = sys.argv[1]
    torch_needed = name.startswith("cnn")
    with tacit.session(format=FORMATS.get(name, Format()), tensors=torch_needed) as session:
        result = JOBS[name](session)
        if session.me == 0:
            print(RESULT + json.dumps({"name": name, "parties": session.parties, **result}), flush=True)
