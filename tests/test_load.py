"""A little of ``load.py``: many threads, many calls, and processes of every kind."""

import multiprocessing

import load
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # From Python 3.12 on, a fork beside other threads is warned of.
    pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning"),
]


def test_threads_that_predict_refit_and_fit():
    seen = load.service(2)
    assert seen["wrong"] == seen["threads that hang"] == 0, seen
    assert set(seen) - {"wrong", "threads that hang"} == {"predictions", "refits", "other fits"}


def test_a_mixture_of_two_networks_would_be_seen(monkeypatch):
    monkeypatch.setattr(load, "fitted", lambda model, y: None)
    assert load.service(0.5, 1, 0, 0)["wrong"] > 0


@pytest.mark.parametrize("calls", [lambda: load.fits(100), lambda: load.partial_fits(2000)])
def test_calls_do_not_take_more_and_more_memory(calls):
    assert calls().bytes < 4 << 20


LOKY = pytest.param("loky", marks=pytest.mark.xdist_group("processes"))


@pytest.mark.parametrize("method", [*multiprocessing.get_all_start_methods(), LOKY])
def test_processes_compute_the_same(method):
    assert load.in_processes(method)


def test_a_search_of_many_candidates():
    assert load.search(300)[0] == 300
