"""Every step of a party's computing, done otherwise: the others stop, or get the right result, alike for all secrets.

The list of steps comes from the code (`tacit.testing.cheating`): a new function that sends something has to be marked as a step,
and a new step is attacked here, or a test fails. Bets that protocols multiply by a secret: `bets.py`.
"""

import ast
import functools
import threading
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import tacit
from tacit.testing import cheating
from tacit.testing.lies import STEP_LIES, Computing, Lie
from tacit.testing.lies import Outcome as Told
from tests.attacks.bets import both
from tests.helpers.parties import attacked

LIAR = 1
SECRETS = {"one": np.array([[1.5, -2.0], [0.25, 3.0]]), "another": np.array([[-3.0, 0.5], [2.25, -0.75]])}
Y = np.array([[2.0, 0.5], [-1.0, 4.0]])

SENT_BY_NOBODY_ELSE = {
    "preprocessing/dealer.py": "the dealer is trusted to follow its program",
    "transport/channel.py": "carries what steps send",
}
"""Files whose functions send, and are no steps."""
CARRIERS = {
    "Link.exchange": "carries what the steps of a preparation send",
    "Link.everyone": "the same, to all",
    "Link.drive": "the same, for rounds of other rooms",
    "Identity.agree": "a key agreed on by itself, of which nothing is sent",
    "_together": "joins the rounds of several openings",
}
"""Functions that send what a step gave them."""


def sends(node):
    """Whether a function has a round of its own in which it sends anything."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
            nothing = bool(call.args) and isinstance(call.args[0], ast.Dict) and not call.args[0].keys
            if name in ("Exchange", "exchange") and not nothing:
                return True
    return False


def senders():
    root = Path(tacit.__file__).parent
    for path in sorted(root.rglob("*.py")):
        within = path.relative_to(root)
        if within.parts[0] in ("testing", "launch") or within.as_posix() in SENT_BY_NOBODY_ELSE:
            continue
        module = ".".join(within.with_suffix("").parts)
        for node in ast.parse(path.read_text()).body:
            inside = node.body if isinstance(node, ast.ClassDef) else [node]
            for function in inside:
                if isinstance(function, ast.FunctionDef) and sends(function):
                    name = f"{node.name}.{function.name}" if isinstance(node, ast.ClassDef) else function.name
                    if name not in CARRIERS:
                        yield f"{module}.{name}"


def test_whatever_sends_is_a_step():
    assert set(senders()) <= set(cheating.steps()), "mark it: @protocol_step"


def work(x):
    def compute(session):
        a = session.secret(x, owner=0)
        b = session.secret(Y, owner=session.parties - 1)
        return session.reveal(((a @ b) * a).relu() + a)

    return compute


def right(x):
    return np.maximum(x @ Y * x, 0) + x


SETTINGS = {
    "spdz": (3, {}),
    "hub": (3, {"topology": "hub"}),
    "shamir": (3, {"protocol": "shamir"}),
    "shamir, a share to spare": (4, {"protocol": "shamir", "threshold": 1}),
    "corrected": (4, {"protocol": "shamir-corrected"}),
    "clear": (2, {"protocol": "clear"}),
    "lattice": (2, {"dealer": False}),
}
"""Where a step is looked for, in this order."""


@functools.cache
def taken(setting):
    """How often each step is taken by the liar in an honest run."""
    parties, options = SETTINGS[setting]
    told, lock = Told(), threading.Lock()
    counting = Computing(told, None)
    with ExitStack() as stack, lock:
        for step in cheating.steps().values():
            stack.enter_context(cheating.replaced(step, LIAR, counting.of(step.name)))
        outcome = attacked(parties, work=work(SECRETS["one"]), **options)
    assert not outcome.errors
    return told.steps


def where(name):
    """The first setting in which the step is taken."""
    return next((s for s in SETTINGS if taken(s).get(name)), None)


def ends(name, setting, lie, x):
    """The honest parties that stopped, some of them before they had a session. A wrong result fails the test."""
    parties, options = SETTINGS[setting]
    with cheating.replaced(name, LIAR, lie) as calls:
        outcome = attacked(parties, work=work(x), **options)
    assert calls
    others = [i for i in range(parties) if i != LIAR]
    ended = [i for i in others if i in outcome.results]
    for i in ended:
        assert np.abs(outcome.results[i] - right(x)).max() < 1e-3, "a wrong value was revealed"
    assert ended == others or outcome.errors
    return sorted(set(others) - set(ended))


ELSEWHERE = {
    "preprocessing.lattice.blame.accuse": "attacks/test_preparation.py::test_lies_are_found_and_the_liar_is_named",
    "engine.recovery.Recovery._claims": "losses/test_claims.py",
    "engine.rejoin.Return._turn": "losses/test_returns.py::test_a_false_past_is_not_believed",
    "engine.rejoin.Visit._talk": "losses/test_returns.py::test_a_false_past_is_not_believed",
    "sessions.preparing._fill": "launch/test_prepare.py",
    "sessions.public.told": "session/test_public.py",
    "sessions.remote.agreed_id": "transport/test_endpoint.py",
    "protocols.shamir.resharing._compared": "losses/test_faults.py",
    "protocols.shamir.resharing._dealt": "protocols/test_resharing.py::test_a_dealer_that_deals_another_value",
    "transport.calls.Calls.sign": "losses/test_membership.py",
    "transport.handshake.handshake": "transport/test_channels.py",
}
"""Steps that this script does not take, and the test that attacks them."""


def test_every_step_is_attacked():
    here = {name for name in cheating.steps() if where(name)}
    assert set(cheating.steps()) - here == set(ELSEWHERE)
    for test in ELSEWHERE.values():
        path, _, name = test.partition("::")
        assert f"def {name}" in (Path(__file__).parents[1] / path).read_text(), test


def long(name):
    """Preprocessing by lattices takes seconds."""
    return [pytest.mark.slow] if "attice" in name else []


steps = pytest.mark.parametrize(
    "name", [pytest.param(n, marks=long(n)) for n in sorted(cheating.steps()) if n not in ELSEWHERE]
)


@pytest.mark.parametrize("what", STEP_LIES)
@steps
def test_a_known_error_in_every_step(name, what):
    """It is found, or changes nothing; and which of the two does not depend on a secret."""
    setting = where(name)

    def lie():
        return Computing(Told(), Lie("step", name, 0, what, seed=3)).of(name)

    assert ends(name, setting, lie(), SECRETS["one"]) == ends(name, setting, lie(), SECRETS["another"])


@steps
def test_a_guess_in_every_step(name):
    """A number that it takes is one more, and one that it gives is less by what it thinks a secret is: alike, right or wrong."""
    setting, (secret, other) = where(name), SECRETS.values()

    def lie(guess):
        by = (1, -round(guess[0, 0] * 2**16))
        lies = (Computing(Told(), Lie("step", name, 0, what, seed=3), k) for what, k in zip(STEP_LIES, by, strict=True))
        return both(*(told.of(name) for told in lies))

    assert ends(name, setting, lie(secret), secret) == ends(name, setting, lie(other), secret)
