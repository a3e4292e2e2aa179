"""The benchmark of regressors prepares tables as it says, and its errors are what they say."""

import argparse
import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score

pd = pytest.importorskip("pandas")

BENCHMARKS = Path(__file__).parents[1] / "docs" / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("regression")


def mixed(rows=60):
    """Numbers and strings, some missing, and a number that follows from both."""
    rng = np.random.RandomState(0)
    X = pd.DataFrame({"number": rng.normal(5, 3, rows), "string": rng.choice(["a", "b"], rows)})
    y = X["number"].to_numpy() + 4 * (X["string"] == "b").to_numpy()
    X.loc[::9, "number"] = np.nan
    X.loc[4::9, "string"] = None
    return X, y


def options(**given):
    return argparse.Namespace(**{"rows": 0, "folds": 6, "frames": False, "far_out": False, **given})


def test_scores(script):
    rng = np.random.RandomState(0)
    y, predicted = rng.normal(3, 7, size=(2, 50))
    found = script.scores(predicted, y)
    assert found["nrmse"] == pytest.approx(np.sqrt(1 - r2_score(y, predicted)))
    assert found["nmae"] == pytest.approx(mean_absolute_error(y, predicted) / y.std())


def test_each_row_is_held_out_twice_and_what_is_learnt_is_from_the_others(script):
    X, y = mixed()
    folds = list(script.folds(X, y, options()))
    assert len(folds) == 6
    held = np.concatenate([b for *_, b in folds])
    assert sorted(held) == sorted([*y, *y])
    for A, a, B, b in folds:
        assert (len(a), len(b)) == (40, 20) == (len(A), len(B))
        assert np.isfinite(np.concatenate([A, B])).all()
        np.testing.assert_allclose([A[:, 0].mean(), A[:, 0].std()], [0, 1], atol=1e-12)
    assert len(list(script.folds(X, y, options(folds=2)))) == 2
    assert [len(a) for _, a, *_ in script.folds(X, y, options(rows=30, folds=1))] == [20]


def test_frames_are_handed_over_as_they_were_read(script):
    X, y = mixed()
    A, _, B, _ = next(script.folds(X, y, options(frames=True)))
    assert list(A.columns) == list(B.columns) == ["number", "string"]
    assert A.isna().any().all()


def test_targets_that_are_moved_far_out_are_those_to_train_on(script):
    X, y = mixed(300)
    plain = next(script.folds(X, y, options()))
    moved = next(script.folds(X, y, options(far_out=True)))
    change = np.abs(moved[1] - plain[1]) / plain[1].std()
    assert np.count_nonzero(change) == 2
    np.testing.assert_allclose(change[change > 0], 20)
    np.testing.assert_array_equal(moved[3], plain[3])


@pytest.mark.slow
def test_the_script(script, monkeypatch, capsys, tmp_path):
    X, y = mixed(90)
    X.assign(target=y).to_csv(tmp_path / "table.csv.gz", index=False)
    file = tmp_path / "scores.json"
    models = "ours,MLPRegressor (y scaled),boosting"
    arguments = [tmp_path, "--models", models, "--folds", "2", "--json", file]
    arguments += ["--set", "max_iter=2", "loss=squared_error"]
    monkeypatch.setattr(sys, "argv", ["regression.py", *map(str, arguments)])
    script.main()
    printed = capsys.readouterr().out
    scores = json.loads(file.read_text())["table"]
    assert list(scores) == [*models.split(","), "max_iter=2, loss=squared_error"]
    mean = np.mean([fold["nrmse"] for fold in scores["ours"]])
    assert f"| ours | {mean:.4f} |" in printed
    assert "sets with a better RMSE / sd of ours" in printed
    assert scores["ours"] != scores["max_iter=2, loss=squared_error"]
    monkeypatch.setattr(sys, "argv", ["regression.py", str(tmp_path), "--frames", "--folds", "1"])
    script.main()
    assert "| by hand |" in capsys.readouterr().out


def test_an_unknown_parameter_is_refused_before_all_fits(script, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", ["regression.py", str(tmp_path), "--set", "wheels=3"])
    with pytest.raises(ValueError, match="Invalid parameter 'wheels' for estimator ScratchMLPReg"):
        script.main()
