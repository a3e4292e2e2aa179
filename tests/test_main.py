"""The demonstration prints what is true, draws what it says, and refuses early what cannot work."""

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch import demonstration as demo

SEED = 0
MODELS = {"ScratchMLPClassifier": ScratchMLPClassifier, "MLPClassifier": MLPClassifier}


def rows_of(text: str, header: str) -> list[list[str]]:
    """Cells of the table under the line that begins with the header, up to the next empty line."""
    lines = text.splitlines()
    (start,) = (i for i, line in enumerate(lines) if line.strip().startswith(header))
    end = lines.index("", start) if "" in lines[start:] else len(lines)
    table = lines[start:end]
    assert len({len(line) for line in table}) == 1, "columns are aligned on the right"
    return [line.split() for line in table[1:]]


# ---------------------------------------------------------------- one run, as anyone would see it


# What a run prints is made once, by the worker that has them all.
pytestmark = pytest.mark.xdist_group("demonstration")


@pytest.fixture(scope="module")
def printed():
    """What a run on iris prints."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert demo.main(["--dataset", "iris", "--seed", str(SEED)]) == 0
    return out.getvalue()


@pytest.fixture(scope="module")
def iris():
    """Rows for the search and rows held out: X, X_held_out, y, y_held_out."""
    X, y = load_iris(return_X_y=True)
    return train_test_split(X, y, test_size=0.25, stratify=y, random_state=SEED)


def candidates(printed: str, model: str) -> list[list[str]]:
    """Cells of the table of candidates of a model."""
    _, after = printed.split(f"\n   {model}\n")
    return rows_of(after.split("\n\n")[0], "rank")


def comparison(printed: str) -> dict[str, list[str]]:
    """Cells of the comparison on the rows held out, by model."""
    return {cells[0]: cells[1:] for cells in rows_of(printed, "model")}


def fitted(model: str, units: str, rate: str, X, y):
    """Fit a candidate of the demonstration anew, without a search."""
    network = MODELS[model](
        hidden_layer_sizes=(int(units),), learning_rate_init=float(rate), random_state=SEED
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make_pipeline(StandardScaler(), network).fit(X, y)


def test_every_line_fits_the_page(printed):
    assert max(map(len, printed.splitlines())) <= 100
    assert not any(line.endswith(" ") for line in printed.splitlines())


def test_the_truth_table_is_that_of_xor(printed):
    rows = rows_of(printed, "inputs")
    assert sorted(tuple(map(int, row[:3])) for row in rows) == [
        (a, b, 1) for a in (0, 1) for b in (0, 1)
    ]
    for a, b, _, wanted, probability, predicted in rows:
        assert int(wanted) == int(a) ^ int(b)
        assert int(predicted) == int(wanted)
        assert (float(probability) > 0.5) == bool(int(predicted))
    assert "4 of 4 rows right" in printed


def test_the_error_of_xor_goes_down_to_that_of_the_truth_table(printed):
    lines = re.findall(r"epoch +(\d+)   Loss:  (\d\.\d+(?:e-\d+)?)$", printed, flags=re.MULTILINE)
    epochs, losses = zip(*((int(epoch), float(loss)) for epoch, loss in lines), strict=True)
    assert epochs == (1, *range(100, 801, 100))
    assert losses[0] == pytest.approx(0.5, abs=0.1)
    assert losses[-1] < 0.1
    errors = [abs(int(row[3]) - float(row[4])) for row in rows_of(printed, "inputs")]
    assert losses[-1] == pytest.approx(np.mean(errors), abs=1e-4)


def test_the_table_is_described(printed):
    assert "iris: 4 columns, 3 classes, 112 rows, 38 more held out" in printed


@pytest.mark.parametrize("model", MODELS)
def test_all_candidates_are_listed_the_best_first(printed, model):
    rows = candidates(printed, model)
    assert sorted((int(row[1]), float(row[2])) for row in rows) == sorted(
        product(demo.HIDDEN_UNITS, demo.LEARNING_RATES)
    )
    ranks, scores = [int(row[0]) for row in rows], [float(row[3]) for row in rows]
    assert ranks[0] == 1
    assert ranks == sorted(ranks)
    assert scores == sorted(scores, reverse=True)
    assert all(float(row[5]) >= 0 for row in rows)


@pytest.mark.parametrize("model", MODELS)
def test_the_score_of_a_candidate_is_its_cross_validated_accuracy(printed, iris, model):
    X, _, y, _ = iris
    _, units, rate, mean, std, _ = candidates(printed, model)[-1]
    pipeline = fitted(model, units, rate, X, y)
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        scores = cross_val_score(pipeline, X, y, cv=folds, scoring="accuracy")
    assert float(mean) == pytest.approx(scores.mean(), abs=6e-5)
    assert float(std) == pytest.approx(scores.std(), abs=6e-4)


@pytest.mark.parametrize("model", MODELS)
def test_the_scores_on_the_rows_held_out_are_true(printed, iris, model):
    X, X_held_out, y, y_held_out = iris
    units, rate, accuracy, brier, seconds = comparison(printed)[model]
    rank, *best = candidates(printed, model)[0][:3]
    assert (rank, best) == ("1", [units, rate])
    pipeline = fitted(model, units, rate, X, y)
    assert float(accuracy) == pytest.approx(
        accuracy_score(y_held_out, pipeline.predict(X_held_out)), abs=6e-5
    )
    squares = [
        sum((p - (c == wanted)) ** 2 for c, p in enumerate(row))
        for row, wanted in zip(pipeline.predict_proba(X_held_out), y_held_out, strict=True)
    ]
    assert float(brier) == pytest.approx(sum(squares) / len(squares), abs=6e-5)
    assert float(seconds) > 0


@pytest.mark.parametrize("model", MODELS)
def test_the_fits_that_did_not_converge_are_counted(printed, model):
    (count,) = re.findall(rf"^   {model}: (\d+) of 46 fits", printed, flags=re.MULTILINE)
    # The schedule of the one ends as planned; the other's 200 epochs are few at a rate of 0.001.
    assert int(count) == 0 if model == "ScratchMLPClassifier" else 0 < int(count) <= 46


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize("seed", [1, 2, 2**32 - 1])
def test_xor_is_learnt_from_other_seeds(seed):
    run = demo.train_xor(seed)
    np.testing.assert_array_equal(run.network.predict(demo.XOR_X), demo.XOR_Y)
    assert [W.shape for W in run.network.coefs_] == [(3, 4), (4, 1)]
    assert len(run.errors) == demo.XOR_EPOCHS


def test_a_network_that_failed_is_reported_as_such(monkeypatch, capsys):
    monkeypatch.setattr(demo, "XOR_EPOCHS", 1)
    demo.print_xor(demo.train_xor(SEED))
    assert re.search(r"[0-3] of 4 rows right", capsys.readouterr().out)


def test_brier_score_of_two_classes_is_that_of_one_probability():
    p = np.array([[0.9, 0.1], [0.4, 0.6]])
    assert demo.brier_score(np.array([0, 0]), p) == pytest.approx((0.01 + 0.36) / 2)


def test_brier_score_of_more_classes_sums_over_them():
    p = np.array([[0.5, 0.3, 0.2], [0.0, 0.0, 1.0]])
    expected = (0.25 + 0.49 + 0.04 + 0) / 2
    assert demo.brier_score(np.array([1, 2]), p) == pytest.approx(expected)


class WarningSearch:
    """Warns when fitted: twice of no convergence, once of something else."""

    def fit(self, X, y):
        for epochs in (1, 2):
            warnings.warn(f"{epochs} epochs were too few", ConvergenceWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)


def test_only_warnings_of_convergence_are_silenced():
    with pytest.warns(UserWarning, match="something else") as caught:
        assert demo.fit_counting_warnings(WarningSearch(), None, None) == 2
    assert [one.category for one in caught] == [UserWarning]


@pytest.mark.parametrize("name", demo.DATASETS)
def test_every_data_set_is_split_with_all_classes_on_both_sides(name):
    table = demo.load_table(name, SEED)
    classes = list(range(len(table.class_names)))
    assert np.unique(table.y).tolist() == np.unique(table.y_held_out).tolist() == classes
    assert len(table.y_held_out) == pytest.approx(len(table.y) / 3, abs=1)


# ---------------------------------------------------------------- pictures


@pytest.fixture
def small(monkeypatch):
    """Let the demonstration do less, so that it can be run once more."""
    monkeypatch.setattr(demo, "XOR_EPOCHS", 150)
    monkeypatch.setattr(demo, "FOLDS", 2)
    monkeypatch.setattr(demo, "HIDDEN_UNITS", (4, 8))
    monkeypatch.setattr(demo, "LEARNING_RATES", (0.01, 0.03, 0.1))


def texts_in(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_pictures_are_written(small, tmp_path, capsys):
    image = pytest.importorskip("matplotlib.image")
    folder = tmp_path / "new"
    assert demo.main(["--dataset", "iris", "--plots", str(folder)]) == 0
    out = capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == sorted(demo.PICTURES)
    for name in demo.PICTURES:
        assert f"wrote {folder / name}" in out
        pixels = image.imread(folder / name)[..., :3]
        assert min(pixels.shape[:2]) > 500
        assert pixels.std() > 0.1
        assert len(np.unique(pixels @ [65536, 256, 1])) > 50  # colours


def test_pictures_show_what_was_found_and_nothing_is_cut_off(small):
    pytest.importorskip("matplotlib")
    table, run = demo.load_table("digits", SEED), demo.train_xor(SEED)
    table = table._replace(X=table.X[:300], y=table.y[:300])
    outcomes = [demo.run_search(model, table, SEED) for model in demo.models(SEED)]
    xor = demo.draw_xor(run)
    searches = demo.draw_searches(table, outcomes)
    confusion = demo.draw_confusion(table, outcomes)

    for figure in (xor, searches, confusion):
        figure.draw_without_rendering()
        drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert 0 <= drawn.x0 <= drawn.x1 <= width
        assert 0 <= drawn.y0 <= drawn.y1 <= height

    (curve,) = xor.axes[0].lines
    np.testing.assert_array_equal(curve.get_ydata(), run.errors)
    for ax, one in zip(searches.axes[:2], outcomes, strict=True):
        assert ax.get_title() == one.model
        scores = one.search.cv_results_["mean_test_score"]  # rates vary fastest
        assert texts_in(ax) == [f"{score:.4f}" for score in scores]
    both = np.concatenate([one.search.cv_results_["mean_test_score"] for one in outcomes])
    assert [ax.images[0].get_clim() for ax in searches.axes[:2]] == [(both.min(), both.max())] * 2
    for ax, one in zip(confusion.axes[:2], outcomes, strict=True):
        counts = np.array(texts_in(ax), dtype=int).reshape(10, 10)
        np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(table.y_held_out))
        assert counts.trace() / counts.sum() == pytest.approx(one.accuracy)


# ---------------------------------------------------------------- command line


@pytest.fixture
def no_training(monkeypatch):
    """Fail if anything is trained."""
    for name in ("train_xor", "run_search"):
        monkeypatch.setattr(demo, name, lambda *args: pytest.fail("trained in spite of an error"))


def error_of(capsys, *argv: str) -> str:
    """Error message of a run that must end with exit code 2, without the usage above it."""
    with pytest.raises(SystemExit) as stopped:
        demo.main(argv)
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.split("error: ")[1]


def python_m(*argv: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "sknn_scratch", *argv],
        cwd=Path(demo.__file__).parents[1],
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_help_as_a_program():
    run = python_m("--help")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.startswith("usage: python -m sknn_scratch ")
    for words in ("--dataset", "--plots DIR", "--seed", "(default: breast_cancer)"):
        assert words in " ".join(run.stdout.split())
    assert max(map(len, run.stdout.splitlines())) <= 100


def test_an_error_as_a_program():
    run = python_m("--dataset", "titanic")
    assert (run.returncode, run.stdout) == (2, "")
    assert "invalid choice: 'titanic'" in run.stderr
    assert "Traceback" not in run.stderr


def test_an_unknown_data_set(no_training, capsys):
    message = error_of(capsys, "--dataset", "titanic")
    assert "titanic" in message
    assert all(name in message for name in ("breast_cancer", "iris", "wine", "digits"))


@pytest.mark.parametrize("seed", ["-1", str(2**32), "many", "1.5"])
def test_a_seed_that_is_none(no_training, capsys, seed):
    message = error_of(capsys, f"--seed={seed}")
    assert "argument --seed" in message
    assert seed in message


def test_no_matplotlib(no_training, monkeypatch, tmp_path, capsys):
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)  # makes its import fail
    folder = tmp_path / "pictures"
    assert 'pip install "sknn-scratch[plot]"' in error_of(capsys, "--plots", str(folder))
    assert not folder.exists()


def test_a_file_for_a_folder(no_training, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "notes.txt"
    path.write_text("mine")
    assert f"{path} is a file. Name a folder." in error_of(capsys, "--plots", str(path))
    assert path.read_text() == "mine"


def test_a_folder_in_a_file(no_training, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    (tmp_path / "notes.txt").write_text("mine")
    path = tmp_path / "notes.txt" / "pictures"
    assert f"cannot write to {path}: Not a directory." in error_of(capsys, "--plots", str(path))


def test_a_folder_without_a_parent(no_training, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "missing" / "pictures"
    message = error_of(capsys, "--plots", str(path))
    assert f"cannot write to {path}: {path.parent} does not exist." in message
    assert not path.parent.exists()


@contextlib.contextmanager
def locked_folder():
    """Make a folder that this process may read but not write, even if it belongs to root."""
    if os.name != "posix":
        pytest.skip("permissions of folders are POSIX's")
    user = os.geteuid()
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o555)
        try:
            if user == 0:
                os.seteuid(65534)
            yield Path(name)
        finally:
            os.seteuid(user)
            os.chmod(name, 0o755)


def test_a_folder_that_must_not_be_written(no_training, capsys):
    pytest.importorskip("matplotlib.figure")
    with locked_folder() as folder:
        for path in (folder, folder / "pictures"):
            message = error_of(capsys, "--plots", str(path))
            assert f"cannot write to {path}: Permission denied." in message


def test_a_usable_folder_is_left_clean(tmp_path):
    pytest.importorskip("matplotlib")
    demo.check_plots(tmp_path)
    demo.check_plots(tmp_path / "new")
    assert [path.name for path in tmp_path.rglob("*")] == ["new"]
