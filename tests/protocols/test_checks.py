"""All that is opened and checked under a MAC key is in one order, whichever threads do it."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tacit.errors import CheatingDetected, TacitError
from tacit.interaction.checks import Checks


class Watched(Checks):
    """Tells when somebody has come to wait."""

    def __init__(self, timeout=60.0):
        super().__init__(timeout)
        self.waiting = threading.Event()

    def _wait(self, what):
        if self._inside is not None:
            self.waiting.set()
        super()._wait(what)


@pytest.mark.parametrize("kind", ["opening", "check"])
@pytest.mark.parametrize("fails", [False, True])
def test_another_thread_waits_for_the_verdict(kind, fails):
    checks, done = Watched(), []

    def other():
        if kind == "opening":
            checks.opening()
        else:
            with checks.check():
                pass
        done.append(kind)

    with ThreadPoolExecutor(1) as pool:
        try:
            with checks.check():
                future = pool.submit(other)
                assert checks.waiting.wait(10)
                assert not done
                if fails:
                    raise CheatingDetected("a MAC check failed")
        except CheatingDetected:
            with pytest.raises(CheatingDetected, match="destroyed"):
                future.result(10)
        else:
            future.result(10)
    assert done == ([] if fails else [kind])


def test_nothing_is_opened_in_the_middle_of_a_check():
    checks = Checks(60.0)
    with pytest.raises(AssertionError, match="in the middle"), checks.check():
        checks.opening()


@pytest.mark.parametrize("error", [CheatingDetected, KeyboardInterrupt, GeneratorExit])
def test_a_check_that_broke_off_is_the_last_one(error):
    checks = Checks(60.0)
    with pytest.raises(error), checks.check():
        raise error()
    for again in (checks.opening, lambda: checks.check().__enter__()):
        with pytest.raises(CheatingDetected):
            again()


def test_whoever_waits_for_a_check_is_freed_when_the_session_ends():
    checks = Watched()
    entered = checks.check()
    entered.__enter__()
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(checks.opening)
        assert checks.waiting.wait(10)
        checks.end()
        with pytest.raises(CheatingDetected):
            future.result(10)


def test_a_check_that_does_not_end_ends_everything():
    checks = Watched(timeout=0.0)
    with pytest.raises(CheatingDetected, match="destroyed"), checks.check():
        with ThreadPoolExecutor(1) as pool, pytest.raises(TacitError, match="another thread of this party"):
            pool.submit(checks.opening).result(10)
        with checks.check():
            raise AssertionError("it began another check")
