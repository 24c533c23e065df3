"""The means by which a party makes batches: its keys, its connection to the others, and rounds of whole arrays.

MAC of a sum:    x = sum x_i;   i -> j: alpha_j x_i + r_ij under j's key;   m_i = alpha_i x_i + sum_j (alpha_i x_j + r_ji - r_ij)
MAC of i's own:  the same, from i to each j: m_j = alpha_j x + r_ij =: K_j, a VOLE with r_ij on i's side
product:         Enc_i(E_i) to all;   j -> i: E_i F_j + r_ji under i's key, which is a batch's own (`renew`)
"""

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tacit import field
from tacit._core import Ciphertexts, LatticeLayout, LatticeParty, Multiplier, PeerError
from tacit.errors import CheatingDetected
from tacit.field import Field, P
from tacit.interaction.checks import Checks
from tacit.interaction.coins import Commitment, Transcript
from tacit.interaction.exchange import Exchange
from tacit.preprocessing.lattice import alpha
from tacit.preprocessing.lattice.blame import Record
from tacit.preprocessing.lattice.randomness import KEY, Randomness
from tacit.preprocessing.lattice.shared import NOTHING, Shared
from tacit.steps import protocol_step
from tacit.transport.channel import Channel

T = TypeVar("T")
Octets = NDArray[np.uint8]
PIECE = 1 << 19
"""Elements that take part in one round of MACs at most."""
ROOM = 1 << 26
"""Bytes of ciphertexts that one round brings from each party at most, or one product's."""


class Link:
    """One party. Its keys live as long as it does; `burn` forgets them."""

    def __init__(
        self, me: int, parties: int, channel: Channel, session: bytes, order: Checks, key: bytes | None = None
    ) -> None:
        """`order`: the order of what this party opens and checks under its key."""
        self.order = order
        self.me, self.parties, self.channel = me, parties, channel
        self.others = [i for i in range(parties) if i != me]
        self.random = Randomness(key)
        self.alpha = self.random.element()
        self.record: Record | None = Record()
        """All messages sent and received, as long as a cheater may be named by repeating them (`blame`)."""
        self._session = session
        self.transcript = Transcript(self._name(0), me, parties, self.random.bytes)
        self.keys = LatticeParty(self._name(0), me, parties, self.random.bytes(KEY))
        """The keys under which alpha is encrypted. Operands of products have other ones."""
        self.operands = self.keys
        self._renewed = 0
        self._alphas = self._introduced()
        alpha.check(self)

    def _introduced(self) -> dict[int, Multiplier]:
        """The others' alpha_i, encrypted."""
        whole = self.keys.elementwise(self.keys.slots)
        key, constant = self.keys.hello(), np.full(self.keys.slots, self.alpha, np.uint64)
        hello = key + self.keys.encrypt([whole], [constant])
        found = {}
        for i, theirs in self.everyone(hello, dict.fromkeys(self.others, len(hello)), "keys").items():
            self.checked(i, self.keys.meet, i, theirs[: len(key)])
            (alphas,) = self.checked(i, self.keys.accept, i, [whole], theirs[len(key) :])
            found[i] = self.keys.multiplier(alphas)
        return found

    @protocol_step
    def renew(self) -> None:
        """New keys for what is encrypted from now on. One round.

        Numbers that were encrypted before may be known by now, but for few possibilities: an answer to a later ciphertext that a
        cheater added some of it to would fit by chance. Under another key it is noise.
        """
        self._renewed += 1
        self.operands = LatticeParty(self._name(self._renewed), self.me, self.parties, self.random.bytes(KEY))
        hello = self.operands.hello()
        for i, theirs in self.everyone(hello, dict.fromkeys(self.others, len(hello)), "keys").items():
            self.checked(i, self.operands.meet, i, theirs)

    def _name(self, number: int) -> bytes:
        """The name of the session's keys, or of those of a batch."""
        given = self._session + number.to_bytes(8, "little")
        return hashlib.blake2b(given, person=b"tacit preparing", digest_size=32).digest()

    # Rounds.

    def exchange(self, out: Mapping[int, Sequence[Any]], expect: Mapping[int, int], label: str) -> dict[int, Octets]:
        """One round; CheatingDetected for a frame of another length than is due."""
        came = self.channel.exchange(out, expect, label=label)
        for i, frame in came.items():
            if len(frame) != expect[i]:
                raise CheatingDetected(f"party {i} sent {len(frame)} bytes of {label} where {expect[i]} were due")
        if self.record is not None:
            self.record.note(out, came)
        return {i: np.frombuffer(frame, np.uint8) for i, frame in came.items()}

    def everyone(self, message: bytes, expect: Mapping[int, int], label: str) -> dict[int, Octets]:
        """The same message to all, if there is one; it is part of what the parties echo."""
        out = {i: [message] for i in self.others if message}
        came = self.exchange(out, {i: n for i, n in expect.items() if n}, label)
        for i in range(self.parties):
            if i == self.me or i in came:
                self.transcript.note(message if i == self.me else came[i].data)
        return came

    def drive(self, steps: Generator[Exchange, dict[int, Any], T], label: str) -> T:
        """Run an interactive primitive by itself."""
        try:
            wanted = next(steps)
            while True:
                wanted = steps.send(self.exchange(wanted.out, wanted.expect, label))
        except StopIteration as end:
            result: T = end.value
            return result

    def coin(self) -> bytes:
        return self.drive(self.transcript.coin(), "coin")

    @staticmethod
    def checked(party: int, work: Callable[..., T], *given: Any) -> T:
        """`work` on what that party sent: what an honest party does not send is cheating; a mistake of this one's own is not."""
        try:
            return work(*given)
        except PeerError as error:
            raise CheatingDetected(f"party {party} sent what it should not have: {error}") from None

    # MACs.

    @protocol_step
    def authenticate(self, arrays: Sequence[Shared], label: str = "MACs") -> None:
        """Set `mac` of all, `keys` of what this party owns. One round for each `PIECE` elements; 18 bytes each way."""
        # What is narrow comes last.
        owned = {
            o: sorted((s for s in arrays if s.owner == o), key=lambda s: s.narrow) for o in (None, *range(self.parties))
        }
        common = sum(s.value.size for s in owned[None])
        value = np.concatenate([NOTHING, *(s.value for s in owned[None] + owned[self.me])])
        mine = field.scale(value, self.alpha)
        counts = {i: common + sum(s.value.size for s in owned[i]) for i in range(self.parties)}
        wide = {i: self._wide(counts[i], sum(s.value.size for s in owned[i] if s.narrow)) for i in range(self.parties)}
        keys, theirs = self._scaled(value, counts, wide, label)
        for k in keys.values():
            mine = field.sub(mine, k)
        total = mine[:common]
        for t in theirs.values():
            total = field.add(total, t[:common])
        _part(owned[None], total)
        _part(owned[self.me], mine[common:])
        at = common
        for s in owned[self.me]:
            s.keys = {i: k[at : at + s.value.size] for i, k in keys.items()}
            at += s.value.size
        for i, t in theirs.items():
            _part(owned[i], t[common:])

    def _wide(self, count: int, narrow: int) -> int:
        """How many are multiplied as if they were wide: all, if what is narrow does not fill a polynomial of its own."""
        return count - narrow if narrow >= self.keys.slots else count

    @protocol_step
    def _scaled(
        self, value: Field, counts: Mapping[int, int], wide: Mapping[int, int], label: str
    ) -> tuple[dict[int, Field], dict[int, Field]]:
        """r_i for each other i, who gets alpha_i value + r_i; what came of `counts` elements of theirs, the first ones `wide`."""
        given = {i: self.random.field(value.size) for i in self.others}
        found = {i: np.empty(counts[i], np.uint64) for i in self.others}
        for at in range(0, max(counts.values()), PIECE):
            pieces = {i: _pieces(at, counts[i], wide[i]) for i in range(self.parties)}
            out = {
                i: [self.keys.scale(i, self._alphas[i], value[p], r[p], narrow) for p, narrow in pieces[self.me]]
                for i, r in given.items()
                if pieces[self.me]
            }
            sizes = {i: [self.keys.scaled_bytes(p.stop - p.start) for p, _ in pieces[i]] for i in self.others}
            for i, data in self.exchange(out, {i: sum(n) for i, n in sizes.items() if n}, label).items():
                ends = np.cumsum(sizes[i])[:-1]
                for (p, _), part in zip(pieces[i], np.split(data, ends), strict=True):
                    found[i][p] = self.checked(i, self.keys.open_scaled, p.stop - p.start, part)
        return given, found

    # Products.

    @protocol_step
    def multiply(self, units: Sequence["Unit"]) -> None:
        """Add what the parties make together to the answers of all units, which hold the local products. Two rounds a group."""
        for group in self._groups(units):
            said = {i: [u for u in group if u.encrypts(i, self.parties)] for i in range(self.parties)}
            own = [u.encrypted for u in said[self.me]]
            message = self.operands.encrypt([u.layout for u in said[self.me]], own) if own else b""
            due = {i: self.operands.encrypted_bytes([u.layout for u in said[i]]) for i in self.others}
            out = self._answers(said, self.everyone(message, due, "ciphertexts"))
            del message
            mine = {i: [a for u in said[self.me] if u.meets(self.me, i) for a in u.answers] for i in self.others}
            sizes = {i: sum(self.keys.response_bytes(a.layout) for a in m) for i, m in mine.items() if m}
            answers = self.exchange(out, sizes, "products")
            del out
            for i, data in answers.items():
                offset = 0
                for a in mine[i]:
                    part = data[offset : offset + self.keys.response_bytes(a.layout)]
                    offset += len(part)
                    opened = self.checked(i, self.operands.open, a.layout, a.out.size, part)
                    a.out[:] = field.add(a.out, opened)

    def _answers(self, said: Mapping[int, Sequence["Unit"]], came: Mapping[int, Octets]) -> dict[int, list[bytes]]:
        """To those whose ciphertexts are for this party."""
        out: dict[int, list[bytes]] = {}
        for i, data in came.items():
            accepted = self.checked(i, self.operands.accept, i, [u.layout for u in said[i]], data)
            for u, ciphertexts in zip(said[i], accepted, strict=True):
                if u.meets(i, self.me):
                    out.setdefault(i, []).extend(self._answered(i, a, ciphertexts) for a in u.answers)
        return out

    def _answered(self, peer: int, a: "Answer", ciphertexts: Ciphertexts) -> bytes:
        mask = self.random.field(a.out.size)
        a.out[:] = field.sub(a.out, mask)
        return self.operands.respond(peer, a.layout, ciphertexts, a.operand, mask)

    def _groups(self, units: Sequence["Unit"]) -> list[list["Unit"]]:
        groups: list[list[Unit]] = [[]]
        held = [0] * self.parties
        for u in units:
            sizes = [self.keys.encrypted_bytes([u.layout]) * u.encrypts(i, self.parties) for i in range(self.parties)]
            if groups[-1] and max(a + b for a, b in zip(held, sizes, strict=True)) > ROOM:
                groups.append([])
                held = [0] * self.parties
            groups[-1].append(u)
            held = [a + b for a, b in zip(held, sizes, strict=True)]
        return [group for group in groups if group]

    # Openings.

    @protocol_step
    def open(self, shares: Sequence[Shared], label: str) -> list[Field]:
        """The sums over all parties, or what the owner alone says; unchecked."""
        self.order.opening()
        said = {i: [n for n, s in enumerate(shares) if s.owner in (None, i)] for i in range(self.parties)}
        flat = np.concatenate([NOTHING, *(shares[n].value for n in said[self.me])])
        due = {i: 8 * sum(shares[n].value.size for n in said[i]) for i in self.others}
        out = {i: [flat] for i in self.others if flat.size}
        opened = [s.value for s in shares]
        for i, frame in self.exchange(out, {i: n for i, n in due.items() if n}, label).items():
            ends = np.cumsum([shares[n].value.size for n in said[i]])
            for n, part in zip(said[i], np.split(self._canonical(i, frame), ends[:-1]), strict=True):
                opened[n] = field.add(opened[n], part)
        return opened

    def commit(self, value: Field, label: str) -> Commitment:
        """Everybody's share of `value` is fixed. One round."""
        return self.drive(self.transcript.commit(value.tobytes()), label)

    @protocol_step
    def reveal(self, held: Sequence[Commitment], label: str) -> list[Field]:
        """The sums of what was committed to. One round."""
        self.order.opening()
        totals = []
        for by_party in self.drive(self.transcript.open(held), label) if held else []:
            total = np.zeros(len(by_party[0]) // 8, np.uint64)
            for i, data in enumerate(by_party):
                total = field.add(total, self._canonical(i, data))
            totals.append(total)
        return totals

    @staticmethod
    def _canonical(party: int, data: bytes | Octets) -> Field:
        found = np.frombuffer(data, np.uint64)
        if int(found.max(initial=0)) >= P:
            raise CheatingDetected(f"party {party} sent a number outside the field")
        return found


class Answer:
    """One product with what a unit encrypts: `out` is this party's share of it, flat."""

    __slots__ = ("layout", "operand", "out")

    def __init__(self, layout: LatticeLayout, operand: Field, out: Field) -> None:
        self.layout, self.operand, self.out = layout, operand, out


class Unit:
    """An array that parties encrypt their shares of, and the products that it takes part in.

    All answer what all encrypt; or each pair of parties does it one way only: i < j answers what i encrypts (`order` 1), or the
    other way round (-1).
    """

    __slots__ = ("answers", "encrypted", "layout", "order")

    def __init__(self, layout: LatticeLayout, encrypted: Field, answers: Sequence[Answer], order: int = 0) -> None:
        self.layout, self.encrypted, self.answers, self.order = layout, encrypted, answers, order

    def meets(self, i: int, j: int) -> bool:
        """Return whether j answers what i encrypts."""
        return i != j if self.order == 0 else (j - i) * self.order > 0

    def encrypts(self, i: int, parties: int) -> bool:
        return any(self.meets(i, j) for j in range(parties))


def _pieces(at: int, count: int, wide: int) -> list[tuple[slice, bool]]:
    """Slices of `PIECE` numbers from `at` on, each with whether it is narrow, as all from `wide` on are."""
    stop = min(count, at + PIECE)
    cut = min(max(at, wide), stop)
    return [(slice(a, b), narrow) for a, b, narrow in ((at, cut, False), (cut, stop, True)) if a < b]


def _part(arrays: Sequence[Shared], mac: Field) -> None:
    """Each array's part of the MACs of all of them."""
    at = 0
    for s in arrays:
        s.mac = mac[at : at + s.value.size]
        at += s.value.size
