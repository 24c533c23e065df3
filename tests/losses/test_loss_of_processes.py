"""Real processes: killed, halted, and too many of them at once."""

import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys, time
import numpy as np
import tacit

victims, how = [int(v) for v in sys.argv[1].split(",")], getattr(signal, sys.argv[2])
with tacit.session(timeout=float(sys.argv[3]), backend="numpy") as s:
    x = s.materialize(s.secret(np.ones(20), owner=0))
    for turn in range(6):
        if turn == 3 and s.me in victims:
            os.kill(os.getpid(), how)
        y = s.reveal((x * 1.5).relu().sum())
    if s.me == 0:
        print("the end", round(y, 2), s.survivors, [loss.party for loss in s.lost_parties])
"""


def command(tmp_path, parties, threshold, *arguments):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    start = ["-m", "tacit.cli", "run", "-n", parties, "--protocol", "shamir", "--threshold", threshold]
    return subprocess.run(
        [sys.executable, *map(str, [*start, script, *arguments])], capture_output=True, text=True, timeout=110
    )


@pytest.mark.parametrize(
    ("how", "timeout", "fate"), [("SIGKILL", 600, "was killed by SIGKILL"), ("SIGSTOP", 3, "was halted")]
)
def test_a_process_that_is_lost(tmp_path, how, timeout, fate):
    """One that is killed long before the time-out."""
    done = command(tmp_path, 4, 1, 2, how, timeout)
    assert done.returncode == 0, done.stderr
    assert "the end 30.0 (0, 1, 3) [2]" in done.stdout
    assert f"party 2 {fate}" in done.stderr and "went on without" in done.stderr


def test_too_many_processes_are_lost(tmp_path):
    done = command(tmp_path, 4, 1, "2,3", "SIGKILL", 600)
    assert done.returncode == 4
    assert "TooFewLeft" in done.stderr and "parties 0, 1 are left" in done.stderr
    assert "the end" not in done.stdout


RETURN = """
import itertools, os, signal, sys, time
import numpy as np
import tacit

with tacit.session(timeout=20.0, backend="numpy") as s:
    x = s.materialize(s.secret(np.ones(20), owner=2))
    w = s.materialize(s.secret(np.arange(20.0), owner=0))
    for turn in itertools.count():
        if turn == 4 and s.me == 2 and not s.returning:
            os.kill(os.getpid(), getattr(signal, sys.argv[1]))
        w = s.materialize(w + (x * 0.5).relu())
        total = s.reveal(w.sum())
        if s.lost_parties and len(s.survivors) == 4 and turn > 8:
            break
        time.sleep(0 if s.returning else 0.1)
    print("the end", round(total - 10 * (turn + 1)), s.survivors, [loss.party for loss in s.lost_parties])
"""


def test_a_process_that_is_killed_and_started_again(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(RETURN)
    start = [
        "-m",
        "tacit.cli",
        "run",
        "-n",
        "4",
        "--protocol",
        "shamir",
        "--threshold",
        "1",
        "--rejoin",
        script,
        "SIGKILL",
    ]
    done = subprocess.run([sys.executable, *map(str, start)], capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert "party 2 was killed by SIGKILL; it is started again" in done.stderr
    assert done.stdout.count("the end 190 (0, 1, 2, 3) [2]") == 4


def test_only_a_protocol_that_survives_losses_lets_parties_back(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("")
    start = ["-m", "tacit.cli", "run", "-n", "2", "--rejoin", script]
    done = subprocess.run([sys.executable, *map(str, start)], capture_output=True, text=True, timeout=110)
    assert done.returncode == 2 and "--rejoin goes with" in done.stderr
