"""`python -m tacit.launch.preparation`: one party's process of a preparation."""

import sys

from tacit.launch.child import guarded
from tacit.sessions import context as contexts


def main() -> int:
    from tacit.sessions.preparing import prepare

    return guarded(lambda: prepare(contexts.take()))


if __name__ == "__main__":
    sys.exit(main())
