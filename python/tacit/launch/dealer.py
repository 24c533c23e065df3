"""`python -m tacit.launch.dealer`: the dealer's process, which serves one session of the parties in its context."""

import sys

from tacit.errors import PeerStopped, reason
from tacit.launch.child import FOLLOWED, guarded
from tacit.sessions import context as contexts
from tacit.sessions.context import Context


def main() -> int:
    return guarded(lambda: serve(contexts.take()))


def serve(context: Context) -> None:
    from tacit.preprocessing.dealer import Dealer
    from tacit.sessions.options import TIMEOUT, common_hello
    from tacit.sessions.remote import open_endpoint

    with open_endpoint(context) as endpoint:
        channel = endpoint.channel(
            "material",
            range(context.parties),
            common_hello(context.protocol, context.parties),
            timeout=context.timeout or TIMEOUT,
            within=context.wait,
        )
        try:
            Dealer(channel, context.parties).serve()
        except PeerStopped:
            raise SystemExit(FOLLOWED) from None  # the parties say why themselves
        except BaseException as error:
            channel.stop(reason(error))
            raise
        finally:
            channel.close()


if __name__ == "__main__":
    sys.exit(main())
