"""A group of child processes: their output prefixed, the first failure or a signal ends all of them."""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, BinaryIO, Self

from tacit.launch.child import FOLLOWED, LIFELINE, TERMINATED, TOO_FEW

FOLLOW = 5.0
"""Seconds that the others have, after one failed, to notice it by themselves and say so."""
GRACE = 3.0
"""Seconds between asking a process to end and ending it."""


class Child:
    """One process. `prefix` None: it shares this process's terminal."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        descriptors: Sequence[int],
        prefix: str | None,
        lock: threading.Lock,
    ) -> None:
        self.name = name
        self.gone = ""
        piped = prefix is not None
        self.process = subprocess.Popen(
            command,
            env=dict(environment),
            pass_fds=tuple(descriptors),
            stdin=subprocess.DEVNULL if piped else None,
            stdout=subprocess.PIPE if piped else None,
            stderr=subprocess.PIPE if piped else None,
            start_new_session=piped,  # a Ctrl-C reaches the launcher alone
        )
        self._readers: list[threading.Thread] = []
        if prefix is not None:
            for source, sink in ((self.process.stdout, sys.stdout), (self.process.stderr, sys.stderr)):
                assert source is not None
                copy = threading.Thread(
                    target=_copy, args=(source, sink.buffer, f"[{prefix}] ".encode(), lock), daemon=True
                )
                copy.start()
                self._readers.append(copy)

    @property
    def halted(self) -> bool:
        """Stopped by a signal (SIGSTOP): it will not end by itself."""
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()[0] in "Tt"
        return False

    def finish(self) -> None:
        """All of its output is shown."""
        for reader in self._readers:
            reader.join(1.0)  # a process that it left behind may hold the pipe

    def interrupted(self) -> None:
        """A process that shares this one's terminal got the Ctrl-C too, and has a moment to tell its peers."""
        if not self._readers:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)

    def signal(self, number: int) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                if self._readers:
                    os.killpg(self.process.pid, number)
                else:
                    self.process.send_signal(number)


class Group:
    """Processes that live and end together."""

    def __init__(self) -> None:
        self._children: list[Child] = []
        self._helpers: set[str] = set()
        self._ended: queue.Queue[Child] = queue.Queue()
        self._lock = threading.Lock()
        self._read_end, self._write_end = os.pipe()

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        descriptors: Sequence[int] = (),
        prefix: str | None = None,
        helper: bool = False,
    ) -> None:
        """`helper`: the group does not wait for it once the others are done."""
        child = Child(
            name,
            command,
            {**environment, LIFELINE: str(self._read_end)},
            [*descriptors, self._read_end],
            prefix,
            self._lock,
        )
        self._children.append(child)
        if helper:
            self._helpers.add(name)
        threading.Thread(target=self._wait_for, args=(child,), daemon=True).start()

    def wait(self, apart: bool = False, again: Callable[[str], None] | None = None) -> int:
        """0 when all have ended well, else the exit code of the one that failed first; the others are ended.

        `apart`: they are not, and it is 0 if one has ended well: parties that survive the loss of others. `again` starts one that
        was lost a second time (by its name), as long as others are there.
        """
        lost: list[Child] = []
        failed: Child | None = None
        waiting = list(self._children)
        end = float("inf")
        try:
            while any(c.name not in self._helpers for c in waiting) and time.monotonic() < end:
                try:
                    child = self._ended.get(timeout=min(0.5, max(0.0, end - time.monotonic())))
                except queue.Empty:
                    if apart and len(waiting) < len(self._children) and all(c.halted for c in waiting):
                        for child in waiting:  # nobody waits for them any more
                            child.gone = "was halted"
                        lost += waiting
                        break
                    continue
                waiting.remove(child)
                if again is not None and waiting and _was_lost(child):
                    self._tell(f"{child.name} {_fate(child.process.returncode)}; it is started again")
                    child.finish()
                    self._children.remove(child)
                    again(child.name)
                    waiting.append(self._children[-1])
                elif child.process.returncode and apart:
                    lost.append(child)
                elif child.process.returncode and (failed is None or _followed(failed)):
                    failed = child
                    # Who only followed another ends first at times: the one that it followed has an exit code to come.
                    end = min(end, time.monotonic() + (2 * GRACE if _followed(child) else FOLLOW))
        except KeyboardInterrupt:
            for child in waiting:
                child.interrupted()
            return 128 + signal.SIGINT
        finally:
            self.stop()
        if lost:
            return self._after(lost)
        if failed is None:
            return 0
        fate = "was stopped" if _followed(failed) else f"was stopped: {failed.name} {_fate(failed.process.returncode)}"
        self._tell(f"the run {fate}")
        return exit_code(failed.process.returncode)

    def _tell(self, text: str) -> None:
        with self._lock:
            print(f"tacit: {text}", file=sys.stderr)

    def _after(self, lost: Sequence[Child]) -> int:
        codes = [exit_code(child.process.returncode) for child in self._children]
        well = 0 in codes
        for child in lost:
            self._tell(f"{child.name} {child.gone or _fate(child.process.returncode)}")
        self._tell("the others went on without" if well else "the run was stopped")
        return 0 if well else TOO_FEW if TOO_FEW in codes else exit_code(lost[0].process.returncode)

    def stop(self) -> None:
        """End what still runs: asked first, then made to."""
        for child in self._children:
            child.signal(signal.SIGTERM)
        end = time.monotonic() + GRACE
        for child in self._children:
            try:
                child.process.wait(max(0.01, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.signal(signal.SIGKILL)
                with contextlib.suppress(subprocess.TimeoutExpired):  # one that the system holds ends when it lets go
                    child.process.wait(GRACE)
        for child in self._children:
            child.finish()

    def _wait_for(self, child: Child) -> None:
        child.process.wait()
        self._ended.put(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        os.close(self._read_end)
        os.close(self._write_end)


def exit_code(code: int) -> int:
    return 128 - code if code < 0 else code


def _followed(child: Child) -> bool:
    """Return whether the process failed because another one did."""
    return exit_code(child.process.returncode) in (FOLLOWED, TERMINATED)


def _was_lost(child: Child) -> bool:
    """Return whether the process was killed, or the others went on without it; a script that failed does not count."""
    return child.process.returncode < 0 or child.process.returncode == FOLLOWED


def _fate(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"failed with exit code {code}"


def _copy(source: IO[bytes], sink: BinaryIO, prefix: bytes, lock: threading.Lock) -> None:
    """Whole lines, each with its prefix; a progress bar's carriage returns end a line too."""
    left = b""
    shown = True
    while piece := os.read(source.fileno(), 1 << 16):
        *lines, left = _lines(left + piece)
        # A bar that begins with a carriage return begins with an empty line.
        text = b"".join(line if line == b"\r" else prefix + line for line in lines)
        # Whoever read it may be gone (`| head`): the process must not be held up by a full pipe.
        shown = shown and _write(sink, text, lock)
    if left and shown:
        _write(sink, prefix + left + b"\n", lock)


def _write(sink: BinaryIO, text: bytes, lock: threading.Lock) -> bool:
    with lock:
        try:
            sink.write(text)
            sink.flush()
        except OSError:
            return False
    return True


def _lines(data: bytes) -> list[bytes]:
    """Lines with their ends, and what is left."""
    lines = data.splitlines(keepends=True)
    if not lines or lines[-1].endswith((b"\n", b"\r")):
        lines.append(b"")
    return lines
