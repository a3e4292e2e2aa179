"""The benchmark of searches holds out what it scores, and reports what was chosen."""

import argparse
import importlib
import json
import sys
from math import prod
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold

pd = pytest.importorskip("pandas")

BENCHMARKS = Path(__file__).parents[1] / "docs" / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("tuned")


def make(random_state):
    """A quick contender, in place of a network."""
    return LogisticRegression(random_state=random_state, max_iter=200)


@pytest.fixture
def quick(script, monkeypatch):
    """The script with quick contenders."""
    grid = {"C": [1e-6, 1.0, 100.0]}
    monkeypatch.setattr(script, "CONTENDERS", {"plain": (make, None), "searched": (make, grid)})
    return script


def options(**given):
    usual = {"rows": 0, "folds": 2, "raw": False, "contenders": ["plain", "searched"]}
    return argparse.Namespace(**{**usual, **given})


def test_all_searches_have_as_many_candidates(script):
    grids = [grid for _, grid in script.CONTENDERS.values() if grid is not None]
    assert {prod(map(len, grid.values())) for grid in grids} == {12}
    for make_model, grid in script.CONTENDERS.values():
        make_model(random_state=0).set_params(**{name: v[0] for name, v in (grid or {}).items()})


def test_scores_are_of_rows_that_had_no_say(quick):
    X, y = load_iris(return_X_y=True, as_frame=True)
    y = y.to_numpy()
    found = quick.measure(X, y, options())
    outer = StratifiedKFold(5, shuffle=True, random_state=0)
    for seed, (train, held) in enumerate(list(outer.split(X, y))[:2]):
        mean, std = X.iloc[train].mean(), X.iloc[train].std(ddof=0)
        A, B = (X.iloc[train] - mean) / std, (X.iloc[held] - mean) / std
        inner = StratifiedKFold(3, shuffle=True, random_state=seed)
        search = GridSearchCV(
            make(seed), {"C": [1e-6, 1.0, 100.0]}, scoring="neg_log_loss", cv=inner
        )
        best = search.fit(A, y[train]).best_params_["C"]  # Brier score and log loss agree here
        assert found["searched"][seed]["chosen"] == f"C={best}"
        for name, C in (("plain", 1.0), ("searched", best)):
            p = make(seed).set_params(C=C).fit(A, y[train]).predict_proba(B)
            brier = np.square(p - np.eye(3)[y[held]]).sum(axis=1).mean() / 2
            assert found[name][seed]["brier"] == pytest.approx(brier, abs=1e-9)


def test_a_class_that_the_rows_to_train_on_lack(script):
    model = make(0).fit([[0.0], [1.0]], [0, 2])
    p = script.probabilities(model, np.array([[0.5]]), 3)
    assert p[0, 1] == 0
    assert p.sum() == pytest.approx(1)


def test_the_report(quick):
    def outcomes(*briers, chosen="defaults"):
        return [{"brier": b, "seconds": 2.0, "chosen": chosen} for b in briers]

    results = {
        "a": {"plain": outcomes(0.1, 0.3), "searched": outcomes(0.1, 0.1, chosen="C=1.0")},
        "b": {"plain": outcomes(0.1, 0.1), "searched": outcomes(0.2, 0.2, chosen="C=1.0")},
    }
    text = "\n".join(quick.report(results))
    assert "| plain | 0.1500 |  |  | 2.00 |" in text
    assert "| searched | 0.1500 | +0.0000 ± 0.1000 | 1 | 2.00 |" in text
    assert "| a | 0.2000 | 0.1000 |" in text
    assert "| searched | C=1.0 | 4 |" in text


def test_a_run_on_a_folder_of_tables(quick, tmp_path, monkeypatch, capsys):
    rng = np.random.RandomState(0)
    frame = pd.DataFrame({"x": rng.normal(size=90), "word": rng.choice(["a", "b"], 90)})
    frame.loc[::7, "x"], frame.loc[::9, "word"] = np.nan, None
    frame["target"] = np.where((frame["x"].fillna(0) > 0) ^ (rng.rand(90) < 0.1), "yes", "no")
    frame.to_csv(tmp_path / "made_up.csv.gz", index=False)
    kept = tmp_path / "kept.json"
    argv = [tmp_path, "--contenders", "searched; plain", "--folds", 1, "--json", kept]
    monkeypatch.setattr(sys, "argv", ["tuned.py", *map(str, argv)])
    quick.main()
    printed = capsys.readouterr().out
    assert printed.startswith("# Tuned against tuned")
    assert "| made_up | " in printed
    assert list(json.loads(kept.read_text())["made_up"]) == ["searched", "plain"]
    monkeypatch.setattr(sys, "argv", ["tuned.py", str(tmp_path), "--contenders", "other"])
    with pytest.raises(SystemExit):
        quick.main()
    assert "'other' is none of plain; searched" in capsys.readouterr().err
