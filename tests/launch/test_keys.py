"""Private keys stay in the processes that use them: not in files that outlive them, nor where others of the machine look."""

import contextlib
import logging
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
from launching import ended, script, started, wait_for

from tacit.errors import ConfigurationError
from tacit.transport.identity import Identity, make_identity

WORD = b"PRIVATE KEY"


def holding(*folders: Path) -> list[Path]:
    """Files in which there is a private key."""
    found = []
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and path.stat().st_uid == os.getuid() and WORD in path.read_bytes():
                found.append(path)
    return found


def test_a_context_takes_a_key_without_a_file(tmp_path, monkeypatch):
    """Whenever the process is killed: no file is opened to be written at all."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = """
import os, ssl, sys
from tacit.transport.identity import Identity, make_identity
made = make_identity("mine")
def hook(event, arguments):
    if event == "open" and (set(str(arguments[1]) ) & set("wax+") or arguments[2] & (os.O_WRONLY | os.O_RDWR)):
        print(arguments[0])
sys.addaudithook(hook)
for _ in range(3):
    made.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    os.close(made.handed())
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=110, check=True)
    assert not ran.stdout
    assert not list(tmp_path.iterdir())


def test_a_key_comes_through_a_pipe(tmp_path):
    identity = make_identity("mine")
    identity.save(tmp_path / "mine.pem", tmp_path / "mine.key")
    descriptor = identity.handed()
    assert Identity.received(tmp_path / "mine.pem", descriptor) == identity
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
    identity.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    with pytest.raises(ConfigurationError, match="is none"):
        Identity(identity.certificate, bytes(1 << 20)).load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


@pytest.mark.parametrize("mode", [0o400, 0o600, 0o440, 0o640])
def test_a_key_that_a_group_may_read_is_taken_with_a_warning(tmp_path, mode, caplog):
    identity = make_identity("mine")
    identity.save(tmp_path / "mine.pem", tmp_path / "mine.key")
    (tmp_path / "mine.key").chmod(mode)
    with caplog.at_level(logging.WARNING, "tacit.transport"):
        assert Identity.load(tmp_path / "mine.pem", tmp_path / "mine.key") == identity
    assert ("group" in caplog.text and "mine.key" in caplog.text) == bool(mode & 0o040)


@pytest.mark.parametrize("mode", [0o444, 0o644, 0o604, 0o601, 0o660, 0o420])
def test_a_key_that_others_may_read_or_write_is_refused(tmp_path, mode):
    make_identity("mine").save(tmp_path / "mine.pem", tmp_path / "mine.key")
    (tmp_path / "mine.key").chmod(mode)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        Identity.load(tmp_path / "mine.pem", tmp_path / "mine.key")


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_key_of_a_run_is_in_a_file_an_argument_or_the_environment(tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    path = script(
        tmp_path,
        "import resource, ctypes\n"
        "with tacit.session() as s:\n"
        "    core, dumps = resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)\n"
        "    open(f'{s.me}.there.new', 'w').write(f'{os.getpid()} {core} {dumps}')\n"
        "    os.replace(f'{s.me}.there.new', f'{s.me}.there')\n"
        "    time.sleep(600)\n",
    )
    process = started("run", "-n", 2, "--protocol", "clear", path, cwd=tmp_path, TMPDIR=temporary)
    try:
        for i in range(2):
            wait_for(tmp_path / f"{i}.there")
        assert list(temporary.iterdir())
        assert not holding(temporary, Path("/dev/shm"))
        for i in range(2):
            pid, *limits = (tmp_path / f"{i}.there").read_text().split()
            assert limits == ["(0,", "0)", "0"]
            for name in ("cmdline", "environ"):
                with contextlib.suppress(PermissionError):  # nobody but root looks into them
                    assert WORD not in Path(f"/proc/{pid}/{name}").read_bytes()
    finally:
        os.kill(process.pid, signal.SIGKILL)
        ended(process)
    assert not holding(temporary, Path("/dev/shm"))


def test_what_lies_where_a_run_starts_is_not_imported(tmp_path):
    """Neither in place of Python's own modules nor of a dependency's."""
    place, scripts = tmp_path / "place", tmp_path / "scripts"
    place.mkdir()
    scripts.mkdir()
    for name in ("ssl", "json", "msgpack", "numpy", "runpy", "resource"):
        (place / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')")
    (scripts / "beside.py").write_text("X = [1.5]\n")
    path = script(
        scripts, "import beside\nwith tacit.session() as s:\n    print(s.reveal(s.secret(beside.X, owner=0)))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "tacit.cli", "run", "-n", "2", "--protocol", "clear", str(path)],
        cwd=place,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert "1.5" in ran.stdout and not ran.returncode, ran.stderr
    assert not (tmp_path / "imported").exists()
