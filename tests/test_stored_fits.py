"""Short fits of every kind end where they did: up to rounding anywhere, to the bit in one process.

The judge is ``stored_fits.json``, which ``python tests/stored_fits.py summarise`` rewrites.
"""

import json
import re

import numpy as np
import pytest
import stored_fits
from stored_fits import (
    BITS_ONLY,
    CALLBACK_FITS,
    FITS,
    HAS_CALLBACKS,
    NUMBERS,
    SUMMARIES,
    TOLERANCES,
    binary,
    computed,
    departures,
    difference,
    fault,
    fit,
    flattened,
    main,
    refused,
    story,
    summary,
)

STORED = json.loads(SUMMARIES.read_text(encoding="utf-8"))


def fit_named(name):
    if name in CALLBACK_FITS and not HAS_CALLBACKS:
        pytest.skip("callbacks came with scikit-learn 1.9")
    return FITS[name]


@pytest.mark.parametrize("name", STORED)
def test_a_fit_ends_where_it_did(name):
    assert departures(STORED[name], summary(computed(fit_named(name)))) == []


def test_every_fit_has_a_summary():
    assert STORED.keys() == (FITS | CALLBACK_FITS).keys() - BITS_ONLY.keys()
    assert len(STORED) > 80


@pytest.mark.parametrize(
    "name",
    [
        "defaults, wide",
        "lbfgs, weighted",
        "sparse, own validation",
        "warm start, set aside",
        "partial_fit, a generator",
        "relu, scaled start, sgd, weighted",
        "resumed, set aside",
        "stacked, uneven streams",
        "stacked, set aside",
    ],
)
def test_a_fit_ends_the_same_to_the_bit_in_one_process(name):
    run = fit_named(name)
    assert fault(flattened(computed(run)), flattened(computed(run))) == ""


# ---------------------------------------------------------------- what the comparisons find


@pytest.mark.parametrize("name", ["set aside", "float32, set aside", "stacked search"])
def test_more_than_rounding_is_found(name):
    stored = STORED[name]
    rtol, atol = TOLERANCES[stored.get("dtype", "float64")]
    for key, value in stored.items():
        if key in NUMBERS:
            for factor, n_found in ((0.5, 0), (2, 1)):
                changed = [*value[:-1], value[-1] + factor * (rtol * abs(value[-1]) + atol)]
                assert len(departures(stored, stored | {key: changed})) == n_found
            assert departures(stored, stored | {key: [*value, 1.0]}) != []
        else:
            assert departures(stored, stored | {key: "other"}) == [f"{key} was {value}, is other"]
        less = {other: each for other, each in stored.items() if other != key}
        assert departures(stored, less) != []
        assert departures(less, stored) != []


@pytest.mark.parametrize(
    "change", [{"beta_2": 0.9501}, {"epsilon": 1e-6}, {"alpha": 1.01e-4}, {"random_state": 1}]
)
def test_a_fit_with_another_setting_is_found(change):
    settings = {"max_iter": 8, "class_weight": {"yes": 2.0}}
    before = summary(computed(story(binary, **settings)))
    assert departures(before, summary(computed(story(binary, **settings)))) == []
    assert departures(before, summary(computed(story(binary, **settings | change)))) != []


NAN = np.array([np.nan, 1.0])


@pytest.mark.parametrize(
    "before, now, words",
    [
        (np.ones(3), np.array([1, 1, np.nextafter(1, 2)]), "differs by up to 2.22e-16"),
        (np.zeros(1), -np.zeros(1), "differs by up to 0"),
        (NAN, np.array([0.0, 3.0]), "differs by up to 2"),
        (NAN, NAN.copy(), ""),
        (np.ones(3), np.ones(3, dtype=np.float32), "was float64 (3,), is float32 (3,)"),
        (np.ones(3), np.ones((3, 1)), "was float64 (3,), is float64 (3, 1)"),
        (np.ones(3), np.array("None"), "was float64 (3,), is <U4 ()"),
        (np.array("stalled"), np.array("max_iter"), "was ...'stalled'..., is ...'max_iter'..."),
        (np.array(["no"]), np.array(["no", "no"]), "was ...['no']..., is ...['no', 'no']..."),
        (np.array("same"), np.array("same"), ""),
        (None, np.ones(3), "is new"),
        (np.ones(3), None, "is missing"),
    ],
)
def test_a_single_bit_is_found(before, now, words):
    size, found = difference(before, now)
    assert found == words
    assert (size > 0) == bool(words)


def test_the_largest_difference_is_named():
    before = {"a": np.ones(2), "b": np.ones(2), "c": np.ones(2)}
    assert fault(before, before) == ""
    now = {"a": np.ones(2), "b": np.full(2, 1.25), "c": np.array([1, 1.5])}
    assert fault(before, now) == "c differs by up to 0.5; 2 of 3 arrays differ"


def test_bits_of_every_kind_of_labels_are_read_again(tmp_path, capsys):
    file, only = str(tmp_path / "bits"), "^(multilabel, log_loss, sgd|labels as)"
    assert main(["write", file, "--only", only]) == 0
    assert main(["check", file, "--only", only]) == 0
    assert capsys.readouterr().out.endswith(", 0 differ\n")


def test_the_command_line(tmp_path, monkeypatch, capsys):
    file, only = str(tmp_path / "bits"), "^sgd, (constant|no momentum|plain momentum)$"
    assert main(["write", file, "--only", only]) == 0
    assert main(["check", file, "--only", only]) == 0
    assert capsys.readouterr().out.endswith("\n3 fits, 0 differ\n")

    assert main(["check", file, "--only", "^sgd, (constant|invscaling)$"]) == 1
    assert capsys.readouterr().out.endswith(
        "\nsgd, invscaling: is not in the file\n2 fits, 1 differ\n"
    )

    monkeypatch.setitem(FITS, "sgd, constant", story(binary))
    monkeypatch.setitem(FITS, "sgd, no momentum", story(binary, refused(fit())))
    assert main(["check", file, "--only", only]) == 1
    *_, first, second, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"sgd, constant: 1: .* arrays differ", first)
    assert second == "sgd, no momentum: fails with AssertionError: the step was to fail"
    assert last == "3 fits, 2 differ"


def test_other_circumstances_are_named(tmp_path, monkeypatch, capsys):
    file, only = str(tmp_path / "bits"), "^sgd, constant$"
    assert main(["write", file, "--only", only]) == 0
    then = stored_fits.circumstances()
    monkeypatch.setattr(stored_fits, "circumstances", lambda: then | {"numpy": "9.9"})
    assert main(["check", file, "--only", only]) == 0
    assert f"numpy was {np.__version__}, is 9.9" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["write"], ["check"], ["summarise", "file"], ["check", "file", "--only", "!"]]
)
def test_a_wrong_command_line_is_refused(arguments):
    with pytest.raises(SystemExit):
        main(arguments)
