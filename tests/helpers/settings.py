"""Which settings of a test `make test` runs, and which only `make check-full`."""

from collections.abc import Iterable
from typing import Any

import pytest

COLLECTED: pytest.StashKey[list[pytest.Item]] = pytest.StashKey()
"""All tests that were collected, before any were deselected by their marks."""


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
