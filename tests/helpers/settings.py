"""Which settings of a test `make test` runs, and which only `make check-full`.

A test with many settings runs in a few of them: FEW (one, if it is `alone`), or as many as `@pytest.mark.quick(n)` says
(`quick()`: all). They are chosen so that as many values of its parameters occur as can be. The others are `slow`. Settings that
`full` marks are never chosen.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest

COLLECTED: pytest.StashKey[list[pytest.Item]] = pytest.StashKey()
"""All tests that were collected, before any were deselected by their marks."""
FEW = 2
PREFERRED = "spdz"
"""Of settings that are as good, one with this word is chosen: the default protocol."""


def full(settings: Iterable[Any], *default: Any) -> list[Any]:
    """`settings` for `parametrize`; all but the `default` ones (if none are named, all but the first) are `slow`.

    Each of `default` is one of the settings, or the id of a `pytest.param`.
    """
    listed = [s if _is_param(s) else pytest.param(*(s if isinstance(s, tuple) else (s,))) for s in settings]
    chosen = [_is_default(s, default) if default else i == 0 for i, s in enumerate(listed)]
    missing = [d for d in default if not any(_is_default(s, (d,)) for s in listed)]
    assert any(chosen) and not missing, f"no setting {missing}"
    return [
        s if keep else pytest.param(*s.values, id=s.id, marks=[*s.marks, pytest.mark.slow])
        for s, keep in zip(listed, chosen, strict=True)
    ]


def _is_param(setting: Any) -> bool:
    return hasattr(setting, "marks") and hasattr(setting, "values") and not isinstance(setting, dict)


def _is_default(setting: Any, default: Iterable[Any]) -> bool:
    value = setting.values[0] if len(setting.values) == 1 else setting.values
    return any(d is value or setting.id == d or (type(d) is type(value) and d == value) for d in default)


def thin(items: Iterable[pytest.Item]) -> None:
    """Mark as `slow` the settings of each test that are not chosen."""
    tests: dict[str, list[Any]] = {}
    for item in items:
        if hasattr(item, "callspec") and not item.get_closest_marker("slow"):
            tests.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for settings in tests.values():
        quick = settings[0].get_closest_marker("quick")
        few = 1 if settings[0].get_closest_marker("alone") else FEW
        most = few if quick is None else next(iter(quick.args), len(settings))
        for item in _left_out(settings, most):
            item.add_marker(pytest.mark.slow)


def _left_out(settings: Sequence[Any], most: int) -> list[Any]:
    """All but `most` of the settings, these chosen one by one: the next has most values that do not occur yet."""
    rest, seen = list(settings), set()
    for _ in range(min(most, len(rest))):
        best = max(rest, key=lambda item: (len(_values(item) - seen), PREFERRED in item.nodeid))
        rest.remove(best)
        seen |= _values(best)
    return rest


def _values(item: Any) -> set[tuple[str, int]]:
    """The parameters and values of a setting; values by identity, since arrays do not compare."""
    return {(name, id(value)) for name, value in item.callspec.params.items()}
