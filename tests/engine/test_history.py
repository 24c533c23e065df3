"""What is told to a party that comes back: packed and read again, and no more of it than there is room for."""

import msgpack
import numpy as np
import pytest

from tacit.engine import history
from tacit.engine.history import Admission, Entry, History
from tacit.errors import Mismatch


@pytest.mark.parametrize(
    "entry",
    [
        Entry("start", None, (0, 1, 2)),
        Entry("shape", (3, 4), (0, 1, 2)),
        Entry("lost", 2, (0, 1), (2,)),
        Entry("reveal", [np.arange(6, dtype=np.uint64).reshape(2, 3), np.array(7, np.uint64)], (0, 1, 2)),
    ],
)
def test_entries(entry):
    found = Entry.unpack(entry.pack())
    assert (found.what, found.members, found.lost) == (entry.what, entry.members, entry.lost)
    if entry.what == "reveal":
        for mine, theirs in zip(entry.result, found.result, strict=True):
            np.testing.assert_array_equal(mine, theirs)
            assert mine.shape == theirs.shape
    else:
        assert found.result == entry.result


def test_admissions():
    admission = Admission(12, 30, 7, 2, (0, 1, 3), (3,), ((3, 5),))
    assert Admission.unpack(admission.pack()) == admission


@pytest.mark.parametrize("data", [b"", b"\xc1", msgpack.packb(["else", None, [], []]), msgpack.packb([1, 2])])
def test_what_is_no_entry(data):
    with pytest.raises(Mismatch):
        Entry.unpack(data)
    with pytest.raises(Mismatch):
        Admission.unpack(data)


def test_what_does_not_fit_is_dropped(monkeypatch):
    monkeypatch.setattr(history, "LARGEST", 100)
    kept = History()
    kept.append(Entry("force", None, (0, 1)))
    assert not kept.full and len(kept.since(0)) == 1
    kept.append(Entry("reveal", [np.zeros(20, np.uint64)], (0, 1)))
    assert kept.full and not len(kept)
