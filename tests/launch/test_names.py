"""Parties that have names are called by them, beside their numbers, wherever a message speaks of one."""

import contextvars
import logging
import os
import signal
import threading

import pytest
from launching import ended, script, started, wait_for
from test_run_hosts import free_port

import tacit
from tacit.errors import NAMES, NotFitted, PartyLost, PeerStopped, TooFewLeft, named, reason
from tacit.transport import handshake, network
from tacit.transport.identity import make_identity

PEOPLE = {0: "bank", 1: "clinic"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("party 1 stopped", "clinic (party 1) stopped"),
        ("of party 0, and party 1", "of bank (party 0), and clinic (party 1)"),
        ("party 2 and party 1", "party 2 and clinic (party 1)"),
        ("parties 0, 1 and 2 are left", "parties bank (0), clinic (1) and 2 are left"),
        ("the parties are numbered 0 to 1", "the parties are numbered 0 to 1"),
        ("lists the parties 0 to 1", "lists the parties 0 to 1"),
        ("party 11", "party 11"),
        ("counterparty 1", "counterparty 1"),
    ],
)
def test_numbers_become_names(text, shown):
    assert named(text, PEOPLE) == shown
    assert named(shown, PEOPLE) == shown
    assert named(text, {}) == text


def among(names, work):
    context = contextvars.copy_context()
    context.run(NAMES.set, names)
    return context.run(work)


def test_errors_have_numbers_and_show_names():
    lost = among(PEOPLE, lambda: PartyLost(1, "it closed its connection", "reveal"))
    assert str(lost) == "lost clinic (party 1) during reveal: it closed its connection" and lost.party == 1
    few = among(PEOPLE, lambda: TooFewLeft((0, 1), "3 are needed"))
    assert str(few).startswith("parties bank (0), clinic (1) are left")
    assert reason(lost) == "lost party 1 during reveal: it closed its connection"  # others have names of their own
    there = among({1: "hospital"}, lambda: PeerStopped(0, reason(lost)))
    assert str(there) == "party 0 stopped: lost hospital (party 1) during reveal: it closed its connection"
    assert str(PartyLost(1, "gone")) == "lost party 1: gone"
    assert issubclass(NotFitted, ValueError) and str(among(PEOPLE, lambda: NotFitted("party 0"))) == "bank (party 0)"


def test_parties_of_a_file_are_called_by_their_names(tmp_path):
    sections = []
    for name in PEOPLE.values():
        make_identity(name).save(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
        sections.append(
            f'[[party]]\nname = "{name}"\naddress = "127.0.0.1:{free_port()}"\ncertificate = "{name}.pem"\n'
        )
    (tmp_path / "parties.toml").write_text('protocol = "clear"\n' + "\n".join(sections))
    path = script(
        tmp_path,
        "import platform\n"
        "platform.python_version = lambda: os.environ['VERSION']\n"
        "with tacit.session(timeout=4) as s:\n"
        "    x = s.secret(1.0, owner=0)\n"
        "    s.reveal(x)\n"
        "    open(f'{s.me}.there', 'w').close()\n"
        "    try:\n"
        "        s.reveal(x * s.secret(lambda: time.sleep(60), owner=1))\n"
        "    except tacit.PartyLost as error:\n"
        "        print('caught', error.party, error)\n"
        "        raise\n",
    )
    members = [
        started(
            "run", "--parties", "parties.toml", "--me", i, "--key", f"{name}.key", path, cwd=tmp_path, VERSION=f"{i}.5"
        )
        for i, name in PEOPLE.items()
    ]
    for i in PEOPLE:
        wait_for(tmp_path / f"{i}.there")
    os.killpg(members[1].pid, signal.SIGKILL)
    ended(members[1])
    _, out, err = ended(members[0])
    assert "caught 1 lost clinic (party 1)" in out
    assert "tacit: lost clinic (party 1)" in err
    assert "version of Python': bank (party 0) has '0.5', clinic (party 1) has '1.5'" in err


def test_versions_that_differ_are_told_and_end_nothing(caplog):
    """A difference of anything else does."""
    channels = network(3)
    hellos = [{"version of NumPy": "2.1" if i else "1.26", "version of torch": "none", "seed": "0"} for i in range(3)]

    def greet(i):
        handshake(channels[i], hellos[i])

    with caplog.at_level(logging.WARNING, "tacit.transport"):
        threads = [threading.Thread(target=greet, args=(i,)) for i in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert "NumPy" in channels[1].remark and "1.26" in channels[1].remark and "torch" not in channels[1].remark
    assert caplog.text.count("may differ") == 3


def test_a_mismatch_of_public_numbers_names_the_versions_that_differ():
    def work(s):
        s.engine.channel.remark = "'version of NumPy': party 0 has '1.26', party 1 has '2.1'"
        s.reveal(s.secret(1.0, owner=0) + (0.1 if s.me else 0.2))

    with pytest.raises(tacit.Mismatch, match=r"party 0 has '1\.26'"):
        tacit.run(work, 2, backend="numpy", timeout=10)
