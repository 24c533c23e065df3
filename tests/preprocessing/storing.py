"""Stores for tests: filled by a dealer, which is fast."""

import threading

from tacit.preprocessing import ahead
from tacit.preprocessing.dealer import Dealer, DealerSource
from tacit.preprocessing.store import StoreSource, seal
from tacit.preprocessing.vault import Writer
from tacit.transport import memory

KEY = bytes(range(32))


class LikeLattice(DealerSource):
    """What a dealer gives, asked for as parties that make it themselves are."""

    binary = False
    summands = 2
    late = False


def fill(folder, lists, n=2, kind=DealerSource, group=1 << 24):
    """A store for each party in `folder`, of what the file `lists` asks for."""
    channels = memory.network(n + 1, timeout=20.0)

    def party(me):
        source = kind(me, n, channels[me])
        outlook = ahead.Outlook.of(lists, me)
        with Writer(folder / str(me), KEY) as writer:
            ahead.prepare(source, lists, me, outlook, writer, group, lambda count: None)
            seal(writer, source, b"one preparation", me, n, outlook.lists)
        source.close()

    threads = [threading.Thread(target=party, args=(i,)) for i in range(n)]
    threads.append(threading.Thread(target=Dealer(channels[n], n).serve))
    for t in threads:
        t.start()
    for t in threads:
        t.join(30)
        assert not t.is_alive()


def opened(folder, me=0, n=2, key=KEY):
    return StoreSource(me, n, folder / str(me), key)


def write(path, lists):
    with path.open("wb") as file:
        for requests in lists:
            ahead.append(file, requests)
    return path
