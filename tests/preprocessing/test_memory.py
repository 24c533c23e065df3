"""What is held while material is made does not grow with what is asked for, but for the material itself."""

import subprocess
import sys
from pathlib import Path

from tacit.launch.local import child_environment
from tacit.preprocessing.lattice import BYTES

BUDGET = 1 << 19
PARTIES = 2
ALLOWED = PARTIES * BYTES * BUDGET * 3 // 2
"""By the setting, and half as much again, for both parties, which share a process here."""

SCRIPT = f"""
import resource
from lattices import Crew
from tacit.field import size
from tacit.graph.forms import Elementwise, MatMul
from tacit.protocols.plan import Plan

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def ask(form, x, y):
    def work(source):
        plan = Plan(0)
        (a, _), (b, _) = plan.mask(x), plan.mask(y)
        plan.product(form, a, b)
        return source.take(source.request(plan.requests))
    before = peak()
    material = crew.run({PARTIES}, work)
    kept = sum(16 * size(share.shape) for party in material for m in party for share, _ in m.shares)
    print(peak() - before - kept)

crew = Crew({PARTIES}, budget={BUDGET})
ask(Elementwise(), (10,), (10,))
ask(MatMul(), (128, 6272), (6272, 10))
ask(Elementwise(), (1 << 20,), (1 << 20,))
"""


def test_large_requests_take_no_more_memory_than_was_set():
    """A form of 870,000 numbers, products of three million: 2 and 10 times what one batch may hold."""
    here = Path(__file__).parent
    env = child_environment(PARTIES)
    env["PYTHONPATH"] = f"{here}:{env.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=env, capture_output=True, text=True, timeout=300, check=True
    )
    _, form, products = (int(line) for line in done.stdout.split())
    assert form < ALLOWED and products < ALLOWED
