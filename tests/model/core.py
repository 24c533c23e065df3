"""In place of the Rust core: arithmetic modulo a small prime, in NumPy, and generators that go through all that they may draw.

Functions have the core's names and meaning. What is not here the model does not have: an AttributeError says so. Encryption is
ideal: whoever opens an answer learns what the answer is an encryption of, and nobody else learns anything.
"""

import itertools
from functools import cached_property
from types import ModuleType

import numpy as np

from tacit import _core as real

WITHOUT_A_FIELD = ("pack_bits", "unpack_bits", "gf64_dot", "divide")
"""Functions that do not depend on the prime."""


class Core(ModuleType):
    def __init__(self, p, tape):
        super().__init__("tacit._core")
        self.P, self.tape = p, tape
        self.Prg = type("Prg", (Prg,), {"tape": tape, "p": p})
        self.Joint = type("Joint", (Joint,), {"core": self})
        self.LatticeParty = type("LatticeParty", (LatticeParty,), {"tape": tape, "p": p})
        self.LatticeLayout, self.Ciphertexts, self.Multiplier = int, np.ndarray, np.ndarray
        self.PeerError = real.PeerError
        for name in WITHOUT_A_FIELD:
            setattr(self, name, getattr(real, name))

    def add(self, a, b):
        return (a + b) % self.P

    def sub(self, a, b):
        return (a + (self.P - b)) % self.P

    def mul(self, a, b):
        return a * b % self.P

    def neg(self, a):
        return (self.P - a) % self.P

    def scale(self, a, k):
        return a * np.uint64(k) % self.P

    def add_scalar(self, a, k):
        return (a + np.uint64(k)) % self.P

    def accumulate(self, a, b):
        a += b
        a %= self.P

    def weighted(self, weights, arrays):
        return sum(self.scale(a, w) for w, a in zip(weights, arrays, strict=True)) % self.P

    def mix(self, n, rows, arrays, prgs):
        columns = [*arrays, *(prg.field(n) for prg in prgs)]
        return [self.weighted(row, columns) if columns else np.zeros(n, np.uint64) for row in rows]

    def multiply_open(self, d, y, x, e, k, c=None):
        made = self.mul(d, self.sub(y, self.scale(e, k))) + self.mul(x, e)
        return (made if c is None else made + c) % self.P

    def matmul(self, a, b, transpose_a=False, transpose_b=False, add=None):
        made = (a.T if transpose_a else a) @ (b.T if transpose_b else b)
        return (made if add is None else made + add) % self.P

    def dot(self, a, b):
        return int((a * b % self.P).sum() % self.P)

    def sum(self, a, outer, length, inner):
        return a.reshape(outer, length, inner).sum(1).reshape(-1) % self.P

    @cached_property
    def _inverses(self):
        return np.array([pow(a, -1, self.P) if a else 0 for a in range(self.P)], np.uint64)

    def inverse(self, a):
        return self._inverses[a.astype(np.int64)]

    def is_canonical(self, a):
        return a.size == 0 or int(a.max()) < self.P


class Prg:
    """As the core's: the same key, stream and place give the same numbers (`tape.Tape.draw`)."""

    def __init__(self, key, stream=0):
        self.key, self.stream, self.at = bytes(key), stream, 0
        self.tape.made(self)

    def below(self, n, bound):
        at, self.at = self.at, self.at + n
        return self.tape.draw((self.key, self.stream, at), n, bound)

    def field(self, n):
        return self.below(n, self.p)

    def bits(self, n):
        return self.below(n, 2)

    def bytes(self, n):
        at, self.at = self.at, self.at + n
        return self.tape.octets((self.key, self.stream, at), n)

    def _weights(self, n):
        """These are public: a coin's."""
        at, self.at = self.at, self.at + n
        return self.tape.public((self.key, self.stream, at), n, self.p)

    def combine(self, arrays):
        chi = self._weights(arrays[0].size)
        return [int((chi * a % self.p).sum() % self.p) for a in arrays]

    def weigh(self, a, b):
        chi = self._weights(a.size)
        return chi * a % self.p, int((chi * b % self.p).sum() % self.p)


class Joint:
    def __init__(self, keys, weights):
        self.prgs, self.weights = [self.core.Prg(key) for key in keys], weights

    def below(self, n, bound):
        return self.core.weighted(self.weights, [prg.below(n, bound) for prg in self.prgs])


class LatticeParty:
    """Ideal encryption: "ciphertexts" have the numbers in them, and the count does not look into them.

    An answer E F + r is opened by who encrypted E. In a VOLE the verifier's output K = alpha x + r is uniform whatever x is: K is
    drawn first, the same in all cases, and the honest party's r follows; what it draws for r by itself does not count.
    """

    slots = 4

    def __init__(self, session, me, parties, seed):
        self.me = me

    def hello(self):
        return b"public key"

    def meet(self, peer, hello):
        pass

    @staticmethod
    def elementwise(count):
        return count

    def encrypted_bytes(self, layouts):
        return 8 * sum(layouts)

    def response_bytes(self, layout):
        return 8 * layout

    scaled_bytes = response_bytes

    def encrypt(self, layouts, values):
        return b"".join(v.tobytes() for v in values)

    def accept(self, peer, layouts, data):
        ends = list(itertools.accumulate(layouts))
        return np.split(np.frombuffer(data.tobytes(), np.uint64), ends[:-1])

    def respond(self, peer, layout, encrypted, operand, masks):
        return ((encrypted[: masks.size] * operand + masks) % self.p).tobytes()

    def multiplier(self, alpha):
        return alpha[:1]

    def scale(self, peer, alpha, values, masks, narrow=False):
        if self.me in self.tape.honest:
            drawn = self.tape.public((b"VOLE", self.me, peer), values.size, self.p)
            masks[:] = (drawn + (self.p - alpha * values % self.p)) % self.p
        return ((alpha * values + masks) % self.p).tobytes()

    def open(self, layout, count, data):
        return self.open_scaled(count, data)

    def open_scaled(self, count, data):
        return np.frombuffer(data.tobytes(), np.uint64)
