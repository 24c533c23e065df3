"""What somebody does to its saved share."""

import numpy as np

from tacit.field import P

WORDS = ("values", "blind", "tags", "key")


def words(share, name):
    kept = share[name]
    return [int(w) for w in (np.frombuffer(kept, np.int64) if isinstance(kept, bytes) else np.asarray(kept))]


def with_words(share, name, new):
    array = np.array([w % P for w in new], np.int64)
    return {**share, name: array.tobytes() if isinstance(share[name], bytes) else array}


def altered_share(share, **errors):
    """`share` with a number, or a list of them, added to the first words of some of its parts."""
    for name, error in errors.items():
        more = error if isinstance(error, list) else [error]
        held = words(share, name)
        share = with_words(
            share, name, [w + e for w, e in zip(held, more + [0] * (len(held) - len(more)), strict=True)]
        )
    return share
