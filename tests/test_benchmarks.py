"""The benchmarks run from end to end, compare like with like, and write what they measured.

And what they measure calls of one at a time can be called from several threads at once.
"""

import importlib
import math
import os
import runpy
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

import sknn_scratch
from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.network.activations import ACTIVATIONS

BENCHMARKS = Path(__file__).parents[1] / "docs" / "benchmarks"


# ---------------------------------------------------------------- from end to end


@pytest.fixture
def load(monkeypatch):
    """Import a benchmark as the module that it is."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


@pytest.fixture
def run(monkeypatch, load, tmp_path):
    """Run a benchmark as a script, but in this process; return what it wrote."""
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    monkeypatch.setenv("PYTHONPATH", str(Path(sknn_scratch.__file__).parents[1]))

    def run(name: str, *options: str) -> str:
        monkeypatch.setattr(sys, "argv", [name, *options, "--out", str(tmp_path)])
        runpy.run_path(str(BENCHMARKS / name), run_name="__main__")
        return (tmp_path / name).with_suffix(".md").read_text(encoding="utf-8")

    return run


def tables(text: str) -> list[list[list[str]]]:
    """Cells of each table of a report, its header first, without the rule below that."""
    found, before = [], ""
    for line in text.splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        before = line
    return [[header, *rows] for header, _, *rows in found]


def column(table: list[list[str]], name: str) -> list[float]:
    """Numbers of a column."""
    at = table[0].index(name)
    return [float(row[at].replace(",", "")) for row in table[1:]]


def assert_ratios(table: list[list[str]], ratio: str, above: str, below: str) -> None:
    """A column is the ratio of two others, to the digits that are written."""
    expected = np.divide(column(table, above), column(table, below))
    np.testing.assert_allclose(column(table, ratio), expected, rtol=0.02, atol=0.006)


@pytest.mark.slow
def test_fit_speed(run, monkeypatch, tmp_path):
    monkeypatch.setattr(joblib, "cpu_count", lambda: 1)  # so many are kept busy
    options = ("--cases", "iris", "--rounds", "1", "--epochs", "9")
    options += ("--busy-rounds", "1", "--default-rounds", "1", "--tables", "iris")
    options += ("--part-rounds", "1")
    text = run("fit_speed.py", *options)
    for word in ("--cases iris", "- Machine: ", f"scikit-learn {find_version('sklearn')}"):
        assert word in text
    assert "PyTorch is not installed, so its columns are missing." in text
    one, default, parts, defaults, busy = tables(text)
    assert [row[:2] for row in parts[1:]] == [row[:2] for row in one[1:]]
    assert_ratios(parts, "MLPClassifier / ours", "MLPClassifier, µs", "ours, µs")
    names = ("products in blocks", "sigmoids", "loss", "Adam")
    sums = np.sum([column(parts, f"{name}, µs") for name in names], axis=0)
    assert min(column(parts, "products, µs")) > 0
    left = np.maximum(column(parts, "ours, µs") - sums, 0)
    np.testing.assert_allclose(column(parts, "rest, µs"), left, rtol=0.02, atol=1)
    ratios = np.divide(column(parts, "MLPClassifier, µs"), sums)
    np.testing.assert_allclose(column(parts, "MLPClassifier / parts"), ratios, rtol=0.02)
    assert [row[0] for row in defaults[1:]] == ["iris"]
    for threads in ("one thread", "default threads"):
        ours, theirs = f"ours, {threads}, ms", f"MLPClassifier, {threads}, ms"
        assert_ratios(defaults, f"ratio, {threads}", theirs, ours)
    assert [row[:2] for row in busy[1:]] == [row[:2] for row in one[1:]]
    for name in ("ours", "MLPClassifier"):
        above, below = f"{name}, one thread, µs", f"{name}, default, µs"
        assert_ratios(busy, f"{name}: one / default", above, below)
    for table in (one, default):
        assert [row[:3] for row in table[1:]] == [
            ["iris", "float64", "45"],
            ["iris", "float32", "45"],
        ]
        assert not [name for name in table[0] if "PyTorch" in name]
        assert min(column(table, "ours, µs")) > 0
        assert_ratios(table, "MLPClassifier / ours", "MLPClassifier, µs", "ours, µs")
        assert_ratios(table, "products / ours", "products, µs", "ours, µs")
    both = "ours with one thread / ours"
    assert both in default[0] and both not in one[0]
    expected = np.divide(column(one, "ours, µs"), column(default, "ours, µs"))
    np.testing.assert_allclose(column(default, both), expected, rtol=0.02, atol=0.006)
    assert (tmp_path / "fit_speed.png").exists() == (find_spec("matplotlib") is not None)


def find_version(module: str) -> str:
    return importlib.import_module(module).__version__


def test_fit_speed_without_matplotlib(run, monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    options = ("--cases", "xor", "--dtypes", "float32", "--threads", "one")
    options += ("--rounds", "1", "--epochs", "2", "--default-rounds", "0", "--part-rounds", "0")
    (table,) = tables(run("fit_speed.py", *options))
    assert "matplotlib is not installed, so there is no picture." in capsys.readouterr().err
    assert not (tmp_path / "fit_speed.png").exists()
    assert [row[:2] for row in table[1:]] == [["xor", "float32"]]


def test_fit_speed_with_pytorch(run, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")
    pytest.importorskip("torch")
    options = ("--cases", "xor", "--dtypes", "float64", "--threads", "one")
    options += ("--rounds", "1", "--epochs", "20", "--default-rounds", "0", "--part-rounds", "0")
    text = run("fit_speed.py", *options)
    assert "is missing" not in text
    assert f"PyTorch {find_version('torch')}" in text
    (table,) = tables(text)
    assert_ratios(table, "PyTorch / ours", "PyTorch, µs", "ours, µs")


def test_predict_speed(run):
    text = run("predict_speed.py", "--rows", "1", "3000", "--rounds", "1")
    for table in tables(text):
        assert [row[:2] for row in table[1:]] == [
            ["1", "logistic"],
            ["3,000", "logistic"],
            ["1", "relu"],
            ["3,000", "relu"],
        ]
        assert_ratios(table, "MLPClassifier / ours", "MLPClassifier, ms", "ours, ms")
        # At least what every call must return, 3,000 probabilities of two classes.
        for name in ("memory of ours, MB", "of MLPClassifier, MB"):
            assert column(table, name)[1] > 3000 * 2 * 8 / 1e6 > column(table, name)[0]
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        "## One thread",
        "## Default threads",
    ]


def test_time_to_accuracy(run):
    options = ("--sets", "iris,wine", "--seeds", "2", "--rounds", "1")
    table, medians = tables(run("time_to_accuracy.py", *options))
    assert [row[:2] for row in table[1:]] == [["iris", "100"], ["wine", "118"]]
    header, *rows = table
    at = header.index("ours: max_iter")
    for row, middle in zip(rows, medians[1:], strict=True):
        theirs, ours = float(row[at - 2]), float(row[at + 1])
        assert 0 < ours <= theirs
        assert int(row[at]) >= 1
        # Of two numbers the median is the mean.
        assert middle == [row[0], row[at - 2], row[at + 1], row[-2]]


def test_an_aim_that_is_not_reached_is_reported(run):
    options = ("--sets", "wine", "--seeds", "1", "--rounds", "1", "--max-epochs", "1")
    table, medians = tables(run("time_to_accuracy.py", *options))
    assert medians[1] == ["wine", table[1][2], "-", table[1][-2]]
    at = table[0].index("ours: max_iter")
    tried, best, *rest = table[1][at : at + 4]
    assert (tried, rest) == ("not within 1", ["-", "-"])
    assert float(best.removeprefix("best ")) > float(table[1][at - 2])


def test_growth(load, run, monkeypatch, tmp_path):
    """All fits but one in this process, where they begin at once."""
    script = load("growth")
    in_process = script.in_process
    monkeypatch.setattr(script, "FIXED_ROWS", 300)
    monkeypatch.setattr(script, "HELD_OUT", 1000)
    monkeypatch.setattr(
        script,
        "in_process",
        lambda *fit: (in_process if fit == ("ours", 100, 30) else script.cost)(*fit),
    )
    options = ["--rows", "100", "200", "--columns", "10", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["growth.py", *options])
    script.main()
    by_rows, by_columns = tables((tmp_path / "growth.md").read_text(encoding="utf-8"))
    models = ["ours", "MLPClassifier", "MLPClassifier, early stopping", "boosted trees"]
    assert [row[:3] for row in by_rows[1:]] == [
        [n, "30", model] for n in ("100", "200") for model in models
    ]
    assert [row[:3] for row in by_columns[1:]] == [["300", "10", model] for model in models]
    for table in (by_rows, by_columns):
        assert min(column(table, "seconds")) > 0
        assert min(column(table, "epochs or trees")) >= 1
        assert all(0 < brier < 0.5 for brier in column(table, "Brier score"))
    assert (tmp_path / "growth.png").exists() == (find_spec("matplotlib") is not None)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("fit_speed.py", ("--cases", "xor,moons"), "unknown: moons; choose from xor, iris, cancer"),
        ("fit_speed.py", ("--rounds", "0"), "0 is less than 1"),
        ("growth.py", ("--columns", "9"), "--columns: the classes depend on 10"),
    ],
)
def test_a_wrong_option_is_refused(run, capsys, name, options, message):
    with pytest.raises(SystemExit) as stopped:
        run(name, *options)
    assert stopped.value.code == 2
    assert message in capsys.readouterr().err


# ---------------------------------------------------------------- like with like


def test_shapes(load):
    cases = load("fit_speed").CASES
    assert {
        name: (case.rows, case.features, case.hidden, case.classes, case.batch)
        for name, case in cases.items()
    } == {
        "xor": (4, 3, (4,), 2, 4),
        "iris": (150, 4, (16,), 3, 32),
        "cancer": (569, 30, (16,), 2, 200),
        "digits": (1797, 64, (100,), 10, 200),
        "table": (20000, 30, (100,), 2, 200),
        "deep": (10000, 30, (128, 128), 2, 256),
        "mnist-size": (10000, 784, (256, 128), 10, 256),
        "big": (8000, 784, (1024, 1024), 10, 512),
        "number": (20000, 30, (100,), 0, 200),
        "number-deep": (5000, 30, (100, 50), 0, 64),
    }


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", ["xor", "iris", "cancer", "number-deep"])
def test_all_fits_do_the_work_that_is_counted(load, name):
    script = load("fit_speed")
    case = script.CASES[name]
    X, y = script.data(case, "float64")
    assert X.shape == (case.rows, case.features)
    assert len(np.unique(y)) == (case.classes or case.rows)
    models = script.our_estimator(case, 7), script.their_estimator(case, 7)
    for model in models:
        model.fit(X, y)
        assert [W.shape for W in model.coefs_] == list(
            zip(case.sizes, case.sizes[1:], strict=False)
        )
        assert (model.n_iter_, model.t_) == (7, 7 * case.rows)
    np.testing.assert_allclose(models[0].loss_curve_, models[1].loss_curve_)
    assert 7 * math.ceil(case.rows / models[0].batch_size_) == case.updates(7)
    assert models[1]._optimizer.t == case.updates(7)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_other_work_is_noticed(load):
    script = load("fit_speed")
    case = script.CASES["iris"]
    X, y = script.data(case, "float64")
    model = script.our_estimator(case, 20)
    losses = {
        "same": model.fit(X, y).loss_,
        "rate": model.set_params(learning_rate="cosine").fit(X, y).loss_,
        "theirs": script.their_estimator(case, 20).fit(X, y).loss_,
    }
    ours, theirs = script.OURS, script.SKLEARN
    script.check_same_work(case, {ours: losses["same"], theirs: losses["theirs"]})
    with pytest.raises(RuntimeError, match="iris: not the same work: loss"):
        script.check_same_work(case, {ours: losses["rate"], theirs: losses["theirs"]})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [0, 2, 3])
def test_the_pytorch_loop_does_the_same_work(load, monkeypatch, classes):
    """From our weights, with the rows in the order in which they are, it arrives where we do."""
    torch = pytest.importorskip("torch")
    script = load("fit_speed")
    case = script.Case("small", 50, 4, (6, 5), classes, 16, epochs=9)
    X, y = script.data(case, "float64")
    model = script.our_estimator(case, 1).fit(X, y)
    start = iter([*zip(model.coefs_, model.intercepts_, strict=True)])

    def start_from_ours(layer):
        W, b = next(start)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(W.T.copy()))
            layer.bias.copy_(torch.from_numpy(b.copy()))

    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", start_from_ours)
    monkeypatch.setattr(torch, "randperm", torch.arange)
    loss = script.loop_of_torch(case, "float64", case.epochs)()
    model.set_params(shuffle=False, warm_start=True, max_iter=case.epochs).fit(X, y)
    # Not to the last digits: PyTorch corrects for the start before it adds epsilon.
    assert loss == pytest.approx(model.loss_, rel=1e-6)
    assert next(start, None) is None


@pytest.mark.parametrize("busy, warns", [(None, False), (0.1, False), (1.3, True)])
def test_a_report_of_a_busy_machine_says_so(load, monkeypatch, busy, warns):
    script = load("fit_speed")
    others = script.OtherPrograms()
    monkeypatch.setattr(others, "cores", lambda: busy)
    text = "\n".join(script.head("Title", others))
    assert ("Do not rely on these numbers" in text) == warns
    assert (f"on average: {busy}" in text) == (busy is not None)


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="this system does not tell")
def test_what_other_programs_use_is_told_from_what_this_one_uses(load, monkeypatch):
    script = load("fit_speed")
    # Two cores for ten seconds: busy for 13 of 20, of which this process and its children had 9.
    lines = iter(["cpu 100 0 50 800 50 0 0 0 7 7\ncpu0 1", "cpu 1300 50 60 1450 100 3 7 30 9 9"])
    times = iter([(1, 1, 1, 1, 100), (3, 2, 4, 4, 110)])
    clock = iter([100, 110])
    monkeypatch.setattr(Path, "read_text", lambda path: next(lines))
    monkeypatch.setattr(os, "times", lambda: next(times))
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    monkeypatch.setattr(script.time, "perf_counter", lambda: next(clock))
    assert script.OtherPrograms().cores() == pytest.approx((13 - 9) / 10)


@pytest.fixture
def products_of(load, monkeypatch):
    """Record the products of a training alone, by the sizes of their factors."""
    script, products = load("fit_speed"), []
    case = script.Case("small", 10, 5, (4, 3), 2, 8, epochs=3)

    def recorded(original):
        def product(a, b, out):
            assert out.dtype == np.float32
            products.append((*a.shape, b.shape[1]))
            return original(a, b, out)

        return product

    monkeypatch.setattr(script, "row_blocks", lambda sizes, n: [slice(0, 1), slice(1, n)])
    for name in ("dot", "matmul"):
        monkeypatch.setattr(np, name, recorded(getattr(np, name)))

    def products_of(**how):
        products.clear()
        script.products_alone(case, "float32", 3, **how)()
        return products

    return products_of


def test_products_are_those_of_forward_and_backward(products_of):
    expected = []
    for n in (8, 2):
        expected += [(n, 5, 4), (n, 4, 3), (n, 3, 1)]  # forward
        expected += [(n, 1, 3), (n, 3, 4)]  # backward
        expected += [(5, n, 4), (4, n, 3), (3, n, 1)]  # gradient
    assert products_of() == 3 * expected


def test_products_in_blocks_are_cut_by_rows_and_for_the_gradient_not(products_of):
    expected = []
    for n in (8, 2):
        for rows in (1, n - 1):
            expected += [(rows, 5, 4), (rows, 4, 3), (rows, 3, 1), (rows, 1, 3), (rows, 3, 4)]
        expected += [(5, n, 4), (4, n, 3), (3, n, 1)]
    assert products_of(is_cut=True) == 3 * expected


def test_other_probabilities_are_noticed(load):
    script = load("predict_speed")
    predict = script.predictors("relu")
    X = script.rows_like_data(50)
    script.check_same_probabilities(predict, X)
    other = {**predict, script.OURS: script.predictors("logistic")[script.OURS]}
    with pytest.raises(RuntimeError, match="Not the same network"):
        script.check_same_probabilities(other, X)


def test_memory_is_that_of_the_call(load):
    script = load("predict_speed")
    X = np.ones((1000, 100))
    assert X.nbytes <= script.peak(lambda X: X + 1, X) < 1.1 * X.nbytes
    assert 2 * X.nbytes <= script.peak(lambda X: (X + 1, X + 2), X) < 2.1 * X.nbytes


def test_brier_score(load):
    brier_score = load("time_to_accuracy").brier_score
    rng = np.random.RandomState(0)
    p, y = rng.dirichlet([1, 1], size=30), rng.randint(2, size=30)
    assert brier_score(p, y) == pytest.approx(brier_score_loss(y, p[:, 1]))
    p, y = np.array([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]]), np.array([1, 2])
    assert brier_score(p, y) == pytest.approx((0.5 + 0.08) / 2)


def test_steps_go_up_without_end(load):
    steps = list(load("time_to_accuracy").steps(60))
    assert steps == [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 18, 22, 27, 33, 41, 51]


# ---------------------------------------------------------------- several threads, one estimator

N_THREADS = 2


def at_once(predict, inputs):
    """Call predict with each input in a thread of its own; all begin together."""
    start = threading.Barrier(len(inputs), timeout=300)

    def call(X):
        start.wait()
        return predict(X)

    with ThreadPoolExecutor(len(inputs)) as pool:
        return list(pool.map(call, inputs))


def one_estimator_and_inputs(n):
    """A fitted estimator, other rows for each thread, and the probabilities as they should be."""
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(300, 10)), rng.randint(3, size=300)
    model = ScratchMLPClassifier(
        (64, 32), "logistic", dtype=None, scale_features=False, max_iter=3, random_state=0
    ).fit(X, y)
    inputs = [rng.normal(size=(n, 10)) for _ in range(N_THREADS)]
    judge = MLPClassifier((64, 32), activation="logistic", max_iter=1).fit(X[:5], [0, 1, 2, 0, 1])
    judge.coefs_, judge.intercepts_ = model.coefs_, model.intercepts_
    return model, inputs, [judge.predict_proba(X) for X in inputs]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_threads_can_share_an_estimator():
    model, inputs, expected = one_estimator_and_inputs(60_000)
    for _ in range(3):
        for p, right in zip(at_once(model.predict_proba, inputs), expected, strict=True):
            np.testing.assert_allclose(p, right, atol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_threads_that_are_inside_the_same_layer_at_once(monkeypatch):
    """Each thread has written its pre-activations before either goes on to read its own."""
    model, inputs, expected = one_estimator_and_inputs(20_000)
    together = threading.Barrier(N_THREADS, timeout=300)
    meetings = []
    logistic = ACTIVATIONS["logistic"]

    def apply(z):
        meetings.append(together.wait())
        logistic.apply(z)

    monkeypatch.setitem(ACTIVATIONS, "logistic", logistic._replace(apply=apply))
    # Without helpers, which could take the blocks that the last one would meet others at.
    with threadpool_limits(1, user_api="blas"):
        found = at_once(model.predict_proba, inputs)
    for p, right in zip(found, expected, strict=True):
        np.testing.assert_allclose(p, right, atol=1e-12)
    assert len(meetings) > 2 * N_THREADS, "more than one block of rows, each with two layers"


# ---------------------------------------------------------------- the picture of two pages


def test_the_picture_of_speed_shows_what_the_pages_say(monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    picture = importlib.import_module("speed_picture")
    names = ("time_to_accuracy", "search_speed")
    pages = [(BENCHMARKS / f"{name}.md").read_text(encoding="utf-8") for name in names]
    # The judges are columns that the script does not read.
    ratios = ("MLPClassifier() / ours", "MLPClassifier / stacked")
    for ax, page, ratio in zip(picture.draw(*pages).axes, pages, ratios, strict=True):
        table = [line.split("|") for line in page.splitlines() if line.startswith("| ")]
        column = [cell.strip() for cell in table[0]].index(ratio)
        written = [float(row[column]) for row in table[2 : 2 + len(ax.texts)]]
        drawn = [float(text.get_text().split()[0]) for text in ax.texts]
        assert len(drawn) > 3
        # Both are rounded, and what is drawn is a quotient of seconds that are.
        np.testing.assert_allclose(drawn, written, atol=0.101)
        for sign in ax.collections[1:]:
            assert len(sign.get_offsets()) == len(drawn)
