"""Who goes on: the largest set of parties that all talk to each other, and what makes sure that no other set does too."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set

BUDGET = 1 << 16
"""Sets that are looked at. Enough for any network of some forty parties, and for larger ones that have few broken lines."""


def largest(reaches: Mapping[int, Set[int]], weights: Mapping[int, int]) -> frozenset[int]:
    """The clique of mutual reach with the largest weight; of several, that with the lowest numbers. The same for all who ask.

    Exact within `BUDGET`; beyond it, the best of the sets that come first in lexicographic order.
    """
    lines = {i: {j for j in reached if j != i and i in reaches.get(j, ())} for i, reached in reaches.items()}
    best: tuple[int, tuple[int, ...]] = 0, ()
    left = BUDGET

    def extend(chosen: tuple[int, ...], weight: int, candidates: list[int]) -> None:
        nonlocal best, left
        if weight > best[0]:
            best = weight, chosen
        rest = sum(weights[i] for i in candidates)
        for at, i in enumerate(candidates):
            if weight + rest <= best[0] or left <= 0:
                return
            left -= 1
            extend((*chosen, i), weight + weights[i], [j for j in candidates[at + 1 :] if j in lines[i]])
            rest -= weights[i]

    extend((), 0, sorted(lines))
    return frozenset(best[1])


def suffices(support: Collection[int], base: Collection[int], threshold: int) -> bool:
    """Return whether `support` is large enough: any two such sets of `base` have an honest party in common.

        |S| > (m + t) / 2,    or  |S| = (m + t) / 2 without the last party of the base
    Two of the first kind have more than t in common, so do one of each; and two of the second among m - 1 parties: t + 1.
    """
    found = len(set(support) & set(base))
    return 2 * found > len(base) + threshold or (
        2 * found == len(base) + threshold and max(base, default=None) not in support
    )


def suffices_for_all(support: Collection[int], bases: Iterable[Collection[int]], threshold: int) -> bool:
    return all(suffices(support, base, threshold) for base in bases)
