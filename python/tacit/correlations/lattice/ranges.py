"""Numbers in a range, proved to whoever holds their MACs (QuickSilver, Yang et al. 2021, section 5: polynomials of any degree).

The prover knows x and M, the verifier Delta and K = M + Delta x. x is in [0, B) iff prod_v (x - v) = 0, v = 0 ... B - 1, and
    prod_v (K - Delta v) = prod_v (M + Delta (x - v)) = sum_(h < B) A_h Delta^h + Delta^B prod_v (x - v).
The prover sends U_h = sum chi_j A_hj + (the coefficients of mask), chi from a coin tossed after K is fixed; the verifier checks
    sum_h U_h Delta^h = sum chi_j prod_v (K_j - Delta v) + mask,    mask = sum_g Delta^(g-1) K'_g for B - 1 random x'_g.
Who lies about some x passes with probability (B + 1) / p: Delta would be a root of a polynomial that was fixed without it.
The U_h are uniform but for what the verifier knows anyway.
"""

import numpy as np

from tacit import _core, field
from tacit.field import Field, P


def masks(base: int) -> int:
    """Random authenticated numbers that one proof takes."""
    return base - 1


def prove(prg: _core.Prg, x: Field, m: Field, base: int, mask_x: Field, mask_m: Field) -> list[int]:
    """U_0 ... U_(B-1)."""
    poly: list[Field] = [m, x]
    for v in range(1, base):
        t = _core.add_scalar(x, P - v)
        # The top coefficient is zero for an honest x: it is not computed.
        top = [] if v == base - 1 else [field.mul(poly[-1], t)]
        middle = [field.add(field.mul(a, m), field.mul(b, t)) for a, b in zip(poly[1:], poly[:-1], strict=True)]
        poly = [field.mul(poly[0], m), *middle, *top]
    sums = prg.combine(poly[:base])
    xs, ms = mask_x.tolist(), mask_m.tolist()
    return [(u + a + b) % P for u, a, b in zip(sums, [0, *xs], [*ms, 0], strict=True)]


def accepts(prg: _core.Prg, u: list[int], k: Field, delta: int, base: int, mask_k: Field) -> bool:
    """Whether the equation holds."""
    product = k
    for v in range(1, base):
        product = field.mul(product, _core.add_scalar(k, -delta * v % P))
    (combined,) = prg.combine([product])
    left = sum(u_h * pow(delta, h, P) for h, u_h in enumerate(u)) % P
    right = (combined + sum(int(k_g) * pow(delta, g, P) for g, k_g in enumerate(mask_k))) % P
    return left == right


def digits(x: Field, widths: list[tuple[int, int]]) -> list[Field]:
    """x cut into digits: (place, width) of each in bits."""
    return [(x >> np.uint64(place)) & np.uint64((1 << width) - 1) for place, width in widths]


def cut(length: int, boundary: int, width: int = 3) -> list[tuple[int, int]]:
    """(place, width) of digits that make up `length` bits, none of them across `boundary`."""
    parts = []
    for start, end in ((0, min(boundary, length)), (min(boundary, length), length)):
        parts += [(place, min(width, end - place)) for place in range(start, end, width)]
    return parts
