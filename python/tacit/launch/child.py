"""`python -m tacit.launch.child script.py ...`: one party's process. Runs the script, and says in one paragraph what failed."""

import ctypes
import os
import resource
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from types import FrameType, TracebackType

from tacit.errors import PartyLost, PeerStopped, TacitError, TooFewLeft

LIFELINE = "TACIT_LIFELINE"
"""A pipe's end that the launcher holds the other end of: it closes when the launcher dies."""
FAILED, FOLLOWED, TOO_FEW, TERMINATED = 1, 3, 4, 128 + signal.SIGTERM
"""Exit codes: an error here; an error that another party's followed into; too few parties left; ended by the launcher."""

PR_SET_DUMPABLE = 4

_INSIDE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def main() -> int:
    return guarded(script())


def script() -> Callable[[], object]:
    """Runs the script that the command line names, which sees its own arguments and its own folder's modules."""
    path, sys.argv = sys.argv[1], sys.argv[1:]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))  # -P left it out
    return lambda: runpy.run_path(path, run_name="__main__")


def guarded(work: Callable[[], object]) -> int:
    """The exit code of `work`, after saying what failed."""
    signal.signal(signal.SIGTERM, _terminated)
    _keep_memory()
    _watch_launcher()
    try:
        work()
    except TacitError as error:
        _say(paragraph(error))
        if isinstance(error, TooFewLeft):
            return TOO_FEW
        return FOLLOWED if isinstance(error, PeerStopped | PartyLost) else FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except SystemExit as end:
        return _code(end)
    except BaseException as error:
        _say("".join(_users(error)))
        return FAILED
    return 0


def paragraph(error: TacitError) -> str:
    """One paragraph: kind, line of the script, message. An error that another party began is quoted."""
    if isinstance(error, PeerStopped | PartyLost):
        return f"tacit: {error}"
    line = _last_line(error.__traceback__)
    return f"tacit: {type(error).__name__}{f' at {line}' if line else ''}: {error}"


def _last_line(at: TracebackType | None) -> str:
    """The last line of the user's code on the way to the error, not of a library that it called."""
    frames = [f for f in traceback.extract_tb(at) if _is_users(f.filename) and "-packages/" not in f.filename]
    return f"{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""


def _users(error: BaseException) -> list[str]:
    """The traceback of the user's code; of tacit's own where no other is on the stack, but for what started it."""
    report = traceback.TracebackException.from_exception(error)
    inside = [f for f in report.stack if f.filename != __file__ and not f.filename.startswith("<frozen")]
    frames = [f for f in inside if _is_users(f.filename)]
    report.stack = traceback.StackSummary.from_list(frames or inside)
    return list(report.format())


def _is_users(filename: str) -> bool:
    return not filename.startswith((_INSIDE, "<frozen"))


def _code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return end.code or 0
    _say(str(end.code))
    return FAILED


def _say(text: str) -> None:
    print(text.rstrip("\n"), file=sys.stderr, flush=True)


def _terminated(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise SystemExit(TERMINATED)  # unwinds the script, so that its session tells the peers


def _keep_memory() -> None:
    """Shares and keys stay in this process: no core dumps, and on Linux no look into it by others of the same user."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(
            PR_SET_DUMPABLE, 0, 0, 0, 0
        )  # a pattern that pipes dumps to a program ignores the limit


def _watch_launcher() -> None:
    if descriptor := os.environ.pop(LIFELINE, ""):
        threading.Thread(target=_until_closed, args=(int(descriptor),), name="tacit-lifeline", daemon=True).start()


def _until_closed(descriptor: int) -> None:
    while os.read(descriptor, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
