"""Runs the command line as a user does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

TACIT = [sys.executable, "-m", "tacit.cli"]


def command(*arguments: object, cwd: Path | None = None, timeout: float = 110) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TACIT, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
    )


def started(*arguments: object, cwd: Path | None = None, **environment: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*TACIT, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **{k: str(v) for k, v in environment.items()}},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str], timeout: float = 110) -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, out, err


def script(folder: Path, text: str, name: str = "script.py") -> Path:
    path = folder / name
    path.write_text("import os, sys, time\nimport tacit\n" + text)
    return path


def wait_for(path: Path, seconds: float = 60) -> None:
    wait_until(path.exists, f"{path} did not appear", seconds)


def wait_until(condition: Callable[[], bool], otherwise: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, otherwise
        time.sleep(0.02)
