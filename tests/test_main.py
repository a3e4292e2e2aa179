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
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknn_scratch import ScratchMLPClassifier, ScratchMLPRegressor
from sknn_scratch.demonstration import command, experiments, pictures

SEED = 0
MODELS = {
    "ScratchMLPClassifier": ScratchMLPClassifier(random_state=SEED),
    "MLPClassifier": MLPClassifier(random_state=SEED),
    "StandardScaler, MLPClassifier": make_pipeline(
        StandardScaler(), MLPClassifier(random_state=SEED)
    ),
}


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
def run(tmp_path_factory):
    """What a run on iris prints, and the page that it writes."""
    page = tmp_path_factory.mktemp("demonstration") / "page.html"
    with contextlib.redirect_stdout(io.StringIO()) as out:
        argv = ["--dataset", "iris", "--seed", str(SEED), "--page", str(page)]
        assert command.main(argv) == 0
    return out.getvalue(), page


@pytest.fixture(scope="module")
def printed(run):
    return run[0]


def scores(model, X, y):
    """Brier score and accuracy of a model in the folds of the demonstration, computed anew."""
    briers, accuracies = [], []
    for train, test in StratifiedKFold(3, shuffle=True, random_state=SEED).split(X, y):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            fitted = clone(model).fit(X[train], y[train])
        squares = [
            sum((p - (c == wanted)) ** 2 for c, p in enumerate(row))
            for row, wanted in zip(fitted.predict_proba(X[test]), y[test], strict=True)
        ]
        briers.append(sum(squares) / len(squares))
        accuracies.append(accuracy_score(y[test], fitted.predict(X[test])))
    return np.mean(briers), np.mean(accuracies)


def compared(printed: str) -> dict[str, list[str]]:
    """Brier score, accuracy and seconds of the models on iris, as printed."""
    lines = printed.split("seconds of a fit\n")[1].split("\n\n")[0].splitlines()
    assert lines[0].startswith("   iris ")
    cells = [re.split(" {3,}", line[18:].strip()) for line in lines]
    return {name: values for name, *values in cells}


def test_every_line_fits_the_page(printed):
    *lines, _ = printed.splitlines()  # the last one is a path
    assert max(map(len, lines)) <= 100
    assert not any(line.endswith(" ") for line in lines)


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
    assert (epochs[0], epochs[-1], len(epochs)) == (0, 2000, 9)
    assert losses[0] == pytest.approx(0.5, abs=0.1)
    assert losses[-1] < 0.01
    errors = [abs(int(row[3]) - float(row[4])) for row in rows_of(printed, "inputs")]
    assert losses[-1] == pytest.approx(np.mean(errors), abs=1e-4)


@pytest.mark.parametrize("model", MODELS)
def test_the_scores_of_the_tables_are_true(printed, model):
    brier, accuracy, seconds = compared(printed)[model]
    expected = scores(MODELS[model], *load_iris(return_X_y=True))
    assert float(brier.rstrip("*")) == pytest.approx(expected[0], abs=6e-5)
    assert float(accuracy) == pytest.approx(expected[1], abs=6e-5)
    assert float(seconds) > 0


def test_the_lowest_score_is_marked_whoever_has_it(printed):
    briers = {model: cells[0] for model, cells in compared(printed).items()}
    least = min(float(brier.rstrip("*")) for brier in briers.values())
    marked = [float(brier[:-1]) for brier in briers.values() if brier.endswith("*")]
    assert marked == [least]


def test_the_fits_that_did_not_converge_are_counted(printed):
    counts = dict(re.findall(r"^   (\S.*): (\d) of 3 fits had not", printed, flags=re.MULTILINE))
    # The schedule of the one ends as planned; the other's 200 epochs are few at a rate of 0.001.
    assert counts == {"MLPClassifier": "3", "StandardScaler, MLPClassifier": "3"}


def test_all_candidates_are_listed_the_best_first(printed):
    assert "Grid search on iris: 150 rows, 4 columns as they come" in printed
    rows = rows_of(printed, "rank")
    grid = product(experiments.HIDDEN_UNITS, experiments.LEARNING_RATES)
    assert sorted((int(row[1]), float(row[2])) for row in rows) == sorted(grid)
    ranks, briers = [int(row[0]) for row in rows], [float(row[3]) for row in rows]
    assert ranks[0] == 1
    assert ranks == sorted(ranks)
    assert briers == sorted(briers)
    _, units, rate, brier = rows[-1]
    worst = ScratchMLPClassifier((int(units),), learning_rate_init=float(rate), random_state=SEED)
    expected, _ = scores(worst, *load_iris(return_X_y=True))
    assert float(brier) == pytest.approx(expected, abs=6e-5)


def test_both_ways_to_search_are_timed_and_agree(printed):
    assert len(re.findall(r"^   (?:plain|stacked) +\d+\.\d s$", printed, flags=re.MULTILINE)) == 2
    (difference,) = re.findall(r"Scores of the two ways differ by (\S+) at most\.", printed)
    assert float(difference) < 1e-9


def test_the_page_is_written_and_named(run):
    printed, page = run
    assert printed.splitlines()[-1] == f"   {page}"
    assert "<title>A network with four hidden units learns XOR</title>" in page.read_text()


def test_the_regressors_are_as_good_as_they_say(printed):
    X, y = load_diabetes(return_X_y=True)
    X, X_held_out, y, y_held_out = train_test_split(X, y, random_state=SEED)
    assert "4. A number to predict: diabetes, 331 rows, 111 more held out" in printed
    for model in (ScratchMLPRegressor(random_state=SEED), MLPRegressor(random_state=SEED)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            score = model.fit(X, y).score(X_held_out, y_held_out)
        assert f"   {type(model).__name__:<20}   R2 {score:5.2f}\n" in printed


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize("seed", [1, 2, 2**32 - 1])
def test_xor_is_learnt_from_other_seeds(seed):
    run = experiments.train_xor(seed)
    np.testing.assert_array_equal(run.network.predict(experiments.XOR_X), experiments.XOR_Y)
    assert [W.shape for W in run.network.coefs_] == [(3, 4), (4, 1)]


def test_a_network_that_failed_is_reported_as_such(capsys):
    run = experiments.train_xor(SEED)
    network = ScratchMLPClassifier((4,), max_iter=1, random_state=SEED)
    with pytest.warns(ConvergenceWarning, match="no better than chance"):
        network.fit(experiments.XOR_X, experiments.XOR_Y)
    experiments.print_xor(run._replace(network=network))
    assert re.search(r"[0-3] of 4 rows right", capsys.readouterr().out)


def test_without_a_path_the_page_is_in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run = experiments.train_xor(SEED)
    first, second = command.write_page(run, None), command.write_page(run, None)
    assert first.parent != second.parent
    assert {first.parent.parent, second.parent.parent} == {tmp_path}
    assert first.read_text() == second.read_text()


def test_brier_score_of_two_classes_is_that_of_one_probability():
    p = np.array([[0.9, 0.1], [0.4, 0.6]])
    assert experiments.brier_score(np.array([0, 0]), p) == pytest.approx((0.01 + 0.36) / 2)


def test_brier_score_of_more_classes_sums_over_them():
    p = np.array([[0.5, 0.3, 0.2], [0.0, 0.0, 1.0]])
    expected = (0.25 + 0.49 + 0.04 + 0) / 2
    assert experiments.brier_score(np.array([1, 2]), p) == pytest.approx(expected)


def test_only_warnings_of_convergence_are_silenced():
    with (
        pytest.warns(UserWarning, match="something else") as caught,
        experiments.counted_warnings() as counted,
    ):
        for epochs in (1, 2):
            warnings.warn(f"{epochs} epochs were too few", ConvergenceWarning, stacklevel=1)
        warnings.warn("something else", UserWarning, stacklevel=1)
    assert len(counted) == 2
    assert [one.category for one in caught] == [UserWarning]


@pytest.mark.parametrize("name", experiments.DATASETS)
def test_every_table_is_as_it_comes(name):
    table = experiments.load_table(name)
    expected = experiments.DATASETS[name]()
    np.testing.assert_array_equal(table.X, expected.data)
    names = np.unique(expected.target)
    np.testing.assert_array_equal(names[table.y], expected.target)
    assert list(table.words) == ([0, 5] if name == "penguins" else [])


def test_on_words_and_gaps_the_other_model_is_helped():
    table = experiments.load_table("penguins")
    assert any(None in row for row in table.X)
    ours, theirs = experiments.compare(table, SEED)
    assert (ours.model, theirs.model) == ("ScratchMLPClassifier", "4 steps, MLPClassifier")
    assert 0 < max(ours.brier, theirs.brier) < 0.1
    with pytest.raises(ValueError, match="could not convert string"):
        MLPClassifier().fit(table.X, table.y)


# ---------------------------------------------------------------- pictures


def texts_in(ax) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_pictures_are_written(tmp_path, capsys, monkeypatch):
    image = pytest.importorskip("matplotlib.image")
    monkeypatch.setattr(experiments, "FOLDS", 2)
    folder, page = tmp_path / "new", tmp_path / "page.html"
    argv = ["--dataset", "iris", "--plots", str(folder), "--page", str(page)]
    assert command.main(argv) == 0
    out = capsys.readouterr().out
    assert sorted(path.name for path in folder.iterdir()) == sorted(pictures.PICTURES)
    for name in pictures.PICTURES:
        assert f"wrote {folder / name}" in out
        pixels = image.imread(folder / name)[..., :3]
        assert min(pixels.shape[:2]) > 450
        assert pixels.std() > 0.1
        assert len(np.unique(pixels @ [65536, 256, 1])) > 50  # colours


def test_pictures_show_what_was_found_and_nothing_is_cut_off():
    pytest.importorskip("matplotlib")
    table, run = experiments.load_table("iris"), experiments.train_xor(SEED)
    results = experiments.compare(table, SEED)
    report = experiments.run_search(table, SEED, stacked=True)
    xor = pictures.draw_xor(run)
    tables = pictures.draw_tables([*results, *(one._replace(table="b") for one in results)])
    search = pictures.draw_search(table, report)

    for figure in (xor, tables, search):
        figure.draw_without_rendering()
        drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
        assert 0 <= drawn.x0 <= drawn.x1 <= width
        assert 0 <= drawn.y0 <= drawn.y1 <= height

    (curve,) = xor.axes[0].lines
    np.testing.assert_array_equal(curve.get_ydata(), run.errors)
    assert texts_in(tables.axes[0]) == [f"{one.brier:.4f}" for one in results for _ in range(2)]
    scores = -report.search.cv_results_["mean_test_score"]  # rates vary fastest
    assert texts_in(search.axes[0]) == [f"{score:.4f}" for score in scores]


# ---------------------------------------------------------------- command line


@pytest.fixture
def no_training(monkeypatch):
    """Fail if anything is trained."""
    for name in ("train_xor", "compare", "run_search"):
        monkeypatch.setattr(
            command, name, lambda *args: pytest.fail("trained in spite of an error")
        )


def error_of(capsys, *argv: str) -> str:
    """Error message of a run that must end with exit code 2, without the usage above it."""
    with pytest.raises(SystemExit) as stopped:
        command.main(argv)
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    return err.split("error: ")[1]


def python_m(*argv: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "sknn_scratch", *argv],
        cwd=Path(command.__file__).parents[2],
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_help(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit) as stopped:
        command.main(["--help"])
    assert stopped.value.code == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("usage: python -m sknn_scratch ")
    for words in ("--dataset", "--page PATH", "--plots DIR", "--seed", "(default: all to compare"):
        assert words in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 100


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
    assert 'python -m pip install ".[plot]"' in error_of(capsys, "--plots", str(folder))
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


def test_a_page_that_cannot_be_written(no_training, tmp_path, capsys):
    assert f"{tmp_path} is a folder. Name a file." in error_of(capsys, "--page", str(tmp_path))
    path = tmp_path / "missing" / "page.html"
    message = error_of(capsys, "--page", str(path))
    assert f"argument --page: cannot write to {path}: {path.parent} does not exist." in message
    with locked_folder() as folder:
        message = error_of(capsys, "--page", str(folder / "page.html"))
        assert f"cannot write to {folder / 'page.html'}: Permission denied." in message


def test_a_usable_folder_is_left_clean(tmp_path):
    pytest.importorskip("matplotlib")
    command.check_plots(tmp_path)
    command.check_plots(tmp_path / "new")
    assert [path.name for path in tmp_path.rglob("*")] == ["new"]
