"""Settings of the process: what is set, what is the default, and what returns at the end of a with-statement."""

from __future__ import annotations

import dataclasses
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import intake_virtualzarr as ivz
from intake_virtualzarr.storage.config import PIPELINE_VARIABLE, THREADS_VARIABLE, Settings
from intake_virtualzarr.storage.thread_pool import decode_pool, thread_count


@pytest.fixture(autouse=True)
def defaults():
    with ivz.config.set(threads=None, fast_pipeline=None):
        yield


def test_the_environment_gives_the_defaults(monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "3")
    monkeypatch.setenv(PIPELINE_VARIABLE, "0")
    assert (ivz.config.threads, ivz.config.fast_pipeline) == (3, False)
    ivz.config.set(threads=5, fast_pipeline=True)
    assert (ivz.config.threads, ivz.config.fast_pipeline) == (5, True)
    ivz.config.set(threads=None)
    assert (ivz.config.threads, ivz.config.fast_pipeline) == (3, True)


def test_a_with_statement_returns_what_it_changed_and_nothing_else():
    with ivz.config.set(threads=7) as config:
        assert config.threads == 7
        ivz.config.set(fast_pipeline=False)
    assert ivz.config.settings == Settings(threads=None, fast_pipeline=False)


def test_an_error_inside_a_with_statement_returns_the_settings():
    with pytest.raises(KeyError), ivz.config.set(threads=7):
        raise KeyError
    assert ivz.config.settings.threads is None


def test_settings_are_frozen():
    before = ivz.config.settings
    with pytest.raises(dataclasses.FrozenInstanceError):
        before.threads = 4
    ivz.config.set(threads=4)
    assert before == Settings()


def test_a_count_below_one_is_refused_and_changes_nothing():
    with pytest.raises(ivz.VirtualZarrError, match="0 decoding threads; at least 1 is needed"):
        ivz.config.set(threads=0)
    assert ivz.config.settings == Settings()


def test_a_variable_that_is_not_a_number_is_refused(monkeypatch):
    monkeypatch.setenv(THREADS_VARIABLE, "many")
    with pytest.raises(ivz.VirtualZarrError, match="'many', expected a number of threads of at least 1"):
        _ = ivz.config.threads


def test_the_pool_has_the_threads_that_were_set():
    first = decode_pool()
    with ivz.config.set(threads=2):
        assert thread_count() == 2
        pool = decode_pool()
        assert pool is decode_pool()
        barrier = threading.Barrier(2)
        assert sorted(task.result() >= 0 for task in [pool.submit(barrier.wait) for _ in range(2)]) == [True, True]
    assert decode_pool() is not pool
    assert isinstance(first, ThreadPoolExecutor)


def test_changes_of_many_threads_are_not_lost():
    def change(n: int) -> None:
        for _ in range(200):
            ivz.config.set(**({"threads": 9} if n % 2 else {"fast_pipeline": False}))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, range(4)))
    assert ivz.config.settings == Settings(threads=9, fast_pipeline=False)


def test_the_repr_shows_what_is_in_force():
    with ivz.config.set(threads=2, fast_pipeline=False):
        assert repr(ivz.config) == "<intake_virtualzarr config: threads=2, fast_pipeline=False>"
