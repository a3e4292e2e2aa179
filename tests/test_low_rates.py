"""Learning rates below what "auto" would be: more epochs, and a warning where they are too few."""

import math
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from judges import chance_of
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.exceptions import ConvergenceWarning

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.estimator.plan import planned_epochs, slowness

IRIS, KINDS = load_iris(return_X_y=True)
CANCER, BENIGN = load_breast_cancer(return_X_y=True)

# ---------------------------------------------------------------- more epochs


@pytest.mark.parametrize(
    ("part", "times"),
    [(2, 1), (1, 1), (1 / 8, 4), (1 / 27**0.5, 3), (1 / 8**1.5, 8), (1e-3, 8), (1e-12, 8)],
)
def test_how_many_times_more_epochs_a_rate_gets(part, times):
    assert slowness(0.02 * part, 0.02) == pytest.approx(times, rel=1e-9)


@given(rate=st.floats(1e-9, 1e3), auto=st.floats(1e-3, 1))
def test_lower_rates_get_more_epochs_within_bounds(rate, auto):
    times = slowness(rate, auto)
    assert 1 <= times <= 8
    assert slowness(rate / 2, auto) >= times
    assert times == 1 if rate >= auto else times > 1
    assert times == 8 or times == 1 or times**1.5 * rate == pytest.approx(auto)


@pytest.mark.parametrize(
    ("settings", "auto_rate"),
    [
        ({"hidden_layer_sizes": (50,)}, 0.01),
        ({"hidden_layer_sizes": (8,)}, 0.05),
        ({"hidden_layer_sizes": (50,), "solver": "sgd"}, 0.1),
        ({"hidden_layer_sizes": ()}, 0.01),
    ],
    ids=str,
)
@pytest.mark.parametrize("part", [3, 1, 1 / 2, 1 / 8, 1 / 100])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_epochs_of_a_fit(settings, auto_rate, part):
    auto, given = (
        ScratchMLPClassifier(learning_rate_init=rate, batch_size=150, random_state=0, **settings)
        for rate in ("auto", auto_rate * part)
    )
    assert auto.fit(IRIS, KINDS).learning_rate_init_ == pytest.approx(auto_rate, rel=1e-12)
    times = min(8, max(1, part ** (-2 / 3)))
    assert given.fit(IRIS, KINDS).n_iter_ == math.ceil(auto.n_iter_ * times - 1e-9)
    # Where they are given, they are as many.
    assert given.set_params(max_iter=7).fit(IRIS, KINDS).n_iter_ == 7


def test_lbfgs_has_no_rate():
    settings = {"solver": "lbfgs", "hidden_layer_sizes": (), "alpha": 1.0, "random_state": 0}
    one, other = (
        ScratchMLPClassifier(learning_rate_init=rate, **settings).fit(IRIS, KINDS)
        for rate in ("auto", 1e-9)
    )
    assert one.loss_curve_ == other.loss_curve_


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_networks_of_low_rates_are_trained_as_well(solver):
    test = np.arange(569) % 3 == 0
    errors = []
    for part in (1, 0.1):
        rate = (0.01 if solver == "adam" else 0.1) * part
        clf = ScratchMLPClassifier((60,), solver=solver, learning_rate_init=rate, random_state=0)
        clf.fit(CANCER[~test], BENIGN[~test])
        p = clf.predict_proba(CANCER[test])[:, 1]
        errors.append(((p - BENIGN[test]) ** 2).mean())
    assert errors[1] < errors[0] + 0.01
    assert max(errors) < 0.05


# ---------------------------------------------------------------- a warning


@contextmanager
def caught():
    """All that a fit warns of."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        yield found


def on_the_way(found):
    return ["still falling" in str(warning.message) for warning in found] == [True]


@pytest.mark.parametrize("max_iter", [5, 20, 60, 150, "auto"])
@pytest.mark.parametrize("part", [2, 0.5, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 1e-3, 1e-6])
@pytest.mark.parametrize("noise", ["little", "all"])
def test_it_comes_where_the_way_is_short_and_the_loss_still_falls(noise, part, max_iter):
    y = KINDS if noise == "little" else np.random.RandomState(0).permutation(KINDS)
    updates = 250 if max_iter == "auto" else max_iter
    auto_rate = 0.01 * min(2, max(1, (250 / updates) ** (1 / 3)))
    rate = (0.01 if max_iter == "auto" else auto_rate) * part
    model = ScratchMLPClassifier(
        (50,), learning_rate_init=rate, max_iter=max_iter, batch_size=150, random_state=0
    )
    with caught() as found:
        model.fit(IRIS, y)
    n = model.n_iter_
    # In full batches, 250 epochs are planned.
    short = rate * n < 0.25 * auto_rate * min(n, 250)
    half = model.loss_curve_[math.ceil(0.265 * n) - 1]
    chance = chance_of("guarded_squared_error", y)
    falls = half - model.loss_ > 0.05 * chance
    worse = model.loss_ > chance + 1e-4
    assert on_the_way(found) == (short and falls and not worse)
    assert planned_epochs(150, 150, (50,)) == 250


def test_where_it_does_and_does_not_come_there_are_both():
    seen = set()
    for part in (0.5, 0.02):
        with caught() as found:
            ScratchMLPClassifier((50,), learning_rate_init=0.01 * part, random_state=0).fit(
                IRIS, KINDS
            )
        seen.add(on_the_way(found))
    assert seen == {False, True}


def test_it_says_what_the_rate_is_and_what_to_do():
    clf = ScratchMLPClassifier((32,), learning_rate_init=1e-4, random_state=0)
    with pytest.warns(ConvergenceWarning, match="while its loss was still falling") as found:
        clf.fit(CANCER, BENIGN)
    (warning,) = found
    text = str(warning.message)
    assert "learning_rate_init=0.0001 is far below the 0.0125 that 'auto' would take" in text
    assert f"Set learning_rate_init='auto', or raise it or max_iter={clf.n_iter_}" in text
    assert f"{clf.loss_:.3g} at the end" in text


@pytest.mark.parametrize(
    "settings",
    [
        {"early_stopping": True},
        {"solver": "lbfgs"},
        {"learning_rate_init": "auto"},
        {"max_iter": 1, "learning_rate_init": "auto"},
    ],
    ids=str,
)
def test_where_nothing_was_planned_or_the_rate_is_not_low_it_does_not_come(settings):
    start = {"learning_rate_init": 2e-4, "hidden_layer_sizes": (32,), "random_state": 0}
    with caught() as found:
        ScratchMLPClassifier(**start | settings).fit(CANCER, BENIGN)
    assert not any("still falling" in str(warning.message) for warning in found)


def test_fits_that_go_on_are_not_warned_of():
    clf = ScratchMLPClassifier((32,), learning_rate_init=1e-4, max_iter=60, random_state=0)
    with caught() as found:
        clf.partial_fit(CANCER, BENIGN, classes=[0, 1])
        clf.set_params(warm_start=True).fit(CANCER, BENIGN)
    assert not any("still falling" in str(warning.message) for warning in found)
    with caught() as found:
        clf.set_params(warm_start=False).fit(CANCER, BENIGN)
    assert on_the_way(found)
