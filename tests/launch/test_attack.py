"""`tacit attack`: a script that is run with a party that lies."""

import pytest
from tests.launch.launching import command, script

PRODUCT = """
with tacit.session(backend="numpy") as session:
    x, y = session.secret([3.0, -1.5], owner=0), session.secret([2.0, 4.0], owner=1)
    print(session.reveal(x * y))
"""


@pytest.mark.slow
def test_lies_are_noticed_or_change_nothing(tmp_path):
    done = command("attack", "-n", 2, "--dealer", "--runs", 3, "--seed", 5, script(tmp_path, PRODUCT), timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    told = done.stdout.splitlines()
    assert sum(line.startswith("run ") for line in told) == 3
    assert told[-1].startswith("3 lies: ") and told[-1].endswith("0 led to a WRONG value")
    assert "party 0: " in done.stdout and "    party 1: " not in done.stdout, "what the liar ends with is no matter"


def test_the_same_seed_draws_the_same_lies(tmp_path):
    from tacit.launch.attack import drawn, random
    from tacit.testing.lies import Outcome

    known = Outcome(messages={"a": 3, "b": 1}, steps={"s": 5})
    one, other = random.Random(7), random.Random(7)
    lies = [drawn(known, one) for _ in range(50)]
    assert lies == [drawn(known, other) for _ in range(50)]
    assert {lie.where for lie in lies} == {"a", "b", "s"}
    assert all(lie.at < (known.messages | known.steps)[lie.where] for lie in lies)


def test_a_protocol_without_checks_is_told_apart(tmp_path):
    """Under `clear` nothing notices another number: the verdict must say so."""
    from tacit.launch.attack import judged
    from tacit.testing.lies import Outcome

    def ended(*values):
        return {i: Outcome(revealed=[list(values)], finished=True, lied_at=1.0) for i in range(3)}

    honest = [ended(1.0, -2.0), ended(1.0, -2.00001)]
    assert not judged(ended(1.0, -2.00002), honest, liar=1).bad
    verdict = judged(ended(1.0, -3.0), honest, liar=1)
    assert verdict.wrong and verdict.bad and not verdict.noticed


def test_an_honest_party_that_is_blamed_is_told(tmp_path):
    from tacit.launch.attack import judged
    from tacit.testing.lies import Outcome

    honest = [{i: Outcome(revealed=[[1.0]], finished=True) for i in range(3)}] * 2
    said = {i: Outcome(error="CheatingDetected", message="party 2 sent another number", lied_at=1.0) for i in range(3)}
    assert judged(said, honest, liar=1).accused == (2,)
    assert judged(said, honest, liar=2).named


@pytest.mark.slow
def test_a_script_that_fails_is_not_attacked(tmp_path):
    done = command(
        "attack", "-n", 2, "--dealer", "--runs", 1, script(tmp_path, "raise ValueError('no data')"), timeout=60
    )
    assert done.returncode != 0 and "failed without any lie" in done.stdout and "no data" in done.stdout


def test_a_liar_that_is_no_party(tmp_path):
    done = command("attack", "-n", 2, "--party", 2, script(tmp_path, PRODUCT))
    assert done.returncode == 2 and "numbered 0 to 1" in done.stderr
