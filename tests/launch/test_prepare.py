"""`tacit prepare`, and runs on what it made."""

import os
import socket

import pytest
from launching import command, ended, script, started

from tacit.transport.identity import make_identity

BODY = """
with tacit.session() as s:
    x = s.secret(lambda: [3.0, 4.0], owner=0, shape=(2,))
    y = s.secret(lambda: [5.0, 6.0], owner=1, shape=(2,))
    print(*s.reveal(x * y))
"""


@pytest.fixture
def place(tmp_path):
    """A folder with a script and a key for stores."""
    script(tmp_path, BODY)
    (tmp_path / "store.key").write_bytes(os.urandom(32))
    return tmp_path


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


STORED = ["--store", "stock", "--store-key", "store.key"]


def test_prepared_and_run_here(place):
    done = command("prepare", "-n", 2, *STORED, "script.py", cwd=place)
    assert done.returncode == 0, done.stderr
    assert "[0] preparing: 100%" in done.stderr and "[1]" not in done.stderr
    again = command("prepare", "-n", 2, *STORED, "script.py", cwd=place)
    assert again.returncode == 1 and "holds a store that was not used yet" in again.stderr
    run = command("run", "-n", 2, *STORED, "script.py", cwd=place)
    assert sorted(run.stdout.splitlines()) == ["[0] 15.0 24.0", "[1] 15.0 24.0"], run.stderr
    second = command("run", "-n", 2, *STORED, "script.py", cwd=place)
    assert second.returncode == 1 and not second.stdout and "Traceback" not in second.stderr
    assert "was used by a run before" in second.stderr


@pytest.mark.slow
def test_two_hosts(place):
    for name in ("ann", "bob"):
        make_identity(name).save(place / f"{name}.pem", place / f"{name}.key")
    members = [f'[[party]]\naddress = "127.0.0.1:{free_port()}"\ncertificate = "{n}.pem"\n' for n in ("ann", "bob")]
    (place / "parties.toml").write_text("\n".join(members))

    def both(verb, *options):
        processes = [
            started(verb, "--parties", "parties.toml", "--me", i, "--key", f"{n}.key", *o, "script.py", cwd=place)
            for i, (n, o) in enumerate(zip(("ann", "bob"), options, strict=True))
        ]
        return [ended(p) for p in processes]

    for code, _, err in both("prepare", STORED, STORED):
        assert code == 0, err
    for code, out, err in both("run", STORED, []):
        assert code == 1 and not out and "'store': party 0 has" in err and "party 1 has nothing" in err
    for code, out, err in both("run", STORED, STORED):
        assert (code, out) == (0, "15.0 24.0\n"), err

    with (place / "parties.toml").open("a") as file:
        file.write('[dealer]\ncertificate = "ann.pem"\n')
    for code, _, err in both("run", STORED, STORED):
        assert code == 2 and "a store is made without one" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare", "-n", 2, "script.py"], "--store FOLDER"),
        (["prepare", *STORED, "script.py"], "-n 2"),
        (["prepare", "-n", 2, *STORED[:2], "script.py"], "--store and --store-key go together"),
        (["run", "-n", 2, *STORED[2:], "script.py"], "--store and --store-key go together"),
        (["run", "-n", 2, "--dealer", *STORED, "script.py"], "without a dealer"),
        (["run", "-n", 2, "--protocol", "clear", *STORED, "script.py"], "--store is for spdz"),
        (["run", "-n", 2, *STORED, "script.py"], "there is no store in"),
        (["run", "-n", 2, *STORED[:3], "absent.key", "script.py"], "head -c 32 /dev/urandom"),
        (["prepare", "-n", 2, *STORED, "empty.py"], "asks for no material"),
    ],
)
def test_what_does_not_go(place, arguments, message):
    script(place, "tacit.session().close()", "empty.py")
    done = command(*arguments, cwd=place)
    assert done.returncode in (1, 2) and message in done.stderr and "Traceback" not in done.stderr
    assert not (place / "stock").exists()


def test_a_preparation_that_fails_leaves_no_store(place):
    script(place, BODY.replace("shape=(2,)", ""), "shapeless.py")
    done = command("prepare", "-n", 2, *STORED, "shapeless.py", cwd=place)
    assert done.returncode == 1 and "pass shape=" in done.stderr and not (place / "stock").exists()
    alone = command("prepare", "-n", 2, *STORED[:3], "absent.key", "script.py", cwd=place)
    assert alone.returncode == 1 and "store key" in alone.stderr
    assert not list(place.glob("stock/*/*"))


CNN = """
import numpy as np, torch
from torch import nn
with tacit.session(format=tacit.Format(16, 6)) as s:
    x = s.secret(lambda: np.linspace(0, 1, 8 * 64).reshape(8, 1, 8, 8), owner=0, shape=(8, 1, 8, 8))
    t = s.labels(lambda: np.arange(8) % 3, num_classes=3, owner=1, shape=(8,))
    torch.manual_seed(0)
    model = s.share(nn.Sequential(nn.Conv2d(1, 2, 3), nn.AvgPool2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(18, 3)), owner=0)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for xb, tb in s.batches(x, t, batch_size=4):
        loss = nn.functional.cross_entropy(model(xb), tb)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    print(f"{s.reveal(loss).item():.2f}")
"""


@pytest.mark.slow
def test_a_cnn_by_lattices(place):
    script(place, CNN)
    done = command("prepare", "-n", 2, *STORED, "script.py", cwd=place, timeout=110)
    assert done.returncode == 0, done.stderr
    run = command("run", "-n", 2, *STORED, "script.py", cwd=place)
    clear = command("run", "-n", 2, "--protocol", "clear", "script.py", cwd=place)
    assert run.returncode == 0, run.stderr
    assert abs(float(run.stdout.split()[1]) - float(clear.stdout.split()[1])) < 0.02
