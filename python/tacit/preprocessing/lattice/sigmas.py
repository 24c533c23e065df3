"""The check of batches, of which nothing but one random combination is ever opened.

    sigma_ik: party i's part of check k;    sum_i sigma_ik = 0, or alpha times an error
    bound:    i tells all  y_ik = sigma_ik - u_ik;    u_ik is i's own random number, with a MAC of each j: K = alpha_j u + M
    settled:  when all y are told, a coin w;    i tells j  U_i = sum_k w_k u_ik  and  V_ij = sum_k w_k M_ijk
              j accepts if  sum_k w_k K_ijk = V_ij + alpha_j U_i;    then  sum_i (sum_k w_k y_ik + U_i) = 0
y_ik is uniform, and fixes sigma_ik: another U_i passes with a chance of 1 / p, since it takes alpha_j. So a sigma is fixed before
anything is opened that comes after it, squares too, and yet no sum of one check alone is seen by anybody: a failure shows alpha
times one combination of errors, instead of alpha by the first error and all other errors by alpha.
"""

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tacit import _core
from tacit.errors import CheatingDetected
from tacit.field import P
from tacit.preprocessing.lattice.shared import Shared
from tacit.steps import protocol_step

if TYPE_CHECKING:
    from tacit.preprocessing.lattice.link import Link

LABEL = "check"
NUMBER, OPENED = struct.Struct("<Q"), struct.Struct("<2Q")


class CheckFailed(CheatingDetected):
    """A check that all parties see fail alike, and that does not show who is to blame."""


class Pads:
    """[u_i] of all parties i, for one sigma. They serve once."""

    def __init__(self, link: "Link") -> None:
        self.numbers = [
            Shared(link.random.field(1) if i == link.me else np.zeros(1, np.uint64), owner=i)
            for i in range(link.parties)
        ]

    @protocol_step
    def bind(self, link: "Link", sigma: int) -> "Sigma":
        """Tell all sigma - u. One round."""
        told = (sigma - int(self.numbers[link.me].value[0])) % P
        came = link.everyone(NUMBER.pack(told), dict.fromkeys(link.others, NUMBER.size), LABEL)
        for frame in came.values():
            told += NUMBER.unpack(frame.data)[0]
        return Sigma(told % P, self.numbers)


class Sigma:
    """A sigma that is fixed and hidden: the sum of all y, and what they are hidden by."""

    def __init__(self, told: int, pads: list[Shared]) -> None:
        self.told, self._pads = told, pads

    def spend(self) -> list[Shared]:
        """The u_i: once, since two combinations would show single sigmas."""
        pads, self._pads = self._pads, []
        if not pads:
            raise AssertionError("a sigma is settled once")
        return pads


def settle(link: "Link", sigmas: Sequence[Sigma]) -> None:
    """All checks hold; else `CheckFailed`, and alpha is known to whoever cheated. Three rounds, 16 bytes and a coin to each peer.

    Meanwhile no thread of this party opens anything under alpha (`interaction.checks`).
    """
    if not sigmas:
        return
    with link.order.check():
        _settle(link, sigmas)


@protocol_step
def _settle(link: "Link", sigmas: Sequence[Sigma]) -> None:
    pads = [s.spend() for s in sigmas]
    weights = _core.Prg(link.coin(), 0).field(len(sigmas)).tolist()
    mine = [of_one[link.me] for of_one in pads]
    opened = _weighed(weights, [int(u.value[0]) for u in mine])
    out = {j: [OPENED.pack(opened, _weighed(weights, [int(u.keys[j][0]) for u in mine]))] for j in link.others}
    total = _weighed(weights, [s.told for s in sigmas]) + opened
    for i, frame in link.exchange(out, dict.fromkeys(link.others, OPENED.size), LABEL).items():
        u, v = OPENED.unpack(frame.data)
        if (v + link.alpha * u - _weighed(weights, [int(of_one[i].mac[0]) for of_one in pads])) % P:
            raise CheatingDetected(
                f"party {i} opened another number than it had fixed, in the check of prepared material"
            )
        total += u
    if total % P:
        raise CheckFailed(
            "the check of prepared material failed: some party made a product or a MAC that is wrong. Nothing of it is "
            "used; keys and material are destroyed"
        )


def _weighed(weights: Sequence[int], numbers: Sequence[int]) -> int:
    return sum(w * x for w, x in zip(weights, numbers, strict=True)) % P
