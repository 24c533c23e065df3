"""Stored material: the conformance suite, what is refused, and that nothing is handed out twice."""

import os
import random
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from storing import KEY, fill, opened, write

from tacit.correlations.source import Source, Ticket
from tacit.errors import CheatingDetected, ConfigurationError, Mismatch, TacitError
from tacit.graph.forms import Elementwise
from tacit.preprocessing import ahead, vault
from tacit.preprocessing.vault import StoreError, Writer, read_key
from tacit.protocols.plan import Plan
from tacit.testing import source as suite


class Listener(Source):
    """Notes what it is asked for."""

    binary, summands, key = True, 1, 0

    def __init__(self, me):
        self.me, self.lists = me, []

    def request(self, requests):
        self.lists.append(requests)
        return Ticket(requests)

    def take(self, ticket):
        return []


@pytest.mark.quick(len(suite.CHECKS))
@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("check", suite.CHECKS, ids=lambda check: check.__name__)
def test_conformance(check, n, tmp_path):
    runs = iter(range(9))

    def run(n, work):
        folder = tmp_path / str(next(runs))
        folder.mkdir()
        listener = Listener(0)
        work(listener)
        fill(folder, write(folder / "lists", listener.lists), n)
        sources = [opened(folder, i, n) for i in range(n)]
        with ThreadPoolExecutor(n) as pool:
            results = list(pool.map(work, sources))
        for s in sources:
            s.close()
        return results

    check(run, n)


COUNT = 6


def lists():
    """`COUNT` lists, of which each has a product with a mask of the first."""
    found = []
    for i in range(COUNT):
        plan = Plan(sum(len(p) for p in found))
        if i == 0:
            a, _ = plan.mask((3, 4))
        b, _ = plan.input_mask((3, 4), 0)
        plan.product(Elementwise(), a, b)
        found.append(plan.requests)
    return found


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filled")
    fill(folder, write(folder / "lists", lists()))
    return folder


@pytest.fixture
def store(filled, tmp_path):
    shutil.copytree(filled, tmp_path, dirs_exist_ok=True)
    return tmp_path


def take(source, requests):
    return source.take(source.request(requests))


def test_it_serves_one_run(store):
    first = opened(store)
    for requests in lists():
        take(first, requests)
    assert (store / "0" / "used").read_bytes().strip(b"\0") == b""
    first.close()
    assert sorted(os.listdir(store / "0")) == ["used"]
    with pytest.raises(StoreError, match="used by a run before"):
        opened(store)


def test_two_runs_cannot_share_it(store):
    first = opened(store)
    with pytest.raises(StoreError, match="in use"):
        opened(store)
    first.close()
    opened(store).close()  # nothing was taken


def test_another_list_is_a_mismatch(store):
    first, second, *_ = lists()
    source = opened(store)
    with pytest.raises(Mismatch, match=r"list 1 of 6 .* script, its arguments"):
        take(source, second)
    source.burn()
    source = opened(store)  # it was left as it was
    take(source, first)
    with pytest.raises(Mismatch, match="list 2 of 6"):
        take(source, first)


def test_what_runs_out(store):
    source = opened(store)
    for requests in lists():
        take(source, requests)
    with pytest.raises(Mismatch, match="more than the 6 lists"):
        take(source, lists()[0])


def test_burning_destroys_what_was_begun(store):
    source = opened(store)
    ticket = source.request(lists()[0])
    source.opening()
    source.burn()
    assert source.key == source.binary_key == 0
    assert sorted(os.listdir(store / "0")) == ["used"]
    for late in (lambda: source.request(lists()[0]), lambda: source.take(ticket), source.opening):
        with pytest.raises(CheatingDetected, match="given up"):
            late()
    source.close()
    with pytest.raises(StoreError, match="used"):
        opened(store)


def test_a_store_that_cannot_be_marked_gives_nothing(store, monkeypatch):
    source = opened(store)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreError, match="nothing is taken"):
        take(source, lists()[0])


@pytest.mark.parametrize(
    "arguments", [{"key": bytes(32)}, {"me": 1}, {"n": 3}], ids=["another key", "another party", "other parties"]
)
def test_a_store_of_somebody_else(store, arguments):
    if "me" in arguments:
        shutil.rmtree(store / "1")
        (store / "0").rename(store / "1")
    with pytest.raises(StoreError, match=r"does not open with this key|is for party 0 of 2"):
        opened(store, **arguments)


def alter(path, change):
    data = path.read_bytes()
    path.write_bytes(change(data))


PIECE = 32 + 16
"""Of a ticket."""
BODY = 2 * 12 * 8 + 16
"""Of the first mask and of the product in the lists that follow."""


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d[:100] + bytes([d[100] ^ 1]) + d[101:],
        lambda d: d[:-1],
        lambda d: d[PIECE:],
        lambda d: d[: PIECE + BODY],
        lambda d: d[:PIECE] + d[-BODY:] + d[PIECE + BODY :],
        lambda d: d[:PIECE] + d[PIECE + BODY :],
    ],
    ids=["flipped", "cut", "beginning lost", "end lost", "repeated", "left out"],
)
def test_material_that_was_altered(store, change):
    alter(store / "0" / "material", change)
    source = opened(store)
    with pytest.raises(StoreError, match="altered or cut off"):
        for requests in lists():
            take(source, requests)


def test_material_of_another_store(store, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    fill(other, store / "lists")
    shutil.copy(other / "0" / "material", store / "0" / "material")
    with pytest.raises(StoreError, match="altered"):
        take(opened(store), lists()[0])


@pytest.mark.parametrize("place", [0, 20, 60, -1])
def test_a_head_that_was_altered(store, place):
    alter(store / "0" / "head", lambda d: bytes([*d[:place], d[place] ^ 1, *d[place:][1:]]))
    with pytest.raises(StoreError):
        opened(store)


def test_a_head_of_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(vault, "asdict", lambda head: {"me": 0})
    fill(tmp_path, write(tmp_path / "lists", lists()))
    with pytest.raises(StoreError, match="another version"):
        opened(tmp_path)


def test_preparing_keeps_what_is_unused_and_replaces_what_is_used(store):
    with pytest.raises(StoreError, match="not used yet"):
        Writer(store / "0", KEY)
    source = opened(store)
    source.opening()
    source.close()
    shutil.rmtree(store / "1")
    fill(store, store / "lists")
    take(opened(store), lists()[0])


def test_what_was_not_finished_is_no_store(tmp_path):
    with Writer(tmp_path / "0", KEY) as writer:
        writer.write(b"m", b"material")
        with pytest.raises(StoreError, match="in use"):
            opened(tmp_path)
    assert os.listdir(tmp_path / "0") == []
    with pytest.raises(StoreError, match="no finished store"):
        opened(tmp_path)
    with pytest.raises(StoreError, match="there is no store"):
        opened(tmp_path / "elsewhere")
    for name in ("material", "head.new"):  # as a killed preparation leaves them
        (tmp_path / "0" / name).write_bytes(b"half")
    fill(tmp_path, write(tmp_path / "lists", lists()))
    take(opened(tmp_path), lists()[0])


def test_a_disk_that_is_full(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot write the store"):
        Writer(tmp_path / "file" / "0", KEY)

    def full(*_):
        raise OSError(28, "No space left on device")

    with pytest.raises(StoreError, match="No space left"), Writer(tmp_path / "0", KEY) as writer:
        monkeypatch.setattr(os, "fsync", full)
        writer.sync()
    monkeypatch.undo()
    assert "head" not in os.listdir(tmp_path / "0")


def test_the_key_is_in_a_file_of_32_bytes(tmp_path):
    (tmp_path / "short").write_bytes(bytes(31))
    for name, message in [("short", "31 bytes"), ("absent", "absent")]:
        with pytest.raises(ConfigurationError, match=f"{message}.*head -c 32 /dev/urandom"):
            read_key(tmp_path / name)


def test_nothing_is_stored_in_the_clear(store):
    data = b"".join((store / "0" / name).read_bytes() for name in ("head", "material"))
    (mask, given, _) = take(opened(store), lists()[0])
    assert given.clear.tobytes() not in data and mask.shares[0][0].tobytes()[:16] not in data


def test_masks_are_kept_as_long_as_they_are_named(store):
    outlook = ahead.Outlook.of(store / "lists", 0)
    assert (outlook.lists, outlook.last) == (COUNT, {0: COUNT - 1})
    assert outlook.bytes == 8 * 12 * (COUNT * (3 + 2) + 2)
    assert outlook.bytes < (store / "0" / "material").stat().st_size
    known = ahead._Known(outlook.last)
    for index, requests in enumerate(ahead.read(store / "lists")):
        product = known.resolved(requests)[-1]
        assert product.x is known._masks[0][0]
        assert product.y is known._masks[product.y.request.number][0]
        known.forget(1)
        assert set(known._masks) == ({0} if index + 1 < COUNT else set())


# Processes that are killed.


def run_and_log(folder, log, wrap=lambda name, call: call, pause=0.0):
    """The process id of a child that takes all lists and notes each before it goes on; it ends with 2 if it was refused."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for name in ("fsync", "replace", "unlink"):
            setattr(os, name, wrap(name, getattr(os, name)))
        source = opened(folder)
        for number, requests in enumerate(lists()):
            take(source, requests)
            os.write(out, f"{number}\n".encode())
            time.sleep(pause)
        source.close()
        code = 0
    except TacitError:
        code = 2
    finally:
        os._exit(code)


def once(log):
    """What was handed out, which nothing was twice."""
    found = log.read_text().split() if log.exists() else []
    assert len(found) == len(set(found))
    return found


def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("place", range(10))
def test_killed_before_or_after_each_call_that_is_to_last(store, place):
    count = iter(range(100))

    def wrap(name, call):
        def killed(*arguments, **options):
            if next(count) == place:
                os.kill(os.getpid(), signal.SIGKILL)
            result = call(*arguments, **options)
            if next(count) == place:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return killed

    log = store / "log"
    assert ended(run_and_log(store, log, wrap)) == -signal.SIGKILL
    before = once(log)
    assert len(before) == (
        0 if place < 6 else COUNT
    )  # the claim comes before the first, what is removed after the last
    assert ended(run_and_log(store, log)) == 2
    assert once(log) == before


def test_killed_at_any_time(filled, tmp_path):
    draw, cut = random.Random(5), 0
    for turn in range(12):
        folder = tmp_path / str(turn)
        shutil.copytree(filled, folder)
        child = run_and_log(folder, folder / "log", pause=0.003)
        time.sleep(draw.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        cut += ended(child) != 0
        once(folder / "log")
        ended(run_and_log(folder, folder / "log"))
        once(folder / "log")
    assert cut > 4


def test_shares_add_up(store):
    (first, *_), other = (take(opened(store, i), lists()[0]) for i in range(2))
    assert first.shares[0][0].shape == other[0].shares[0][0].shape == (3, 4)
    assert not np.array_equal(first.shares[0][0], other[0].shares[0][0])
