"""The accuracy benchmark prepares tables as it says, and its scores are what their names say."""

import argparse
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, log_loss

pd = pytest.importorskip("pandas")

BENCHMARKS = Path(__file__).parents[1] / "docs" / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("accuracy")


@pytest.fixture
def run(script, monkeypatch, capsys):
    """Run the script with options; return what it prints."""

    def main(*options):
        monkeypatch.setattr(sys, "argv", ["accuracy.py", *map(str, options)])
        script.main()
        return capsys.readouterr().out

    return main


def mixed(rows=60):
    """Numbers, strings and truth values, some missing, and a class that follows from the first."""
    rng = np.random.RandomState(0)
    X = pd.DataFrame(
        {
            "number": rng.normal(5, 3, rows),
            "string": rng.choice(["a", "b", "NA"], rows),
            "truth": rng.rand(rows) < 0.5,
        }
    )
    y = np.where(X["number"] > 5, "high", "low")
    X.loc[::9, "number"] = np.nan
    X.loc[4::9, "string"] = None
    return X, y


def options(**given):
    usual = {
        "rows": 0,
        "folds": 6,
        "frames": False,
        "raw": False,
        "odd_columns": False,
        "wrong_cells": False,
    }
    return argparse.Namespace(**{**usual, **given})


# ---------------------------------------------------------------- scores


@pytest.mark.parametrize("classes", [2, 4])
def test_scores(script, classes):
    rng = np.random.RandomState(0)
    p = rng.dirichlet(np.ones(classes), size=300)
    p[0] = np.eye(classes)[0]  # all the way up, in the last bin
    y = rng.randint(classes, size=300)
    y[0] = 1  # and of the true class none: log loss is bounded
    found = script.scores(p, y)
    if classes == 2:
        assert found["brier"] == pytest.approx(brier_score_loss(y, p[:, 1]))
    else:
        one = [brier_score_loss(y == k, p[:, k]) for k in range(classes)]
        assert found["brier"] == pytest.approx(sum(one) / 2)
    bounded = np.maximum(p, 1e-7)
    bounded /= bounded.sum(axis=1, keepdims=True)
    assert found["log_loss"] == pytest.approx(log_loss(y, bounded))
    likeliest = p.argmax(axis=1)
    assert found["balanced"] == balanced_accuracy_score(y, likeliest)
    error = 0
    for b in range(15):
        chosen = (p.max(axis=1) > b / 15) & (p.max(axis=1) <= (b + 1) / 15)
        if chosen.any():
            gap = p.max(axis=1)[chosen].mean() - (likeliest == y)[chosen].mean()
            error += abs(gap) * chosen.mean()
    assert found["ece"] == pytest.approx(error)


def test_the_report_is_of_the_scores(script):
    def scores(brier):
        return dict.fromkeys(script.METRICS, brier)

    results = {
        "first": {"ours": [scores(0.1), scores(0.3)], "other": [scores(0.4), scores(0.4)]},
        "second": {"ours": [scores(0.2)], "other": [scores(0.1)]},
        "third": {"ours": [scores(0.5)], "other": [scores(0.5)]},
    }
    text = "\n".join(script.report(results))
    assert "| ours | 0.3000 | 0.3000 | 0.3000 | 0.3000 | 0.3000 |" in text
    assert "| other | 0.3333 |" in text
    # Gaps .2, -.1 and 0: mean .0333, standard deviation .1528.
    gap = "+0.0333 ± 0.0882"
    assert f"| other | {gap} | {gap} | {gap} | 1 | 1 |" in text
    assert text.count("| first | 0.2000 | 0.4000 |") == len(script.METRICS)


# ---------------------------------------------------------------- tables


def test_tables(script, tmp_path):
    X, y = mixed()
    X.assign(target=y).to_csv(tmp_path / "made.csv.gz", index=False)
    (made, *bundled) = script.tables([tmp_path], bundled=True)
    assert [name for name, _, _ in bundled] == [*script.BUNDLED]
    name, columns, classes = made
    assert (name, [*columns]) == ("made", ["number", "string", "truth"])
    np.testing.assert_array_equal(classes, y == "low")  # counted in alphabetical order
    assert "NA" in set(columns["string"])  # a string like others; only nothing is missing
    assert columns.isna().sum().tolist() == X.isna().sum().tolist()


@pytest.mark.parametrize("raw", [False, True])
def test_rows_are_prepared_by_what_is_trained_on(script, raw):
    X, y = mixed()
    found = [*script.folds(X, (y == "low").astype(int), options(raw=raw))]
    assert [len(held) for *_, held in found] == 6 * [20]
    for A, _, B, _ in found:
        assert A.shape == (40, 1 + 3 + 2) and B.shape == (20, 1 + 3 + 2)
        for Z in (A, B):
            assert np.isfinite(Z).all()
            assert set(np.unique(Z[:, 1:])) == {0, 1}
            np.testing.assert_array_equal(Z[:, 1:4].sum(axis=1), 1)
        if raw:
            assert A[:, 0].mean() == pytest.approx(5, abs=2)
        else:
            np.testing.assert_allclose([A[:, 0].mean(), A[:, 0].std()], [0, 1], atol=1e-12)
            assert abs(B[:, 0].mean()) > 1e-6


def test_rare_strings_share_a_column(script):
    y = np.arange(120) % 2
    X = pd.DataFrame({"string": [f"s{i % 30}" for i in range(120)]})
    for A, _, B, _ in script.folds(X, y, options()):
        assert A.shape[1] == B.shape[1] == 20


def test_fewer_rows_and_odd_columns(script):
    X, y = mixed(90)
    y = (y == "low").astype(int)
    given = {"rows": 60, "folds": 2, "odd_columns": True}
    found = [*script.folds(X, y, options(**given))]
    assert [(len(a), len(b)) for _, a, _, b in found] == [(40, 20), (40, 20)]
    share = np.concatenate([found[0][1], found[0][3]]).mean()
    assert share == pytest.approx(y.mean(), abs=1 / 60)  # stratified
    for A, _, B, _ in found:
        for Z in (A, B):
            np.testing.assert_array_equal(Z[:, -2:], np.tile([1e9, 1], (len(Z), 1)))


def test_wrong_cells_are_among_the_rows_to_train_on(script):
    X, y = mixed()
    y = (y == "low").astype(int)
    right, wrong = ([*script.folds(X, y, options(wrong_cells=cells))] for cells in (False, True))
    for (A, _, B, _), (A_wrong, _, B_wrong, _) in zip(right, wrong, strict=True):
        np.testing.assert_array_equal(B, B_wrong)
        ((row, column),) = np.argwhere(A != A_wrong)
        assert column == 0  # the one column of numbers
        assert A_wrong[row, 0] == 1000 * np.abs(A[:, 0]).max()


# ---------------------------------------------------------------- from end to end


def test_frames_as_they_are_read(run, tmp_path):
    X, y = mixed()
    X.assign(target=y).to_csv(tmp_path / "made.csv.gz", index=False)
    kept = tmp_path / "kept.json"
    chosen = ["--models", "ours,boosting", "--folds", 1, "--json", kept]
    run(tmp_path, "--bundled", "--frames", *chosen)
    results = json.loads(kept.read_text())
    assert [*results] == ["made"]  # those of scikit-learn have neither words nor gaps
    assert [*results["made"]] == ["ours", "boosting", "by hand"]


def test_from_end_to_end(run, tmp_path):
    X, y = mixed()
    X.assign(target=y).to_csv(tmp_path / "made.csv.gz", index=False)
    kept = tmp_path / "kept.json"
    change = ["--set", "max_iter=2", "hidden_layer_sizes=(3,)", "--set", "activation=relu"]
    text = run(tmp_path, "--bundled", "--sets", "made,iris", "--folds", 2, "--json", kept, *change)
    models = [
        "ours",
        "ensemble",
        "two networks",
        "MLPClassifier",
        "forest",
        "boosting",
        "logistic",
    ]
    models += ["max_iter=2, hidden_layer_sizes=(3,)", "activation=relu"]
    assert "# Accuracy" in text and "- Machine: " in text
    results = json.loads(kept.read_text())
    assert {name: [*found] for name, found in results.items()} == {"made": models, "iris": models}
    assert {len(scores) for found in results.values() for scores in found.values()} == {2}
    for name, found in results.items():
        brier = [np.mean([fold["brier"] for fold in found[model]]) for model in models]
        assert f"| {name} | " + " | ".join(f"{value:.4f}" for value in brier) + " |" in text
        assert brier[-2] > 1.5 * brier[0]  # two epochs are too few
    assert results["iris"]["ours"] != results["iris"]["activation=relu"]


@pytest.mark.parametrize(
    "given, message",
    [
        (["--set", "unknown=1"], "Invalid parameter 'unknown'"),
        (["--models", "ours,theirs"], "unknown: theirs; choose from ours, ensemble"),
        (["--sets", "moons"], "There is no such set."),
    ],
)
def test_what_does_not_exist_is_refused(run, capsys, given, message):
    with pytest.raises((ValueError, SystemExit)) as caught:
        run("--bundled", *given)
    assert message in f"{caught.value}{capsys.readouterr().err}"
