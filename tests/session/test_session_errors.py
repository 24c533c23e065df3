"""Bad input, wrong calls, different programs: the right error, at every party, soon."""

import threading
from pathlib import Path

import numpy as np
import pytest

import tacit
from tacit.sessions.session import Session


def failures(function, count=2, **options):
    """What each party ended with, and what `run` raised."""
    ended = {}

    def noted(s: Session):
        try:
            function(s)
        except BaseException as error:
            ended[s.me] = error
            raise

    with pytest.raises(BaseException) as raised:
        tacit.run(noted, count, backend="numpy", timeout=600, **options)  # nobody waits for it: tests end before
    assert not [t for t in threading.enumerate() if t.name.startswith("tacit-party")]
    return raised.value, ended


BAD = {
    "missing": (None, "there is none"),
    "ragged": ([[1.0], [1.0, 2.0]], "different lengths"),
    "text": (["a", "b"], "text"),
    "objects": (np.array([1.0, None], object), "objects"),
    "complex": ([1j], "complex"),
    "nan": ([1.0, float("nan")], "not finite"),
    "infinite": (float("inf"), "not finite"),
}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("shape", [None, (2,)])
def test_bad_data_stops_every_party_and_says_whose(kind, shape):
    data, message = BAD[kind]
    error, ended = failures(lambda s: s.reveal(s.secret(data, owner=1, shape=shape)), 3)
    assert type(error) is tacit.BadInput
    assert message in str(error) and "party 1" in str(error)
    for other in (0, 2):
        assert type(ended[other]) is tacit.PeerStopped
        assert ended[other].party in (0, 1, 2) and message in str(ended[other])


SECRET = "patient 4711"


class Lazy:
    """An array that is loaded when it is asked for."""

    def __array__(self, *args, **kwargs):
        raise tacit.BadInput(SECRET)


class ConnectionFailed(OSError):
    """As those of libraries for HTTP: the address is in its text."""


def raising(error, cause=None):
    def load():
        error.add_note(SECRET)
        raise error from cause

    return load


LOADERS = {
    "no file": (lambda: Path(f"/nonexistent/{SECRET}").read_text(), "FileNotFoundError"),
    "numpy's": (lambda: np.loadtxt(f"/nonexistent/{SECRET}"), "FileNotFoundError"),
    "an address": (raising(ConnectionFailed(f"https://ehr/{SECRET}")), "ConnectionFailed"),
    "a system's error": (raising(OSError(5, SECRET, SECRET)), "OSError"),
    "a value": (raising(ValueError(SECRET)), "ValueError"),
    "a cell": (lambda: float(SECRET), "ValueError"),
    "rows": (raising(ValueError(f"inhomogeneous {SECRET}")), "ValueError"),
    "a cause": (raising(KeyError(1), KeyError(SECRET)), "KeyError"),
    "tacit's own": (raising(tacit.BadInput(SECRET)), "BadInput"),
    "tacit's own, of another kind": (raising(tacit.Mismatch(SECRET)), "Mismatch"),
    "a range": (raising(tacit.OutOfRange(SECRET)), "OutOfRange"),
    "the end": (raising(SystemExit(SECRET)), "ended"),
    "when it is read": (Lazy(), "BadInput"),
    "a structure": (lambda: np.zeros(2, [(SECRET, "f8")]), "real numbers"),
    "missing values": (lambda: [float("nan")] * 4711, "not finite"),
    "another shape": (lambda: np.zeros(4711), "shape"),
}


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("way", ["secret", "labels", "table"])
def test_others_learn_the_kind_of_a_loaders_error_and_nothing_of_its_text(kind, way):
    loader, told = LOADERS[kind]
    declared = (2,) if kind == "another shape" else None

    def script(s):
        if way == "secret":
            x = s.secret(loader, owner=1, shape=declared)
        elif way == "labels":
            x = s.labels(loader, num_classes=2, owner=1, shape=declared)
        else:
            x = s.table(rows={1: loader}, shapes=declared and {1: declared})
        s.reveal(x)

    error, ended = failures(script, 3)
    for other in (0, 2):
        assert type(ended[other]) is tacit.PeerStopped and told in str(ended[other])
        assert "4711" not in str(ended[other]) and "nonexistent" not in str(ended[other])
    if kind not in ("a cause", "rows"):
        assert "4711" in str(error)


def test_others_learn_nothing_of_files_and_addresses_of_this_host():
    def script(s):
        if s.me == 1:
            raise tacit.ConfigurationError(f"no key in /home/{SECRET}")
        s.reveal(s.secret(1.0, owner=0))

    _, ended = failures(script)
    assert "configuration" in str(ended[0]) and "4711" not in str(ended[0])


def test_others_do_not_learn_the_value_that_was_refused():
    error, ended = failures(lambda s: s.reveal(s.secret([5.0, 98765.0], owner=1)))
    assert type(error) is tacit.OutOfRange and "98765" in str(error)
    assert type(ended[0]) is tacit.PeerStopped
    assert "98765" not in str(ended[0]) and "format" in str(ended[0])


def test_a_script_error_reaches_the_others_without_its_text():
    def script(s: Session):
        x = s.secret(1.0, owner=0)
        if s.me == 1:
            raise KeyError("the patient's name")
        s.reveal(x)

    error, ended = failures(script)
    assert type(error) is KeyError
    assert "KeyError" in str(ended[0]) and "patient" not in str(ended[0])


def test_a_declared_shape_is_checked():
    error, _ = failures(lambda s: s.reveal(s.secret(np.ones(3), owner=1, shape=(4,))))
    assert type(error) is tacit.BadInput and "(3,)" in str(error) and "(4,)" in str(error)


@pytest.mark.parametrize("shape", [(-1,), (1 << 40,), (1.5,)])
def test_a_wrong_declared_shape_takes_no_memory(shape):
    error, _ = failures(lambda s: s.secret(None, owner=1, shape=shape))
    assert type(error) is tacit.BadInput


@pytest.mark.parametrize("call", ["owner", "to", "nobody"])
def test_parties_that_do_not_exist(call):
    def script(s: Session):
        if call == "owner":
            s.secret(1.0, owner=2)
        s.reveal(s.secret(1.0, owner=0), to={"to": 5, "nobody": []}[call])

    error, ended = failures(script)
    assert type(error) is ValueError and len(ended) == 2


def test_what_is_not_secret_is_not_revealed():
    error, _ = failures(lambda s: s.reveal(3.0))
    assert type(error) is tacit.BadInput


def test_different_programs_are_named():
    def other_input(s: Session):
        x = s.secret(1.0, owner=0, name="age") if s.me else s.secret(1.0, owner=0, name="height")
        s.reveal(x)

    def other_operation(s: Session):
        x = s.secret(1.0, owner=0)
        s.reveal(x * x if s.me else x + x)

    def other_step(s: Session):
        x = s.secret(1.0, owner=0)
        s.reveal(x if s.me else s.secret(1.0, owner=1))

    def other_value(s: Session):
        x, y = s.secret(1.0, owner=0), s.secret(2.0, owner=0)
        s.reveal([x, y])
        s.reveal(x if s.me else y)

    def other_scale(s: Session):
        s.reveal(s.secret(1.0, owner=0) * (1 + s.me))

    for script in (other_input, other_operation, other_step, other_value, other_scale):
        error, ended = failures(script)
        assert type(error) is tacit.Mismatch and "party 0" in str(error) and "party 1" in str(error)
        assert len(ended) == 2


def test_a_party_that_leaves_early_is_missed():
    def script(s: Session):
        x = s.secret(1.0, owner=0)
        if s.me == 1:
            return
        s.reveal(x)

    error, _ = failures(script)
    assert type(error) is tacit.PartyLost


def test_a_protocol_that_does_not_exist():
    with pytest.raises(tacit.ConfigurationError, match="clear, shamir, shamir-corrected, spdz"):
        tacit.run(lambda s: None, 2, protocol="magic")
    with pytest.raises(tacit.ConfigurationError, match="at least 2"):
        tacit.run(lambda s: None, 1)
    with pytest.raises(tacit.ConfigurationError, match="mesh, hub"):
        tacit.run(lambda s: None, 2, topology="ring")


def test_a_session_alone_says_how_to_start(monkeypatch):
    monkeypatch.delenv("TACIT_CONTEXT", raising=False)
    with pytest.raises(tacit.ConfigurationError, match=r"tacit run -n 2 script\.py"):
        tacit.session()


def test_a_magnitude_that_leaves_its_contract_is_named_in_debug_mode():
    def script(s: Session):
        x = s.secret(2000.0, owner=0)
        s.reveal(x * x)

    error, _ = failures(script, debug=True)
    assert type(error) is tacit.OutOfRange and "test_session_errors.py" in str(error)


@pytest.mark.parametrize(
    "enter",
    [
        lambda party: party.secret(np.zeros(2)),
        lambda party: party.labels([0, 1], num_classes=2),
        lambda party: party.public(1.0),
        lambda party: party.share(None),
    ],
    ids=["secret", "labels", "public", "share"],
)
def test_an_owner_is_never_guessed(enter):
    with pytest.raises(ValueError, match="owner=None: say whose it is by owner=; the parties are numbered 0 to 1"):
        tacit.run(enter, parties=2, timeout=10)
