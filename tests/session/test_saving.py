"""Secrets outlive their session: each party saves its share, and brings it to a later session of the same parties."""

import copy
import io
import os
import pickle
import signal
import stat
import sys
import zipfile

import numpy as np
import pytest
from shares import WORDS, altered_share, with_words, words

import tacit
from tacit import _core, field
from tacit.field import P
from tacit.protocols.shamir.polynomials import point, weights
from tacit.sessions import saved as files

X = np.linspace(-4000, 4000, 12).reshape(3, 4)
KEY = bytes(range(32))


def run(work, parties, protocol="spdz", **options):
    return tacit.run(work, parties, protocol=protocol, backend="numpy", timeout=10, **options)


def saved(parties=2, protocol="spdz", x=X, **options):
    """By party, its share of x."""
    files = run(lambda s: pickle.dumps(s.materialize(s.secret(x, owner=0))), parties, protocol, **options)
    return [pickle.loads(file) for file in files]


@pytest.mark.parametrize(("protocol", "parties"), [("spdz", 2), ("spdz", 3), ("clear", 2), ("shamir", 3)])
def test_a_later_session_of_the_same_parties_restores_them(protocol, parties, tmp_path):
    def save(s):
        x = s.secret(X, owner=0)
        content = {"x": x, "parts": [x * x * 2.0**-12, (7, "seven", None)]}
        s.save(content, tmp_path / str(s.me))
        return pickle.dumps(content)

    kept = run(save, parties, protocol)

    def work(s):
        shown = []
        for again in (s.restore(tmp_path / str(s.me)), s.restore(pickle.loads(kept[s.me]))):
            shown += s.reveal([again["x"], again["parts"][0] * 0.5 - again["x"] * 0.5])
            assert again["parts"][1] == (7, "seven", None)
        return shown

    for x, square, same, likewise in run(work, parties, protocol):
        np.testing.assert_allclose(x, X, atol=1e-4)
        np.testing.assert_allclose(square, (X * X / 4096 - X) / 2, atol=2e-3)
        np.testing.assert_array_equal(x, same)
        np.testing.assert_array_equal(square, likewise)


@pytest.mark.parametrize("protocol", ["spdz", "shamir"])
def test_what_a_party_keeps_is_uniform(protocol):
    parts = saved(3, protocol)
    for share in parts:
        assert len(np.unique(np.array(words(share, "values") + words(share, "tags")) >> 50)) > 12
    for name in ("blind", "key"):
        assert len({words(share, name)[0] for share in parts}) == 3


# Shares that are not what was saved. The cheater is the party that restores with index 1.

E = 1 << 20


@pytest.mark.parametrize("name", WORDS)
def test_a_party_that_brings_something_else_is_found_before_anything_is_revealed(name):
    parts = saved()

    def work(s):
        with pytest.raises(tacit.CheatingDetected, match="other shares"):
            s.restore(altered_share(parts[1], **{name: 2}) if s.me == 1 else parts[0])
        with pytest.raises(tacit.TacitError):
            s.reveal(s.secret(X, owner=0))
        return True

    # both parties fail in the same way; the session of neither goes on
    with pytest.raises(tacit.TacitError):
        run(work, 2)


GUESSES = {
    "key": lambda g, r: {"key": E, "tags": [E * g, E * r]},
    "negated key": lambda g, r: {"key": -E, "tags": [-E * g, -E * r]},
    "key, tag of the value alone": lambda g, r: {"key": E, "tags": [E * g]},
    "key and blind": lambda g, r: {"key": E, "blind": 1 - r, "tags": [E * g, E]},
    "key, value and its tag": lambda g, r: {"key": E, "values": 1, "tags": [E * (g + 1), E * r]},
    "key, value, blind and tags": lambda g, r: {"key": E, "values": 1, "blind": 1, "tags": [E * (g + 1), E * (r + 1)]},
}
"""Errors of the shares of (x, r), t, beta that a cheater adds who guesses that x is g and r is r."""

SAVERS = {
    "spdz": (2, "spdz", {}, [0, 1], "spdz"),
    "spdz of three": (3, "spdz", {}, [2, 0, 1], "spdz"),
    "shamir": (3, "shamir", {}, [0, 1, 2], "shamir"),
    "shamir, restored by two under spdz": (3, "shamir", {}, [2, 0], "spdz"),
    "shamir, three of five": (5, "shamir", {"threshold": 2}, [4, 1, 3], "shamir"),
}
"""Who saves, and who of them restores under which protocol."""


def outcome(parts, come, protocol, cheats):
    """What the others end with if the second of those that come brings `cheats` of its share."""

    def work(s):
        mine = parts[come[s.me]]
        s.restore(cheats(mine) if s.me == 1 else mine)

    try:
        run(work, len(come), protocol)
    except tacit.TacitError as error:
        return type(error), str(error).partition(" at ")[0]
    return None


def scaled(errors, factor):
    return {k: [e * factor for e in v] if isinstance(v, list) else v * factor for k, v in errors.items()}


@pytest.mark.parametrize("savers", SAVERS)
@pytest.mark.parametrize("guessed", GUESSES)
def test_a_right_and_a_wrong_guess_of_what_others_saved_fail_alike(savers, guessed):
    parties, protocol, options, come, later = SAVERS[savers]
    parts = saved(parties, protocol, np.array([37.0]), **options)
    added = parts[0]["needed"] == parties
    at = [point(i) for i in come[: parts[0]["needed"]]]
    factor = 1 if added else pow(weights(at, 0)[1], -1, P)
    whole = [
        sum(
            w * words(parts[i], "blind")[0]
            for w, i in zip([1] * parties if added else weights(at, 0), come, strict=False)
        )
        % P
    ]
    x = 37 << parts[0]["scale"]

    def tried(g, r):
        return outcome(parts, come, later, lambda share: altered_share(share, **scaled(GUESSES[guessed](g, r), factor)))

    right, wrong = tried(x, 12345), tried(x + 1, 12345)
    assert right == wrong and right[0] is tacit.CheatingDetected
    if guessed == "key":  # the blind is what makes them so: to who knows it, they are not alike
        assert tried(x, whole[0]) is None and tried(x + 1, whole[0]) == right


@pytest.mark.parametrize("guess", [0, 1])
def test_a_share_that_is_said_to_be_anothers_tests_no_guess(guess):
    """With other weights, (x, r) becomes A (x, r) + b, t and beta likewise: b = (1 - A) g leaves x what it is, if it is g."""
    parts = saved(3, "shamir", np.array([37.0]))
    x = (37 << parts[0]["scale"]) + guess
    true, false = weights([1, 2], 0), weights([1, 3], 0)
    a = false[0] * pow(true[0], -1, P)

    def cheats(share):
        share = {**share, "party": 2}
        for name in WORDS:
            ours = words(share, name)
            known = [-a * true[1] * w for w in ours]  # what A (the whole) owes to this share
            wanted = (1 - a) * x if name == "values" else 0
            share = with_words(share, name, [pow(false[1], -1, P) * (wanted - k) for k in known])
        return share

    assert outcome(parts, [0, 1], "spdz", cheats)[0] is tacit.CheatingDetected


def test_a_share_that_is_said_to_be_anothers_does_not_replace_what_was_saved():
    """As if it came from point 3 of 1 and 4: the shares of both honest parties cancel, for f(z) = 1 - z / 2."""
    parts = saved(4, "shamir", np.array([37.0]), threshold=1)
    f = weights([1, 3, 4], 0)
    assert (f[0] * (1 - pow(2, -1, P)) + f[2] * (1 - 4 * pow(2, -1, P))) % P == 0

    def cheats(share):
        """Each whole becomes a number of the cheater's: x = 5, r = 0, beta = 1, t = (5, 0)."""
        five, replaced = 5 << share["scale"], {**share, "party": 2}
        for name, wanted in {"values": [five], "blind": [0], "tags": [five, 0], "key": [1]}.items():
            # f(1) = x + (s - x) / 2 and f(4) = x + 2 (s - x): what remains of them without x
            rests = [(f[0] * pow(2, -1, P) + f[2] * 2) * s for s in words(share, name)]
            replaced = with_words(
                replaced, name, [pow(f[1], -1, P) * (w - k) for w, k in zip(wanted, rests, strict=True)]
            )
        return replaced

    for protocol in ("spdz", "shamir"):
        assert outcome(parts, [0, 1, 3], protocol, cheats)[0] is tacit.CheatingDetected


@pytest.mark.parametrize(("parties", "come", "protocol"), [(5, [0, 1, 3], "spdz"), (7, [0, 1, 3, 2, 5], "shamir")])
def test_cheaters_that_bring_one_share_and_know_more_do_not_replace_what_was_saved(parties, come, protocol):
    """Who holds points 2 and 3 knows f(0) but for one number: from 1, 4 and a false 5 of three shares f(0) cancels."""
    parts = saved(parties, "shamir", np.array([37.0]), threshold=2)
    false = weights([1, 4, 5], 0)
    factor = {h: pow((0 - 2) * (0 - 3), -1, P) * (h - 2) * (h - 3) for h in (1, 4)}  # of f(0) in f(h)
    assert (false[0] * factor[1] + false[1] * factor[4]) % P == 0

    def of_known(h, at, other):
        """Of f(at) in f(h), for the points 0, at and other."""
        return pow(at * (at - other), -1, P) * h * (h - other)

    def cheats(share):
        five, replaced = 5 << share["scale"], {**share, "party": 4}
        for name, wanted in {"values": [five], "blind": [0], "tags": [five, 0], "key": [1]}.items():
            ours, theirs = words(share, name), words(parts[2], name)
            rests = [
                sum(w * (of_known(h, 2, 3) * a + of_known(h, 3, 2) * b) for w, h in zip(false[:2], (1, 4), strict=True))
                for a, b in zip(ours, theirs, strict=True)
            ]
            replaced = with_words(
                replaced, name, [pow(false[2], -1, P) * (w - k) for w, k in zip(wanted, rests, strict=True)]
            )
        return replaced

    assert outcome(parts, come, protocol, cheats)[0] is tacit.CheatingDetected


def test_a_restoring_that_failed_does_not_show_the_key():
    """Else the party that made it fail could alter its share and the tags alike when the same files are brought again."""
    parts = saved()
    shown = []

    def fails(s):
        reveal = s.engine.reveal

        def watched(wires, *rest, **more):
            values = reveal(wires, *rest, **more)
            shown.extend(values if s.me == 1 else [])
            return values

        s.engine.reveal = watched
        s.restore(altered_share(parts[1], values=1) if s.me else parts[0])

    with pytest.raises(tacit.CheatingDetected, match="other shares"):
        run(fails, 2)
    *_, seed, z = shown
    chi = _core.Prg(np.packbits(seed.astype(np.uint8)).tobytes(), 0).field(X.size)
    key = -int(z.item()) * pow(int(chi[0]), -1, P) % P  # what z would be, opened as it is: - beta chi_0
    assert key != sum(words(p, "key")[0] for p in parts) % P
    again = outcome(parts, [0, 1], "spdz", lambda share: altered_share(share, values=1 << 16, tags=key << 16))
    assert again[0] is tacit.CheatingDetected


def test_nothing_is_saved_before_it_is_checked(tmp_path):
    """What was computed from an altered opening must not become a file: its tags can be made to fit."""
    kept = {}

    def save(s, x):
        s.save(x, tmp_path / str(s.me))

    def pickled(s, x):
        kept[s.me] = pickle.dumps(x)

    def work(s, way):
        x = s.secret(X, owner=0) * s.secret(X, owner=1)
        if s.me == 1:
            opened = s.engine.protocol.open
            s.engine.protocol.open = lambda share: opened((field.add(share[0], np.ones_like(share[0])), share[1]))
        way(s, x)

    for way in (pickled, save):
        with pytest.raises(tacit.CheatingDetected, match="MAC check"):
            run(lambda s, way=way: work(s, way), 2, format=tacit.Format(8, 12))
    assert not kept and not list(tmp_path.iterdir())


def test_empty_values_and_nothing_at_all():
    def work(s):
        files = pickle.dumps([s.secret(np.zeros((0, 3)), owner=0), s.secret(2.5, owner=1)])
        empty, number = s.restore(pickle.loads(files))
        return s.reveal(empty).shape, s.reveal(number), s.restore({"step": 3})

    for shape, number, rest in run(work, 2):
        assert (shape, number, rest) == ((0, 3), 2.5, {"step": 3})


def test_shares_of_different_saves_or_parties_do_not_fit():
    first, second = saved(), saved()

    def bring(zero, one):
        run(lambda s: s.restore(one if s.me else zero), 2)

    with pytest.raises(tacit.Mismatch):
        bring(first[0], second[1])
    with pytest.raises(tacit.Mismatch, match="format 1"):
        bring(first[0], {**first[1], "tacit share": 2})
    with pytest.raises(tacit.BadInput, match="format 3"):
        bring({**first[0], "tacit share": 3}, {**first[1], "tacit share": 3})
    with pytest.raises(tacit.Mismatch):
        bring(first[0], {**first[1], "scale": first[1]["scale"] + 1})
    with pytest.raises(tacit.BadInput, match="shares of parties 0, 0 of 2"):
        bring(first[0], first[0])
    with pytest.raises(tacit.BadInput, match="saved by party"):
        bring([first[0], first[1]], [first[1], first[0]])
    for damaged in (
        {**first[1], "values": first[1]["values"][:-8]},
        {**first[1], "values": first[1]["values"][:-3]},
        {**first[1], "key": bytes([255] * 8)},
        {**first[1], "shape": "ab"},
        {**first[1], "shape": [-3, -4]},
        {**first[1], "party": -1},
        {k: v for k, v in first[1].items() if k != "blind"},
    ):
        with pytest.raises(tacit.BadInput, match="damaged"):
            bring(first[0], damaged)


@pytest.mark.parametrize("protocol", ["spdz", "shamir"])
def test_all_shares_in_any_order_under_any_protocol(protocol):
    parts = saved(3)
    for x in run(lambda s: s.reveal(s.restore(parts[2 - s.me])), 3, protocol):
        np.testing.assert_allclose(x, X, atol=1e-4)


def test_fewer_parties_than_saved_it():
    parts = saved(3)
    with pytest.raises(tacit.BadInput, match="3 of the 3 parties that saved this"):
        run(lambda s: s.restore(parts[s.me]), 2)


# Files.


def test_what_is_written_is_private_plain_and_of_one_format(tmp_path):
    torch = pytest.importorskip("torch")
    mask = os.umask(0)
    try:
        run(lambda s: s.save([s.secret(X, owner=0), 3], tmp_path / str(s.me)), 2)
    finally:
        os.umask(mask)
    for i in range(2):
        assert stat.S_IMODE((tmp_path / str(i)).stat().st_mode) == 0o600
        share, three = torch.load(tmp_path / str(i), weights_only=True)
        assert share["party"] == i and three == 3


def zipped(name, content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


def test_scripts_without_torch_write_and_read_the_same_files(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    mixed = {"x": [1, 2.5, None, True, (b"\x00\xff", "text")], 3: {}}
    with_torch = files.packed(mixed)
    tensors = files.packed({"x": torch.zeros(2)})
    with monkeypatch.context() as without:
        without.delitem(sys.modules, "torch")
        alone = files.packed(mixed)
        assert files.unpacked(alone) == files.unpacked(with_torch) == mixed
        with pytest.raises(tacit.BadInput, match="import torch"):
            files.unpacked(tensors)
        with pytest.raises(tacit.BadInput, match="plain values"):
            files.unpacked(zipped("saved/data.pkl", b"cposix\nsystem\n(S'true'\ntR."))
        with pytest.raises(tacit.BadInput, match="damaged"):
            files.unpacked(zipped("saved/nothing", b""))
    assert files.unpacked(alone) == mixed


@pytest.mark.parametrize("wrong", [np.zeros(3), np.float32(1), {1, 2}, object()])
def test_what_is_not_plain_is_refused(wrong, tmp_path):
    def work(s):
        with pytest.raises(tacit.Unsupported, match=type(wrong).__name__):
            s.save({"x": wrong}, tmp_path / str(s.me))

    run(work, 1, "clear")


def test_a_file_under_a_key(tmp_path):
    (tmp_path / "key").write_bytes(KEY)

    def paths(s):
        return tmp_path / f"plain{s.me}", tmp_path / f"sealed{s.me}"

    def save(s):
        plain, sealed = paths(s)
        x = s.secret(X, owner=0)
        s.save(x, plain)
        s.save(x, sealed, key=KEY if s.me else tmp_path / "key")

    run(save, 2)
    data = (tmp_path / "sealed0").read_bytes()
    assert b"values" not in data and len(data) > 16 * X.size

    def load(s):
        return s.reveal(s.restore(paths(s)[1], key=tmp_path / "key" if s.me else KEY))

    for x in run(load, 2):
        np.testing.assert_allclose(x, X, atol=1e-4)

    def refused(s):
        plain, sealed = paths(s)
        with pytest.raises(tacit.BadInput, match="does not open"):
            s.restore(sealed, key=KEY[::-1])
        with pytest.raises(tacit.ConfigurationError, match="sealed"):
            s.restore(sealed)
        with pytest.raises(tacit.BadInput, match="not sealed"):
            s.restore(plain, key=KEY)
        with pytest.raises(tacit.ConfigurationError, match="short"):
            s.restore(sealed, key=b"secret")
        with pytest.raises(tacit.ConfigurationError, match="cannot read"):
            s.restore(tmp_path / "nothing")
        for cut in (data[:-1], data[:70], data[:100] + bytes([data[100] ^ 1]) + data[101:]):
            sealed.write_bytes(cut)
            with pytest.raises(tacit.BadInput, match="altered or cut off"):
                s.restore(sealed, key=KEY)
        plain.write_bytes(plain.read_bytes()[:-40])
        with pytest.raises(tacit.BadInput, match="damaged"):
            s.restore(plain)

    run(refused, 2)


def test_pieces_of_a_sealed_file_keep_their_order_and_their_end(monkeypatch):
    monkeypatch.setattr(files, "PIECE", 10)
    whole = bytes(range(35))
    data = files.sealed(whole, KEY)
    head = len(data) - 35 - 4 * files.TAG
    pieces = [data[head + 26 * k : head + 26 * (k + 1)] for k in range(4)]
    assert files.opened(data, KEY) == whole
    for wrong in (
        pieces[:3],
        pieces[:1],
        [],
        [*pieces[:2], pieces[3]],
        [pieces[1], pieces[0], *pieces[2:]],
        [*pieces, b"x"],
    ):
        with pytest.raises(tacit.BadInput, match="altered or cut off"):
            files.opened(data[:head] + b"".join(wrong), KEY)


@pytest.mark.parametrize("place", range(8))
def test_a_process_that_is_killed_leaves_the_old_file_or_the_new_one(tmp_path, place):
    """Before or after each call that is to last: write, fsync, rename, fsync of the folder."""
    path = tmp_path / "shares"
    path.write_bytes(b"old")
    child = os.fork()
    if not child:
        count = iter(range(100))

        def wrapped(call):
            def killed(*arguments, **options):
                if next(count) == place:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = call(*arguments, **options)
                if next(count) == place:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result

            return killed

        os.fsync, os.replace, files._write = wrapped(os.fsync), wrapped(os.replace), wrapped(files._write)
        files.Written(path, b"new and whole").place()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert path.read_bytes() == (b"new and whole" if place >= 5 else b"old")


def test_a_party_that_cannot_write_leaves_all_with_the_files_that_they_had(tmp_path):
    (tmp_path / "0").write_bytes(b"old")

    def work(s):
        s.save(s.secret(X, owner=0), tmp_path / ("missing/1" if s.me else "0"))

    with pytest.raises(tacit.ConfigurationError, match="missing/1") as raised:
        run(work, 2)
    assert "missing" not in raised.value.for_peers
    assert [p.name for p in tmp_path.iterdir()] == ["0"] and (tmp_path / "0").read_bytes() == b"old"


@pytest.mark.parametrize("way", ["torch.save", "session.save", "module"])
def test_a_state_dict(tmp_path, way):
    torch = pytest.importorskip("torch")

    def built():
        return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 1))

    plain, fresh = built(), built()

    def save(s):
        secret = s.share(copy.deepcopy(plain), owner=1)
        path = tmp_path / f"{s.me}.pt"
        if way == "torch.save":
            torch.save(secret.state_dict(), path)
        else:
            s.save(secret if way == "module" else secret.state_dict(), path)
        with pytest.raises(tacit.Unsupported, match="state_dict"):
            torch.save(secret, tmp_path / "whole.pt")

    def load(s):
        other = s.share(copy.deepcopy(fresh), owner=0)
        path = tmp_path / f"{s.me}.pt"
        other.load_state_dict(s.restore(path if s.me else torch.load(path, weights_only=True)))
        return {k: v.detach() for k, v in s.reveal(other).state_dict().items()}

    tacit.run(save, 2, backend="torch")
    for state in tacit.run(load, 2, backend="torch"):
        for name, value in plain.state_dict().items():
            torch.testing.assert_close(state[name], value, atol=1e-4, rtol=0)


def test_the_state_of_an_optimizer(tmp_path):
    torch = pytest.importorskip("torch")

    def work(s):
        w = torch.nn.Parameter(s.secret(np.ones(3), owner=0).clone())
        optimizer = torch.optim.Adam([w], lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()
        s.save(optimizer.state_dict(), tmp_path / str(s.me))
        state = optimizer.state_dict()["state"][0]
        again = s.restore(tmp_path / str(s.me))
        optimizer.load_state_dict(again)
        return s.reveal([state["exp_avg"], again["state"][0]["exp_avg"]]), again["param_groups"][0]["lr"]

    for (before, after), rate in tacit.run(work, 2, backend="torch"):
        torch.testing.assert_close(before, after)
        assert rate == 0.1


def test_secret_labels_are_refused(tmp_path):
    pytest.importorskip("torch")

    def work(s):
        labels = s.labels([0, 1, 2], num_classes=3, owner=0)
        for save in (pickle.dumps, lambda x: s.save([x], tmp_path / str(s.me))):
            with pytest.raises(tacit.Unsupported, match="labels"):
                save(labels)

    tacit.run(work, 2, backend="torch")
