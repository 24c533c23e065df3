"""`tacit run -n`: parties and dealer as processes of this machine."""

import os
import re
import signal
from pathlib import Path

import pytest
from launching import command, ended, script, started, wait_for, wait_until

HELLO = Path(__file__).parents[2] / "examples" / "hello.py"
EXCHANGE = """
with tacit.session() as s:
    x = s.secret(2.0, owner=0)
    {body}
"""
SLEEP = """import time
    with open(f"{sys.argv[1]}/new{s.me}", "w") as file:
        file.write(str(os.getpid()))
    os.replace(file.name, f"{sys.argv[1]}/{s.me}")
    time.sleep(600)"""


def test_hello():
    done = command("run", "-n", 2, "--dealer", HELLO)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == ["[0] the product is 42", "[1] the product is 42"]
    assert re.fullmatch(r"\[0\] tacit: .*a dealer.*trusted.*\n", done.stderr)


def test_hello_for_three_over_a_slow_line():
    done = command("run", "-n", 3, "--dealer", "--topology", "hub", "--latency", 5, "--bandwidth", 100, HELLO)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_clear_says_that_it_is_insecure():
    done = command("run", "-n", 2, "--protocol", "clear", HELLO)
    assert done.returncode == 0 and "INSECURE" in done.stderr and "product is 42" in done.stdout


def test_nobody_is_trusted_unless_a_dealer_is_asked_for():
    done = command("run", "-n", 2, HELLO)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the product is 42") == 2 and "trusted" not in done.stderr


def test_a_run_that_ends_while_more_material_is_made(tmp_path):
    """The thread that makes it ends with the session, not with Python."""
    path = script(
        tmp_path,
        """
with tacit.session() as s:
    x, y = s.secret([1.0, 2.0], owner=0), s.secret([1.0, 2.0], owner=1)
    for _ in range(3):
        y = x * y
        s.reveal(y)
    print(s.engine.source._worker._thread.is_alive())
print(s.engine.source._worker._thread.is_alive())
""",
    )
    done = command("run", "-n", 2, path)
    assert done.returncode == 0, done.stderr
    assert sorted(line.split()[1] for line in done.stdout.splitlines()) == ["False", "False", "True", "True"]


@pytest.mark.parametrize(
    "arguments",
    [["run", HELLO], ["run", "-n", 2, "absent.py"], ["run", "-n", 0, HELLO], ["run", "-n", 2, "--me", 1, HELLO]],
)
def test_wrong_arguments(arguments):
    done = command(*arguments)
    assert done.returncode == 2 and "Usage" in done.stderr and "Traceback" not in done.stderr


def test_a_protocol_that_does_not_exist():
    done = command("run", "-n", 2, "--protocol", "magic", HELLO)
    assert done.returncode == 2 and "clear, shamir, shamir-corrected, spdz" in done.stderr


def test_a_script_has_its_arguments_and_its_folder(tmp_path):
    (tmp_path / "neighbour.py").write_text("value = 3")
    path = script(
        tmp_path, "import neighbour; print(neighbour.value, sys.argv[1:], __name__, os.environ['TACIT_THREADS'])"
    )
    done = command("run", "-n", 2, "--dealer", path, "--epochs", "2", "-n", "7")
    assert done.returncode == 0, done.stderr
    assert "[1] 3 ['--epochs', '2', '-n', '7'] __main__" in done.stdout


def test_a_script_error_at_one_party_is_shown_there_and_named_to_the_others(tmp_path):
    path = script(tmp_path, EXCHANGE.format(body="1 / s.me if s.me == 0 else s.reveal(x)"))
    done = command("run", "-n", 3, "--dealer", path)
    assert done.returncode == 1
    assert "[0] ZeroDivisionError" in done.stderr and 'script.py", line' in done.stderr
    assert "runpy" not in done.stderr and "tacit/launch" not in done.stderr
    for other in (1, 2):
        assert re.search(rf"\[{other}\] tacit: party \d stopped: .*ZeroDivisionError", done.stderr)
    assert "party 0 failed with exit code 1" in done.stderr
    assert done.stderr.count("Traceback") == 1


def test_bad_data_is_one_paragraph_at_every_party(tmp_path):
    path = script(
        tmp_path, EXCHANGE.format(body="s.reveal(x * s.secret(lambda: tacit.read_csv('absent.csv'), owner=1))")
    )
    done = command("run", "-n", 2, "--dealer", path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert re.search(r"\[1\] tacit: BadInput at script.py:6: absent.csv: there is no such file", done.stderr)
    assert re.search(r"\[0\] tacit: party 1 stopped: .*its data file is unusable", done.stderr)


def test_an_exit_code_of_the_script_is_that_of_the_run(tmp_path):
    path = script(
        tmp_path, "print('at work'); sys.exit(7 if os.environ.get('TACIT_CONTEXT', '').endswith('1.json') else 0)"
    )
    done = command("run", "-n", 2, "--dealer", path)
    assert done.returncode == 7 and "party 1 failed with exit code 7" in done.stderr


def test_a_killed_party_is_missed(tmp_path):
    path = script(tmp_path, EXCHANGE.format(body="os.kill(os.getpid(), 9) if s.me else s.reveal(x)"))
    done = command("run", "-n", 2, "--dealer", path)
    assert done.returncode == 128 + 9 and "party 1 was killed by SIGKILL" in done.stderr
    assert "[0] tacit: lost party 1" in done.stderr and "Traceback" not in done.stderr


def test_a_party_that_fails_before_its_session_stops_the_run(tmp_path):
    path = script(
        tmp_path, "if os.environ['TACIT_CONTEXT'].endswith('0.json'): import not_there\n" + EXCHANGE.format(body="")
    )
    done = command("run", "-n", 2, "--dealer", "--wait", 600, path)
    assert done.returncode == 1 and "not_there" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_all(tmp_path, number, code):
    path = script(
        tmp_path,
        EXCHANGE.format(body=SLEEP),
    )
    process = started("run", "-n", 2, "--dealer", path, tmp_path)
    for i in range(2):
        wait_for(tmp_path / str(i))
    process.send_signal(number)
    returned, _, err = ended(process)
    assert returned == code and "Traceback" not in err
    _gone(tmp_path)


def test_the_parties_end_when_the_launcher_is_killed(tmp_path):
    path = script(
        tmp_path,
        EXCHANGE.format(body=SLEEP),
    )
    process = started("run", "-n", 2, "--dealer", path, tmp_path, TMPDIR=tmp_path)
    for i in range(2):
        wait_for(tmp_path / str(i))
    process.kill()
    process.wait()
    process.communicate()
    _gone(tmp_path)
    assert not list(tmp_path.glob("**/*.key"))


def test_a_session_that_is_not_closed_is_missed(tmp_path):
    path = script(tmp_path, "s = tacit.session()\nx = s.secret(1.0, owner=0)\nif s.me == 0: s.reveal(x)")
    done = command("run", "-n", 2, "--dealer", path)
    assert done.returncode == 3
    assert "party 1 stopped: its script ended without closing its session" in done.stderr


def test_a_syntax_error_shows_no_internals(tmp_path):
    done = command("run", "-n", 2, "--dealer", script(tmp_path, "def f(:"))
    assert done.returncode == 1 and "SyntaxError" in done.stderr
    assert "child.py" not in done.stderr and "runpy" not in done.stderr


def _gone(folder: Path) -> None:
    """The parties that wrote their process ids are no more."""
    for i in range(2):
        pid = int((folder / str(i)).read_text())
        wait_until(lambda pid=pid: not _lives(pid), f"party {i} is still there")


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (OSError, FileNotFoundError):
        return False


def test_a_second_session_is_refused(tmp_path):
    path = script(tmp_path, EXCHANGE.format(body="s.reveal(x)") + "tacit.session()")
    done = command("run", "-n", 2, "--dealer", path)
    assert done.returncode == 1 and "has opened its session already" in done.stderr


def test_different_options_are_named(tmp_path):
    path = script(
        tmp_path, "me = os.environ['TACIT_CONTEXT'][-6]\ntacit.session(format=tacit.Format(16, 10 + int(me)))"
    )
    done = command("run", "-n", 2, "--dealer", path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "format" in done.stderr and "10 integer bits" in done.stderr and "11 integer bits" in done.stderr


def test_plan_prints_requests_and_bytes_without_data(tmp_path):
    path = script(
        tmp_path,
        """
with tacit.session() as s:
    x = s.secret(lambda: 1 / 0, owner=0, shape=(4, 3))
    y = s.secret(lambda: 1 / 0, owner=1, shape=(3, 2))
    for _ in s.steps(2):
        z = s.reveal(x @ y)
    assert not z.any()
""",
    )
    done = command("plan", "-n", 3, path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"1  product MatMul +\(4, 2\)", done.stdout) or re.search(
        r"2  product MatMul +\(4, 2\)", done.stdout
    )
    assert "party 2" in done.stdout and "script.py:5 data of party 0" in done.stdout
    assert "each party sends each other one about" in done.stdout
    assert "corrections" in command("plan", "-n", 3, "--dealer", path).stdout
    assert re.search(r"192 B +0 B +0 B  script.py:5", done.stdout)


def test_plan_asks_for_shapes(tmp_path):
    done = command("plan", script(tmp_path, EXCHANGE.format(body="s.secret(lambda: 1, owner=1)")))
    assert done.returncode == 1 and "pass shape=" in done.stderr and "Traceback" not in done.stderr
