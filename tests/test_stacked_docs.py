"""The scripts about the stacked backend run, and say what they should."""

import importlib
import os
import re
import runpy
import subprocess
import sys
import warnings
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from sknn_scratch import ScratchMLPEnsembleClassifier

DOCS = Path(__file__).parents[1] / "docs"


def run(*command):
    """Output of Python in a process of its own, in which scripts of the benchmarks are modules."""
    path = os.pathsep.join([str(DOCS.parent), str(DOCS / "benchmarks")])
    environment = os.environ | {"PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, *map(str, command)]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment, timeout=300
    ).stdout


#: Fewer candidates and stacks than the script has.
SMALL_SEARCH = """
import search_speed

search_speed.GRID["net__hidden_layer_sizes"] = [4, 8]
search_speed.GRID["net__learning_rate_init"] = [0.003, 0.01]
search_speed.STACKS = (1, 4)
search_speed.main()
"""


@pytest.mark.slow
def test_search_speed(tmp_path):
    options = "--cases=iris", "--rounds=1", "--epochs=2", "--workers=1,2", "--out", tmp_path
    options = *options, "--modelled=2,16"
    printed = run("-c", SMALL_SEARCH, *options).splitlines()
    lines = (tmp_path / "search_speed.md").read_text().splitlines()
    *rows, two, sixteen = [line for line in lines if line.startswith("| iris")]
    assert [line for line in printed if line.startswith("| iris")] == rows
    for row in (two, sixteen):
        *_, plain, together, ratio = row.strip("| ").split(" | ")
        assert float(ratio) == pytest.approx(float(plain) / float(together), abs=0.06)
    for workers, row in zip((1, 2), rows, strict=True):
        found, *numbers = (float(cell) for cell in row.strip("| ").split(" | ")[1:])
        assert found == workers
        theirs, ours, stacked, *ratios, _, _ = numbers
        assert ratios == pytest.approx([theirs / stacked, ours / stacked], abs=0.06)
    assert sum(re.match(r"\| \d+-\d+-\d+ ", line) is not None for line in lines) == 5


@pytest.fixture
def script(monkeypatch):
    """The script search_speed.py, as a module."""
    monkeypatch.syspath_prepend(str(DOCS / "benchmarks"))
    return importlib.import_module("search_speed")


@pytest.mark.parametrize(
    "name, rate, change, message",
    [
        ("ours", 0.01, 1 / 30, None),
        ("ours", 0.01, 2 / 30, "not the same scores"),
        ("ours", 0.1, 2 / 30, None),
        ("theirs", 0.01, 0.01, "not the same work"),
    ],
)
def test_other_scores_are_noticed(script, name, rate, change, message):
    scores, rates = np.full((5, 24), 0.9), np.full(24, 0.01)
    rates[0] = rate
    changed = scores.copy()
    changed[:, 0 if name == "ours" else slice(None)] += change
    turn = (script.OURS, script.STACKED) if name == "ours" else (script.SKLEARN, script.PROCESSES)
    runs = {turn: script.Run(1.0, scores, rates) for turn in script.CONTENDERS}
    runs[turn] = script.Run(1.0, changed, rates)
    with nullcontext() if message is None else pytest.raises(RuntimeError, match=message):
        script.check_same_results(script.CASES["iris"], runs)


@pytest.mark.parametrize(
    "pieces, workers, end",
    [
        ([(0, 2), (0, 2), (0, 2)], 1, 6),
        ([(0, 2), (0, 2), (0, 2)], 2, 4),
        ([(0, 2), (5, 1)], 2, 6),  # the second comes later
        ([(1, 3), (1, 1), (1, 1)], 2, 4),  # who is free first takes the third
    ],
)
def test_work_is_taken_by_who_is_free_first(script, pieces, workers, end):
    assert script.end_of(pieces, workers) == end


def test_ensembles_and_words_are_timed(monkeypatch, capsys):
    pytest.importorskip("pandas")
    monkeypatch.syspath_prepend(str(DOCS / "examples"))
    example = importlib.import_module("stacked_search")
    monkeypatch.setattr(
        example,
        "ScratchMLPEnsembleClassifier",
        partial(ScratchMLPEnsembleClassifier, 2, max_iter=2),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        example.together(1, ["iris"], [2])
        example.words(1, 100, [1])
    *_, ensembles, words = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\| iris \| 2 \| \d+\.\d\d \| \d+\.\d\d \|", ensembles)
    assert re.fullmatch(r"1 epochs: words \d+\.\d s, encoded before \d+\.\d s", words)


def test_a_batch_is_drawn(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    script = str(DOCS / "examples" / "stacked_search.py")
    monkeypatch.setattr(sys, "argv", [script, "--draw", str(tmp_path / "batch.png")])
    runpy.run_path(script, run_name="__main__")
    assert (tmp_path / "batch.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_weighed():
    script = DOCS / "examples" / "stacked_search.py"
    lines = run(script, "--memory", "--rows=2000", "--fits=20").splitlines()
    peaks = {
        name: int(re.search(r"peak ([\d,]+) MB", line)[1].replace(",", ""))
        for line in lines
        for name in [line.split(":")[0]]
    }
    assert 50 < peaks["loky"]
    # Ten tasks of a worker wait together, each with 1.1 MB of rows; in processes there is one.
    assert peaks["stacked"] < 1.15 * peaks["loky"]
