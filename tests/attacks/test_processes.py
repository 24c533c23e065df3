"""Real processes that are killed, frozen, or never come: the others end after a time-out at most, and say who it was."""

import os
import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
    import os, signal, sys, time
    import numpy as np
    import tacit

    what, victim = sys.argv[1], int(sys.argv[2])
    if what == "absent":
        time.sleep(600 if os.environ["TACIT_CONTEXT"].endswith(f"{victim}.json") else 0)
    with tacit.session() as session:
        x = session.secret(np.ones(50), owner=0)
        y = session.secret(np.ones(50), owner=1)
        for turn in range(1000):
            x = session.random(50, 0, 1) * y
            if turn == 3 and session.me == victim:
                if what == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                if what == "frozen":
                    os.kill(os.getpid(), signal.SIGSTOP)
                if what == "error":
                    raise ValueError("a bug in the script")
            session.reveal(x)
    print("never reached")
"""


def run(tmp_path, what, victim, parties=3, timeout=600, wait=60):
    """Ends long before a time-out of 600 s, or a sleep of so many."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    command = [sys.executable, "-m", "tacit.cli", "run", "-n", str(parties), "--dealer", f"--timeout={timeout}"]
    command += [f"--wait={wait}", str(script), what, str(victim)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=110, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )


@pytest.mark.parametrize(
    ("what", "victim"),
    [("killed", 1), ("killed", 2), ("frozen", 0), pytest.param("frozen", 2, marks=pytest.mark.slow), ("absent", 1)],
)
def test_others_end_and_name_the_party(tmp_path, what, victim):
    done = run(tmp_path, what, victim, **{"frozen": {"timeout": 4}, "absent": {"wait": 10}}.get(what, {}))
    assert done.returncode != 0
    assert "never reached" not in done.stdout
    assert f"party {victim}" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_of_the_script_reaches_everyone(tmp_path):
    done = run(tmp_path, "error", 1)
    assert done.returncode != 0
    assert "a bug in the script" in "".join(line for line in done.stderr.splitlines() if line.startswith("[1]"))
    others = "".join(line for line in done.stderr.splitlines() if line.startswith(("[0]", "[2]")))
    assert "party 1 stopped" in others
    assert "a bug in the script" not in others, "the text of a script's own error may hold data"
