"""`tacit run -n 3 script.py`: all parties and the dealer as processes of this machine, with keys made for this run."""

import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tacit.errors import named
from tacit.launch.processes import Group
from tacit.sessions.context import VARIABLE, Context
from tacit.sessions.protocols import protocol_kind
from tacit.transport.identity import make_identity
from tacit.transport.listening import listen

HOST = "127.0.0.1"


def run_local(
    template: Context,
    command: Sequence[str],
    *,
    module: str = "tacit.launch.child",
    own: Callable[[int], Mapping[str, str]] = lambda me: {},
) -> int:
    """Start every party of `template` with `command` (a script and its arguments); the exit code of the run.

    `module` runs the script in a party's process, whose environment has `own(me)` besides.
    """
    with tempfile.TemporaryDirectory(prefix="tacit-") as directory, Group() as group:
        folder = Path(directory)  # made with mode 0700
        count = template.parties + template.dealer
        listeners = [listen(HOST, 0) for _ in range(template.parties)]
        identities = [make_identity(f"tacit {i}") for i in range(count)]
        for i, identity in enumerate(identities):
            (folder / f"{i}.pem").write_text(identity.pem)
        known = replace(
            template,
            rejoin=False,
            run=secrets.token_hex(32),
            addresses={i: (HOST, int(s.getsockname()[1])) for i, s in enumerate(listeners)},
            pins={i: identity.fingerprint() for i, identity in enumerate(identities)},
            names={template.parties: "dealer"} if template.dealer else {},
        )
        environment = child_environment(template.parties)
        contexts = {}

        def begin(context: Context, path: Path) -> str:
            """Its private key, which lives as long as the run, goes through a pipe: neither file nor environment holds it."""
            pipe = identities[context.me].handed()
            try:
                context = replace(context, key_from=pipe)
                context.save(path)
                given = {**environment, **own(context.me)}
                return start(group, context, path, command, given, prefixed=True, module=module)
            finally:
                os.close(pipe)

        for me in range(count):
            descriptor = listeners[me].fileno() if me < template.parties else None
            context = replace(known, me=me, listener=descriptor, certificate=str(folder / f"{me}.pem"))
            contexts[begin(context, folder / f"{me}.json")] = context
        for listener in listeners:
            listener.close()  # a party's port lives as long as the party

        def again(name: str) -> None:
            context = replace(contexts[name], rejoin=True, listener=None)
            path = folder / f"{context.me}.again.json"
            path.unlink(missing_ok=True)
            begin(context, path)

        apart = protocol_kind(template.protocol, template.parties, template.threshold).majority
        return group.wait(apart, again if template.rejoin else None)


def start(
    group: Group,
    context: Context,
    path: Path,
    command: Sequence[str],
    environment: dict[str, str],
    *,
    prefixed: bool,
    module: str = "tacit.launch.child",
) -> str:
    """The name of its process."""
    dealer = context.me == context.parties
    name = "the dealer" if dealer else named(f"party {context.me}", context.members)
    started = ["tacit.launch.preparation"] if context.lists else [module, *command]
    started = ["tacit.launch.dealer"] if dealer else started
    group.start(
        name,
        worker(*started),
        {**environment, VARIABLE: str(path)},
        descriptors=[d for d in (context.listener, context.key_from) if d is not None],
        prefix=("dealer" if dealer else str(context.me)) if prefixed else None,
        helper=dealer and prefixed,
    )
    return name


def worker(*module: str) -> list[str]:
    """The command of a process: what lies in the directory where it starts is not imported in place of Python's own (-P)."""
    return [sys.executable, "-P", "-m", *module]


def child_environment(parties: int) -> dict[str, str]:
    """Output as it comes; the machine's cores shared among the parties on it; large arrays from memory that is kept.

    glibc would give arrays of megabytes back to the system and take fresh pages for each, which costs more than the
    arithmetic on them: a step of a network with ReLUs takes 0.3 s instead of 0.5. One heap for all threads, so that what
    the making of material has kept serves the steps too.
    """
    threads = str(max(1, (os.cpu_count() or 1) // parties))
    kept = {"MALLOC_MMAP_THRESHOLD_": str(1 << 33), "MALLOC_TRIM_THRESHOLD_": str(1 << 34), "MALLOC_ARENA_MAX": "1"}
    defaults = {"PYTHONUNBUFFERED": "1", "TACIT_THREADS": threads, "OMP_NUM_THREADS": threads, **kept}
    return {**defaults, **os.environ}
