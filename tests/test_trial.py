"""A trial before a fit: when there is one, what it decides, and that it leaves no other trace.

Judges: fits with the number of epochs given, losses of rows one by one, and SciPy's paired t test.
"""

import math
import warnings

import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import expit
from scipy.stats import ttest_rel
from sklearn.base import clone
from sklearn.datasets import load_digits, make_moons
from sklearn.model_selection import GridSearchCV

from sknn_scratch import ScratchMLPClassifier, ScratchMLPEnsembleClassifier, ScratchMLPRegressor
from sknn_scratch.estimator import trial
from sknn_scratch.network.losses import LOSSES, losses_of_rows, mean_loss


def noisy(n=600, seed=0):
    """Two columns that tell something about overlapping classes, and 38 that tell nothing."""
    rng = np.random.RandomState(seed)
    X = rng.standard_normal((n, 40))
    return X, (rng.random_sample(n) < expit(X[:, 0] + X[:, 1])).astype(int)


def clean(n=600, seed=0):
    """A chequerboard of 3 x 3 fields."""
    X = np.random.RandomState(seed).uniform(0, 3, (n, 2))
    return X, (X.astype(int).sum(axis=1) % 2)


X, Y = noisy()
BOARD, FIELDS = clean()


def net(**settings):
    return ScratchMLPClassifier(**{"hidden_layer_sizes": 50, "random_state": 0} | settings)


@pytest.fixture
def trials(monkeypatch):
    """The jobs of all trials."""
    made = []

    def noted(*args):
        job, progress = trial_of(*args)
        made.append(job)
        return job, progress

    trial_of = trial._trial
    monkeypatch.setattr(trial, "_trial", noted)
    return made


# ---------------------------------------------------------------- what it decides


def waves(n, seed):
    """Three classes of noisy waves, mixtures of two of three each, and 19 columns of noise.

    L. Breiman et al., "Classification and Regression Trees", 1984, section 2.6.2.
    """
    rng = np.random.RandomState(seed)
    forms = np.maximum(0, 6 - np.abs(np.arange(1, 22) - np.array([[11], [15], [7]])))
    y, share = rng.randint(3, size=n), rng.random_sample((n, 1))
    one, other = forms[np.array([0, 0, 1])[y]], forms[np.array([1, 2, 2])[y]]
    X = np.hstack([share * one + (1 - share) * other, np.zeros((n, 19))])
    return X + rng.standard_normal(X.shape), y


def test_a_noisy_table_gets_a_quarter_of_the_epochs_and_is_predicted_better():
    X, y = waves(1500, seed=0)
    A, a = waves(4000, seed=1)
    short, long = (net(hidden_layer_sizes=200, **more).fit(X, y) for more in ({}, {"max_iter": 51}))
    assert (short.n_iter_, long.n_iter_) == (13, 51)
    losses = [np.square(clf.predict_proba(A) - np.eye(3)[a]).sum(axis=1) for clf in (short, long)]
    assert ttest_rel(*losses).statistic < -5


@pytest.mark.parametrize(("n", "n_signs", "units"), [(400, 2, 20), (1000, 3, 200)])
def test_a_network_that_has_not_begun_to_learn_gets_all_epochs(n, n_signs, units):
    A, B = (np.random.RandomState(seed).standard_normal((n, 10)) for seed in (1, 2))
    a, b = ((one[:, :n_signs] > 0).sum(axis=1) % 2 for one in (A, B))
    clf = net(hidden_layer_sizes=units, random_state=1).fit(A, a)
    assert clf.n_iter_ >= 60
    assert clf.score(B, b) > 0.65


@pytest.mark.parametrize(
    ("table", "epochs"), [((X, Y), 15), ((BOARD, FIELDS), 60), ((csr_array(X), Y), 15)]
)
def test_but_for_the_epochs_the_fit_is_the_one_without_a_trial(table, epochs):
    # Rate and decay as given, since "auto" depends on how many updates are planned.
    settings = {"learning_rate_init": 0.01, "weight_decay": 0.1}
    tried = net(**settings).fit(*table)
    given = net(max_iter=epochs, **settings).fit(*table)
    assert tried.n_iter_ == epochs
    assert tried.loss_curve_ == given.loss_curve_
    for a, b in zip(tried.coefs_, given.coefs_, strict=True):
        assert_array_equal(a, b)


def test_the_random_source_of_the_user_goes_on_as_without_it():
    sources = [np.random.RandomState(0) for _ in range(2)]
    net(random_state=sources[0]).fit(BOARD, FIELDS)
    net(random_state=sources[1], max_iter=60).fit(BOARD, FIELDS)
    assert sources[0].randint(1 << 30) == sources[1].randint(1 << 30)


@pytest.mark.parametrize(("table", "epochs"), [((X, Y), 15), ((BOARD, FIELDS), 60)])
def test_one_trial_tells_for_all_networks_of_an_ensemble(table, epochs, trials):
    clf = ScratchMLPEnsembleClassifier(4, 50, random_state=0).fit(*table)
    assert len(trials) == 1
    assert [network.max_iter for network in clf.networks_] == ["auto", epochs, epochs, epochs]
    first, _, third, _ = (network.learning_rate_init_ for network in clf.networks_)
    assert first <= third <= 1.6 * first
    assert (first < third) == (epochs == 15)
    for network in clf.networks_:
        alone = clone(network).fit(*table)
        assert alone.n_iter_ == network.n_iter_ == epochs
        # In a stack a product may be rounded otherwise.
        assert_allclose(alone.loss_curve_, network.loss_curve_, rtol=1e-3)


def test_networks_of_a_search_are_tried_out_each():
    with parallel_config(backend="stacked", n_jobs=1):
        search = GridSearchCV(net(), {"alpha": [0, 1e-6]}, cv=2).fit(X, Y)
    assert search.best_estimator_.n_iter_ == 15


# ---------------------------------------------------------------- when there is one


MAYBE = {
    "as it comes": (net(), Y, True),
    "three labels": (net(), np.column_stack([Y, 1 - Y, X[:, 0] > 0]).astype(int), True),
    "a rare class": (net(), (np.arange(600) < 99).astype(int), False),
    "a class just frequent enough": (net(), (np.arange(600) < 100).astype(int), True),
    "epochs that were chosen": (net(max_iter=10), Y, False),
    "early stopping": (net(early_stopping=True), Y, False),
    "a constant rate": (net(learning_rate="constant"), Y, False),
    "gradient descent": (net(solver="sgd"), Y, False),
    "numbers": (ScratchMLPRegressor(10, random_state=0), X[:, 0] + Y, False),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", MAYBE)
def test_when_there_is_one(name, trials):
    model, y, expected = MAYBE[name]
    model.fit(X, y)
    assert len(trials) == expected


def test_a_fit_that_goes_on_from_another_has_none(trials):
    clf = net(warm_start=True).fit(X, Y)
    assert len(trials) == 1
    clf.fit(X, Y)
    assert clf.n_iter_ == 60
    clf.partial_fit(X, Y)
    assert len(trials) == 1


def test_it_learns_from_four_fifths_of_the_rows_that_count(trials):
    weight = np.ones(600)
    weight[:50] = 0
    net().fit(X, Y, sample_weight=weight)
    [job] = trials
    rows, held_out = job.rows, job.hold_out.rows
    assert_array_equal(np.sort(np.concatenate([rows, held_out])), np.arange(50, 600))
    assert 0.17 < len(held_out) / 550 < 0.23


def test_verbose_says_that_it_has_shortened_a_fit_and_how_to_have_it_whole(capsys, monkeypatch):
    net(verbose=True).fit(X, Y)
    first, *epochs = capsys.readouterr().out.splitlines()
    assert first == (
        "A trial on held-out rows: 15 epochs do, instead of the planned 60. Set max_iter=60 to "
        "have them all."
    )
    assert len(epochs) == 15
    whole = net(max_iter=60).fit(X, Y)
    monkeypatch.setattr(trial, "CLEARLY", -math.inf)
    assert net().fit(X, Y).loss_curve_ == whole.loss_curve_
    net(verbose=True).fit(BOARD, FIELDS)
    assert "trial" not in capsys.readouterr().out


@pytest.mark.parametrize("seed", range(4))
def test_rows_of_weight_zero_are_absent(seed):
    rng = np.random.RandomState(seed)
    X, y = noisy(800, seed)
    live = rng.permutation(800) < 500
    settings = {"random_state": seed, "dtype": "float64"}
    weighted = net(**settings).fit(X[:, :6], y, sample_weight=live.astype(float))
    without = net(**settings).fit(X[live, :6], y[live])
    assert weighted.n_iter_ == without.n_iter_
    assert_allclose(weighted.loss_curve_, without.loss_curve_, rtol=1e-9)


@pytest.mark.parametrize(
    ("chosen", "size"),
    [("auto", 60), (16, 16), (100, 100), (480, 480), (600, 480), ("at_most_200", 200)],
)
def test_its_batches_have_the_size_that_was_chosen(chosen, size, trials):
    net(batch_size=chosen).fit(X, Y)
    assert trials[0].batch_size == size


def test_a_full_batch_gets_all_of_the_epochs_that_it_needs():
    A, a = make_moons(1000, noise=0.25, random_state=1)
    B, b = make_moons(2000, noise=0.25, random_state=2)
    clf = net(batch_size=1000).fit(A, a)
    assert clf.n_iter_ == 250
    assert clf.score(B, b) > 0.92


LABELS = np.column_stack([Y, 1 - Y])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("y", "class_weight"),
    [(Y, {0: 1e-300, 1: 1}), (Y + Y[::-1], {0: 1, 1: 1e-300, 2: 1}), (LABELS, [{0: 0, 1: 1}] * 2)],
)
def test_a_class_of_next_to_no_weight(y, class_weight, trials):
    net(class_weight=class_weight).fit(X, y)
    [job] = trials
    assert np.isfinite(job.hold_out.constant).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_losses_whose_squares_overflow_are_no_matter():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        clf = net(hidden_layer_sizes=20, learning_rate_init=1e30).fit(X, Y)
    assert np.isfinite(clf.loss_)


def test_interrupted_in_a_trial_nothing_is_learnt(monkeypatch):
    def interrupt(self, theta):
        raise KeyboardInterrupt

    monkeypatch.setattr(trial.Progress, "__call__", interrupt)
    clf = net()
    with pytest.raises(KeyboardInterrupt):
        clf.fit(X, Y)
    assert not hasattr(clf, "coefs_")


# ---------------------------------------------------------------- its numbers


@pytest.mark.parametrize("key", LOSSES, ids="-".join)
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_rows_are_those_of_each_alone(key, weighted):
    rng = np.random.RandomState(0)
    z, y = rng.standard_normal((7, 3)), np.eye(3)[rng.randint(3, size=7)]
    weight = rng.uniform(0.5, 2, (7, 1)) if weighted else None
    guard = np.full(3, 0.2)
    found = losses_of_rows(LOSSES[key], z.copy(), y, weight, guard)
    each = [
        mean_loss(LOSSES[key], z[i : i + 1].copy(), y[i : i + 1], None, guard) for i in range(7)
    ]
    assert_allclose(found, each if weight is None else weight[:, 0] * each, rtol=1e-12)


def lead_of(losses):
    """By how many standard errors the later half of the epochs is better, by a paired t test."""
    half, n = len(losses) // 2, len(losses[0])
    test = ttest_rel(np.mean(losses[:half], axis=0), np.mean(losses[half:], axis=0))
    return test.statistic * math.sqrt(n / (n - 1))


def test_its_lead_is_that_of_a_paired_test(trials):
    net().fit(X, Y)
    [job] = trials
    progress = job.hold_out
    assert len(progress.losses) == job.max_iter == 15
    assert abs(progress.lead()) < 2
    progress.losses.pop()
    progress(job.start.theta)  # as if the last epoch had unlearnt all
    losses, n = np.array(progress.losses, float), len(progress.rows)
    assert_allclose(progress.lead(), lead_of(losses), rtol=1e-4)
    tests = [ttest_rel(progress.constant, row).statistic for row in losses]
    assert np.argmax(tests) != len(losses) - 1
    assert_allclose(progress.learnt(), max(tests) * math.sqrt(n / (n - 1)), rtol=1e-4)


def test_it_ends_where_more_epochs_are_better_beyond_doubt(trials):
    A, a = load_digits(return_X_y=True)
    clf = net().fit(A, a)
    [job] = trials
    losses = np.array(job.hold_out.losses, float)
    assert job.max_iter / 2 <= len(losses) < job.max_iter
    assert lead_of(losses) >= 4
    middle = math.ceil(job.max_iter / 2)
    assert all(lead_of(losses[:n]) < 4 for n in range(middle, len(losses)))
    assert clf.n_iter_ > job.max_iter


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_constant_prediction_is_the_frequencies(classes, weighted, trials):
    y = np.minimum(np.arange(600) % 5, classes - 1)
    weight = np.where(y == 0, 2.0, 1.0) if weighted else np.ones(600)
    net(loss="log_loss").fit(X, y, sample_weight=weight)
    rows = trials[0].hold_out.rows
    frequencies = np.bincount(y, weight) / weight.sum()
    expected = -(weight / weight.mean() * np.log(frequencies[y]))[rows]
    assert_allclose(trials[0].hold_out.constant, expected, rtol=1e-5)


def test_a_constant_prediction_of_several_labels(trials):
    labels = np.column_stack([np.arange(600) % 3 == 0, np.arange(600) % 4 == 0]).astype(int)
    net(loss="log_loss").fit(X, labels)
    p = np.where(labels, [1 / 3, 1 / 4], [2 / 3, 3 / 4])
    expected = -np.log(p).sum(axis=1)[trials[0].hold_out.rows]
    assert_allclose(trials[0].hold_out.constant, expected, rtol=1e-5)
