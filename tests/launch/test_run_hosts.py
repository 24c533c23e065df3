"""`tacit run --parties`: every party is started by itself, with a key of its own."""

import os
import re
import shutil
import signal
import socket

import pytest
from launching import command, ended, script, started, wait_for

from tacit.transport.identity import make_identity

NAMES = ["ann", "bob", "dealer", "eve"]
BODY = "with tacit.session() as s: print(s.reveal(s.secret(3.0, owner=0) * s.secret(5.0, owner=1)))"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    for name in NAMES:
        make_identity(name).save(folder / f"{name}.pem", folder / f"{name}.key")
    return folder


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@pytest.fixture
def place(tmp_path, keys):
    """A folder with keys, a parties file and a script."""
    shutil.copytree(keys, tmp_path, dirs_exist_ok=True)
    (tmp_path / "parties.toml").write_text(parties_file([free_port(), free_port()]))
    script(tmp_path, BODY)
    return tmp_path


def parties_file(ports, names=("ann", "bob")):
    members = [
        f'[[party]]\naddress = "127.0.0.1:{p}"\ncertificate = "{n}.pem"\n' for p, n in zip(ports, names, strict=True)
    ]
    return "\n".join([*members, '[dealer]\ncertificate = "dealer.pem"\n'])


def run_all(place, scripts=("script.py",) * 2, files=("parties.toml",) * 2, keys=("ann", "bob"), dealer=False):
    wait = ["--wait", 8 if dealer else 3]
    processes = [
        started("run", *wait, "--parties", files[i], "--me", i, "--key", f"{keys[i]}.key", scripts[i], cwd=place)
        for i in range(2)
    ]
    if dealer:
        processes.append(started("dealer", *wait, "--parties", "parties.toml", "--key", "dealer.key", cwd=place))
    return [ended(p) for p in processes]


def test_two_parties_and_a_dealer(place):
    for code, out, err in run_all(place, dealer=True)[:2]:
        assert code == 0, err
        assert out == "15.0\n"


def test_an_interrupted_party_tells_the_other(place):
    script(
        place,
        "with tacit.session() as s:\n"
        "    open(f'started{s.me}', 'w')\n"
        "    time.sleep(600 if s.me else 0)\n"
        "    s.reveal(s.secret(1.0, owner=0))",
    )
    members = [
        started("run", "--parties", "parties.toml", "--me", i, "--key", f"{NAMES[i]}.key", "script.py", cwd=place)
        for i in range(2)
    ]
    dealer = started("dealer", "--parties", "parties.toml", "--key", "dealer.key", cwd=place)
    wait_for(place / "started1")
    os.killpg(members[1].pid, signal.SIGINT)  # as a terminal does
    assert ended(members[1])[0] == 130
    code, _, err = ended(members[0])
    assert code == 3 and "tacit: party 1 stopped: it was interrupted" in err
    assert ended(dealer)[0] == 3


def test_different_scripts_are_named(place):
    script(place, BODY + "  # changed", "other.py")
    first, second = run_all(place, scripts=("script.py", "other.py"))
    for code, out, err in (first, second):
        assert code == 1 and not out and "Traceback" not in err
        assert re.search(r"tacit: Mismatch at \w+.py:3: .*'?script'?: party 0 has '\w+', party 1 has '\w+'", err)


def test_a_certificate_that_is_not_the_pinned_one(place):
    ports = re.findall(r":(\d+)", (place / "parties.toml").read_text())
    (place / "deceived.toml").write_text(parties_file(ports, ("ann", "eve")))  # party 1 passes for another
    first, second = run_all(place, files=("parties.toml", "deceived.toml"), keys=("ann", "eve"))
    assert first[0] and second[0]
    for _, out, err in (first, second):
        assert "certificate" in err and "Traceback" not in err and not out


def test_a_key_that_is_not_ones_own(place):
    done = command("run", "--parties", "parties.toml", "--me", 0, "--key", "bob.key", "script.py", cwd=place)
    assert done.returncode == 2 and "party 0" in done.stderr and "--key" in done.stderr


def test_a_port_that_is_taken(place):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (place / "parties.toml").write_text(parties_file([taken.getsockname()[1], free_port()]))
        done = command("run", "--parties", "parties.toml", "--me", 0, "--key", "ann.key", "script.py", cwd=place)
    assert done.returncode == 1 and "is taken" in done.stderr and "Traceback" not in done.stderr


def test_a_party_that_never_comes(place):
    done = command(
        "run", "--wait", 1, "--parties", "parties.toml", "--me", 0, "--key", "ann.key", "script.py", cwd=place
    )
    assert done.returncode == 3 and "party 1" in done.stderr and "never came" in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "lists no parties"),
        ("[[party]]\n", "no address"),
        ('[[party]]\naddress = "somewhere"\nfingerprint = "' + "a" * 64 + '"', "no address; write host:port"),
        ('[[party]]\naddress = "a:1"\n', "certificate"),
        ('[[party]]\naddress = "a:1"\nfingerprint = "12"', "64 hexadecimal"),
        ('[[party]]\naddress = "a:1"\ncertificate = "absent.pem"', "absent.pem"),
        ('[[party]]\naddress = "a:1"\ncertificate = "ann.pem"\ncolour = "red"', "colour"),
        ('[[party]]\naddress = "a:1"\ncertificate = "ann.pem"', "at least 2 parties"),
        ("party = [", "not TOML"),
    ],
)
def test_wrong_parties_files(place, text, message):
    (place / "parties.toml").write_text(text)
    done = command("run", "--parties", "parties.toml", "--me", 0, "--key", "ann.key", "script.py", cwd=place)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_missing_files_and_members(place):
    for arguments, message in [
        (["--parties", "absent.toml", "--me", 0, "--key", "ann.key"], "absent.toml"),
        (["--parties", "parties.toml", "--me", 0, "--key", "absent.key"], "absent.key"),
        (["--parties", "parties.toml", "--me", 2, "--key", "ann.key"], "0 to 1"),
        (["--parties", "parties.toml"], "--me"),
    ]:
        done = command("run", *arguments, "script.py", cwd=place)
        assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_keygen(tmp_path):
    done = command("keygen", "--name", "bank", "--out", tmp_path / "keys")
    assert done.returncode == 0 and re.search(r'fingerprint = "[0-9a-f]{64}"', done.stdout)
    assert (tmp_path / "keys" / "bank.key").stat().st_mode & 0o777 == 0o600
    again = command("keygen", "--name", "bank", "--out", tmp_path / "keys")
    assert again.returncode == 2 and "already" in again.stderr


COMING_BACK = """
import itertools
import numpy as np
with tacit.session(timeout=20.0, backend="numpy") as s:
    x = s.materialize(s.secret(np.ones(4), owner=3))
    total = s.materialize(s.secret(0.0, owner=0))
    for turn in itertools.count():
        if turn == 3 and s.me == 3 and not s.returning:
            os.kill(os.getpid(), 9)
        total = s.materialize(total + x.sum())
        known = s.reveal(total)
        if s.lost_parties and len(s.survivors) == 4 and turn > 6:
            break
        time.sleep(0 if s.returning else 0.1)
    print(round(known - 4 * (turn + 1), 3), s.survivors, [loss.party for loss in s.lost_parties])
"""


def nodes(folder):
    """Keys, parties and script of four parties that go on without one of them."""
    members = []
    for i in range(4):
        make_identity(f"node{i}").save(folder / f"{i}.pem", folder / f"{i}.key")
        members.append(f'[[party]]\naddress = "127.0.0.1:{free_port()}"\ncertificate = "{i}.pem"\n')
    (folder / "parties.toml").write_text('protocol = "shamir"\nthreshold = 1\n' + "\n".join(members))
    script(folder, COMING_BACK)


def test_a_party_that_is_started_again_comes_back(tmp_path):
    """Each party by itself; the one with the highest index, to which nobody connects at the start, among them."""
    nodes(tmp_path)

    def start(i, *more):
        known = ["--parties", "parties.toml", "--me", i, "--key", f"{i}.key"]
        return started("run", "--wait", 60, *more, *known, "script.py", cwd=tmp_path)

    processes = [start(i) for i in range(4)]
    ended(processes[3])
    assert processes[3].returncode != 0
    processes[3] = start(3, "--rejoin")
    for process in processes:
        code, out, err = ended(process)
        assert code == 0, err
        assert out == "0.0 (0, 1, 2, 3) [3]\n"


def test_nobody_comes_back_into_a_run_that_is_over(tmp_path):
    nodes(tmp_path)
    known = ["--parties", "parties.toml", "--me", 3, "--key", "3.key", "script.py"]
    done = command("run", "--rejoin", *known, cwd=tmp_path)
    assert done.returncode == 1 and "this party cannot come back: of the others, none answered" in done.stderr
