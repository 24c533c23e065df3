"""The test that each party's share of the MAC key is one number.

Party i has encrypted a polynomial alpha_i, and proved that it knows it, and no more. Each party j takes as many random numbers
x_j as a polynomial has places; they are thrown away.

    j -> i:    alpha_i x_j + r_ij =: K_ij under i's key, x_j and the mask r_ij uniform;    then a coin: as many weights c
    j says     v_j = <c, x_j>
    i commits  s_ij = <c, K_ij> - a_i v_j  for the number a_i that alpha_i should be;    j commits  w_ij = <c, r_ij>
    opened:    s_ij = w_ij,  which is  <c, alpha_i x_j> = a_i v_j
*A lie of i.* <c, alpha_i x> is some <c', x>, and of x_j, which r_ij hides, i knows <c, x_j> only: unless c' is a multiple k c,
it has to guess, 1 / p. In slots c' is c times alpha_i: so c would be 0 in every slot where alpha_i is not k, but c was drawn
after alpha_i was sent: 1 / p again, whatever a_i is.
*A lie of j*, of any kind, puts s_ij off by a_i e for an e that j knows. It had to commit w_ij before it saw s_ij: it has to
guess a_i e. If it fails it knows a_i, but nothing else was ever made with that, nor will be.
*Pair by pair*, unlike a batch's check: that sees the sum over i only, and two cheaters whose polynomials add up to a number
pass it. But a proof of a range is for one verifier, and hides its numbers from one who has a number, not any polynomial.
Three parties or more: the coin is also the echo of the ciphertexts, so that alpha_i is the same for all j.
"""

from typing import TYPE_CHECKING

import numpy as np

from tacit import _core
from tacit.errors import CheatingDetected
from tacit.field import P
from tacit.preprocessing.lattice.shared import Shared
from tacit.steps import protocol_step

if TYPE_CHECKING:
    from tacit.preprocessing.lattice.link import Link

LABEL = "alpha"


@protocol_step
def check(link: "Link") -> None:
    """`CheatingDetected` if a party's share is none. Six rounds, one ciphertext each way."""
    me, parties, slots = link.me, link.parties, link.keys.slots
    x = [Shared(link.random.field(slots) if i == me else np.zeros(slots, np.uint64), owner=i) for i in range(parties)]
    link.authenticate(x, LABEL)
    coin = _core.Prg(link.drive(link.transcript.coin(), LABEL), 0)
    own, *sums = coin.combine([x[me].value, *(x[me].keys[i] for i in link.others), *(x[j].mac for j in link.others)])
    said = np.array([own], np.uint64)
    came = link.exchange({i: [said] for i in link.others}, dict.fromkeys(link.others, said.nbytes), LABEL)
    mine = np.zeros((2, parties), np.uint64)  # s_ij by j, and w_ij by i
    for j, w, k in zip(link.others, sums, sums[len(link.others) :], strict=False):
        v = int.from_bytes(came[j].data, "little")
        mine[:, j] = (k - link.alpha * v) % P, w
    opened = link.drive(link.transcript.committed(mine.tobytes()), LABEL)
    by_party = np.frombuffer(b"".join(opened), np.uint64).reshape(parties, 2, parties)
    wrong = np.argwhere(by_party[:, 0] != by_party[:, 1].T).tolist()
    for i, j in sorted(wrong, key=lambda pair: me not in pair):
        who = f"party {j if i == me else i}" if me in (i, j) else f"party {i} or party {j}"
        raise CheatingDetected(f"{who} cheated when the shares of the MAC key were tested; nothing was made with them")
