"""A party's part of a number while material is made."""

import numpy as np

from tacit.field import Field

NOTHING: Field = np.zeros(0, np.uint64)


def turn(owner: int, verifier: int) -> int:
    """Which of the others a verifier is to an owner."""
    return verifier - (verifier > owner)


class Shared:
    """This party's share of an array: `value`, and `mac` once its batch has run. Flat.

    What `owner` alone contributes to is 0 at the others; `keys` has the owner's side of each VOLE, by the other party. `narrow`:
    an honest owner's numbers have 16 bits at most, so that their MACs cost less.
    """

    __slots__ = ("keys", "mac", "narrow", "owner", "value")

    def __init__(self, value: Field, mac: Field = NOTHING, owner: int | None = None, narrow: bool = False) -> None:
        self.value, self.mac, self.owner, self.narrow = value, mac, owner, narrow
        self.keys: dict[int, Field] = {}
