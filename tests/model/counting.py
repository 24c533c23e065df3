"""Counts of secrets, given a view: over all cases, each of which is as likely as any other."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Told:
    """Of one case, or of as many as there are lanes: columns of numbers."""

    secret: list
    view: list
    """All that colluders see and draw, but for what is the same in all cases."""
    shown: list = field(default_factory=list)
    """What is revealed by name: a part of the view that may depend on the secret."""


def at_once(tape, play):
    """All cases in one run over arrays. The first case by itself says how many there are."""
    tape.begin([0])
    play()
    tape.begin(np.arange(count := tape.count))
    told = play()
    assert tape.count == count, "not every number that is drawn has a lane for each case"
    return told


def one_by_one(tape, play):
    """All cases, one run each. What is hidden has to be drawn in the same order in all of them: by one thread."""
    tape.begin([0])
    found, count = [play()], tape.count
    for case in range(1, count):
        tape.begin([case])
        found.append(play())
        assert tape.count == count, "how much is drawn depends on what is drawn"
    return Told(*(np.array([_flat(part) for part in parts]).T for parts in zip(*map(_parts, found), strict=True)))


def _parts(told):
    return told.secret, told.view, told.shown


def _flat(columns):
    return [int(x) for c in columns for x in np.ravel(c)]


def indices(columns, cases):
    """A number for each different row of the columns."""
    found, most = np.zeros(cases, np.int64), 1
    for column in columns:
        column = np.asarray(column, np.int64)
        bound = int(column.max()) + 1
        if most * bound >= 1 << 62:
            _, found = np.unique(found, return_inverse=True)
            most = int(found.max()) + 1
        found, most = found * bound + column, most * bound
    return np.unique(found, return_inverse=True)[1]


def uniform(told):
    """Whether, given any view, all secrets for which the same was shown are equally frequent: counted, with no tolerance."""
    cases = len(np.asarray(told.secret[0]))
    secret, shown = indices(told.secret, cases), indices(told.shown, cases)
    view = indices([*told.view, *told.shown], cases)
    secrets = int(secret.max()) + 1
    assert secrets > 1, "there is no secret"
    possible = np.bincount(np.unique(shown * secrets + secret) // secrets)
    cells, counts = np.unique(view * secrets + secret, return_counts=True)
    by_view = cells // secrets
    alike = np.bincount(by_view)
    group = np.zeros(len(alike), np.int64)
    group[view] = shown
    return bool((alike == possible[group]).all() and (counts * alike[by_view] == np.bincount(view)[by_view]).all())
