"""What stands where in a ciphertext: seen by keys of one's own, so that a test can plant numbers where a packing has no place."""

import numpy as np

from tacit import _core, field
from tacit.field import P
from tacit.graph.forms import MatMul
from tacit.preprocessing.lattice.forms import Way

DELTA = 12345


class Packing:
    """Of both operands of a form, one of them encrypted, with the sacrifice's slice: as signed places of one polynomial."""

    def __init__(self, way):
        self.way = way.extended()
        self._keys = [_core.LatticeParty(b"a test's own keys", i, 2, bytes([i]) * 32) for i in (0, 1)]
        for i in (0, 1):
            self._keys[i].meet(1 - i, np.frombuffer(self._keys[1 - i].hello(), np.uint8))
        self.slots = self._keys[0].slots
        self.whole = self._keys[0].matrix(1, 1, self.slots, False)
        """All coefficients, in their order."""
        both = [Way(self.way.form, self.way.x, self.way.y, left) for left in (way.left, not way.left)]
        self.encrypted, self.plain = (
            places(numbers, self._coefficients(w.layout(self._keys[0]), numbers))
            for w, numbers in ((w, distinct(field.size(w.encrypted))) for w in both)
        )
        self.outputs = self._outputs()

    def _coefficients(self, layout, operand):
        """Of what is encrypted."""
        own, peer = self._keys
        data = np.frombuffer(own.encrypt([layout], [operand]), np.uint8)
        (found,) = peer.accept(0, [layout], data)
        answer = peer.respond(0, self.whole, found, np.ones(1, np.uint64), np.zeros(self.slots, np.uint64))
        return own.open(self.whole, self.slots, np.frombuffer(answer, np.uint8))

    def _outputs(self):
        """Where the product of both polynomials has the form's numbers."""
        e, f = distinct(field.size(self.way.encrypted)), distinct(field.size(self.way.plain))[::-1].copy()
        product = [0] * self.slots
        for (at, sign), a in zip(self.encrypted, e.tolist(), strict=True):
            for (to, other), b in zip(self.plain, f.tolist(), strict=True):
                turns, place = divmod(at + to, self.slots)
                product[place] = (product[place] + sign * other * (-1) ** turns * a * b) % P
        x, y = (
            self.natural(v, left == self.way.left)
            for v, left in ((e if self.way.left else f, True), (f if self.way.left else e, False))
        )
        return places(self.way.form(x, y).reshape(-1), np.array(product, np.uint64))

    def natural(self, flat, encrypted):
        """An operand in its own shape, from the order that a packing has it in."""
        is_x = self.way.left == encrypted
        shape = self.way.x if is_x else self.way.y
        turned = isinstance(self.way.form, MatMul) and (
            self.way.form.transpose_x if is_x else self.way.form.transpose_y
        )
        return np.ascontiguousarray(flat.reshape(shape[::-1]).T) if turned else flat.reshape(shape)

    def shifted(self, plain, place):
        """What a 1 at a place of the encrypted polynomial adds to the outputs: plain numbers, or nothing."""
        found = dict(
            zip((at for at, _ in self.plain), zip((s for _, s in self.plain), plain, strict=True), strict=True)
        )
        moved = []
        for at, sign in self.outputs:
            turns, to = divmod(at - place, self.slots)
            s, value = found.get(to, (0, 0))
            moved.append(sign * s * (-1) ** turns * int(value) % P)
        return np.array(moved, np.uint64)


def distinct(count):
    return np.random.default_rng(count).integers(1 << 40, 1 << 59, count).astype(np.uint64)


def places(numbers, coefficients):
    """(place, sign) of each number."""
    found = {int(v): (i, 1) for i, v in enumerate(coefficients) if v} | {
        P - int(v): (i, -1) for i, v in enumerate(coefficients) if v
    }
    return [found[int(v)] for v in numbers]


class Planter:
    """Of a form of which one operand is encrypted: a place that the packing leaves free. It moves numbers of the other operand,
    but none of the sacrifice's slice, into outputs of that slice."""

    def __init__(self, way):
        self.way, self.packing = way, Packing(way)
        ones = self._operand(np.ones(way.plain, np.uint64), 0), self._operand(np.zeros(way.plain, np.uint64), 1)
        out = self.packing.way.form.shape(self.packing.way.x, self.packing.way.y)
        last = np.moveaxis(np.arange(field.size(out)).reshape(out), way.out_axis, 0)[-1].reshape(-1)
        used = {at for at, _ in self.packing.encrypted}
        ends = (p for i in range(self.packing.slots // 2) for p in (i, self.packing.slots - 1 - i))
        for place in ends:
            if place not in used:
                moved, spoilt = (self.packing.shifted(f, place) for f in ones)
                if moved[last].any() and not spoilt.any():
                    self.place = place
                    return
        raise AssertionError("the packing leaves no such place free")

    def _operand(self, plain, rest):
        slice_ = np.full([1 if i == self.way.axis else n for i, n in enumerate(self.way.plain)], rest, np.uint64)
        return self.way.extended().flat(np.concatenate([plain, slice_], self.way.axis), not self.way.left)

    def planted(self, operand):
        """The coefficients to encrypt."""
        found = np.zeros(self.packing.slots, np.uint64)
        for (at, sign), v in zip(self.packing.encrypted, operand.tolist(), strict=True):
            found[at] = sign * v % P
        found[self.place] = DELTA
        return found

    def moved(self, plain):
        """What that adds to the answers of whoever holds `plain`."""
        return field.scale(self.packing.shifted(self._operand(plain, 0), self.place), DELTA)

    def plant(self, link, guess):
        """From now on, in every form: `guess` is what the other party's share of the operand in the clear is thought to be."""
        self.active, correction, forms = True, self.moved(guess), []
        multiply, renew = link.multiply, link.renew

        def multiplied(units):
            forms[:] = [u for u in units if len(u.answers) == 1] if self.active else []
            multiply(units)
            for u in forms:
                u.answers[0].out[:] = field.sub(u.answers[0].out, correction)

        def renewed():
            renew()
            link.operands = Planted(link.operands, self, forms)

        link.multiply, link.renew = multiplied, renewed


class Planted:
    """Keys of a batch."""

    def __init__(self, keys, planter, forms):
        self._keys, self._planter, self._forms = keys, planter, forms

    def __getattr__(self, name):
        return getattr(self._keys, name)

    def encrypt(self, layouts, operands):
        ours = [any(layout is u.layout for u in self._forms) for layout in layouts]
        return self._keys.encrypt(
            [self._planter.packing.whole if o else layout for o, layout in zip(ours, layouts, strict=True)],
            [self._planter.planted(v) if o else v for o, v in zip(ours, operands, strict=True)],
        )
