"""scikit-learn's own tests of MLPClassifier and MLPRegressor, put to our classes.

Nothing is copied: the file is read from the installed scikit-learn, its import of MLPClassifier or
of MLPRegressor is replaced by one of our stand-in, and of its tests those are taken that

- concern the class: they name it, in their body or in a parametrisation, and
- read no attribute that begins with an underscore (to set one is fine).

Where a test is parametrised with both classes, the other one is left out.
"""

import ast
import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import sklearn
from mlp_defaults import MLPDefaults, MLPRegressorDefaults
from sklearn.base import BaseEstimator
from sklearn.neural_network import MLPClassifier, MLPRegressor

from sknn_scratch import (
    MLP_CLASSIFIER_SETTINGS,
    MLP_REGRESSOR_SETTINGS,
    ScratchMLPClassifier,
    ScratchMLPRegressor,
)


class Pair(NamedTuple):
    """A class of scikit-learn, and our stand-in for it."""

    theirs: str
    not_ours: str
    ours: type
    plain: BaseEstimator
    """Our class with the settings of theirs."""
    deliberately_other: set[str]
    selected: dict[str, int]
    """How many tests there are to take, by version: the file cannot lose them, or we, without a
    notice."""
    parameters: int
    """How often a test at least is parametrised with the class."""


PAIRS = {
    "classifier": Pair(
        "MLPClassifier",
        "MLPRegressor",
        MLPDefaults,
        ScratchMLPClassifier(**MLP_CLASSIFIER_SETTINGS),
        # The one fits a y with one class only. That is an error here: see
        # test_one_class_is_an_error. The other wants an error for a class of one row, which is kept
        # to learn from here.
        {"test_preserve_feature_names", "test_early_stopping_stratified"},
        {"1.6": 25, "1.9": 26},
        7,
    ),
    "regressor": Pair(
        "MLPRegressor",
        "MLPClassifier",
        MLPRegressorDefaults,
        ScratchMLPRegressor(**MLP_REGRESSOR_SETTINGS),
        # The one wants a loss of NaN where training overflows, which is an error here; the other an
        # error in other words.
        {"test_mlp_diverging_loss", "test_nonfinite_params"},
        {"1.6": 16, "1.9": 19},
        7,
    ),
}
pairs = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)


def find_file() -> Path:
    package = importlib.util.find_spec("sklearn.neural_network")
    assert package is not None and package.origin is not None
    path = Path(package.origin).parent / "tests" / "test_mlp.py"
    assert path.is_file(), f"this scikit-learn was installed without its tests: no {path}"
    return path


def names_in(node: ast.AST) -> set[str]:
    return {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def reads_underscored(node: ast.AST) -> bool:
    return any(
        isinstance(child, ast.Attribute)
        and isinstance(child.ctx, ast.Load)
        and child.attr.startswith("_")
        for child in ast.walk(node)
    )


def concerns(node: ast.AST, name: str) -> bool:
    return (
        isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and name in names_in(node)
    )


def selection(tree: ast.Module, theirs: str) -> list[str]:
    """Names of the tests of a class that are taken from the file."""
    return [
        node.name for node in tree.body if concerns(node, theirs) and not reads_underscored(node)
    ]


class PutIn(ast.NodeTransformer):
    """Import our class where the file imports theirs; test it alone where it is one of two."""

    def __init__(self, pair: Pair):
        self.pair = pair

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        theirs, ours_is = self.pair.theirs, self.pair.ours
        others = [alias for alias in node.names if alias.name != theirs]
        if len(others) == len(node.names):
            return node
        ours = ast.ImportFrom(ours_is.__module__, [ast.alias(ours_is.__name__, theirs)], 0)
        return [ours, ast.ImportFrom(node.module, others, node.level)] if others else ours

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        for decorator in node.decorator_list:
            for values in ast.walk(decorator):
                if isinstance(values, ast.List) and self.pair.theirs in names_in(values):
                    values.elts = [x for x in values.elts if ast.unparse(x) != self.pair.not_ours]
        return node


def adapted_tests(source: str, name: str, pair: Pair) -> dict[str, Callable]:
    """Selected tests of a file, with our class in place of theirs."""
    tree = ast.parse(source)
    names = selection(tree, pair.theirs)
    namespace: dict[str, Any] = {"__name__": name}
    exec(compile(ast.fix_missing_locations(PutIn(pair).visit(tree)), name, "exec"), namespace)
    return {test: namespace[test] for test in names}


# ---------------------------------------------------------------- the tests of the file

# Some of them train too little to be better than chance, which scikit-learn does not mention.
ALLOWED = "ignore:The network is no better than:sklearn.exceptions.ConvergenceWarning"

FILE = find_file()
SOURCE = FILE.read_text(encoding="utf-8")
ADAPTED = {kind: adapted_tests(SOURCE, str(FILE), pair) for kind, pair in PAIRS.items()}

for _kind, _tests in ADAPTED.items():
    for _name, _test in _tests.items():
        if _name not in PAIRS[_kind].deliberately_other:
            _exposed = f"{_name}_of_the_{_kind}"
            assert _exposed not in globals()
            globals()[_exposed] = pytest.mark.filterwarnings(ALLOWED)(_test)


@pytest.fixture
def global_random_seed():
    """What scikit-learn's own settings of tests give to those that ask for it."""
    return 42


@pytest.fixture(autouse=True)
def same_random_numbers():
    """Some of the tests leave random_state at None."""
    np.random.seed(0)  # noqa: NPY002 - None means this generator


# ---------------------------------------------------------------- what is taken, and what is not


@pytest.mark.parametrize("kind", PAIRS)
def test_as_many_are_taken_as_there_are(kind):
    version = ".".join(sklearn.__version__.split(".")[:2])
    adapted, selected = ADAPTED[kind], PAIRS[kind].selected
    assert len(adapted) >= min(selected.values())
    assert len(adapted) == selected.get(version, len(adapted))
    exposed = {
        name for name, test in adapted.items() if globals().get(f"{name}_of_the_{kind}") is test
    }
    assert set(adapted) - exposed == PAIRS[kind].deliberately_other


@pytest.mark.parametrize("kind", PAIRS)
def test_they_are_put_to_our_class(kind):
    adapted, pair = ADAPTED[kind].values(), PAIRS[kind]
    assert {test.__globals__[pair.theirs] for test in adapted} == {pair.ours}
    parameters = [
        value
        for test in adapted
        for mark in getattr(test, "pytestmark", [])
        if mark.name == "parametrize"
        for value in mark.args[1]
        if inspect.isclass(value) and issubclass(value, sklearn.base.BaseEstimator)
    ]
    assert set(parameters) == {pair.ours}
    assert len(parameters) >= pair.parameters


@pairs
def test_our_stand_in_has_their_constructor(pair):
    other_name = {"batch_size": "at_most_200"}
    cls = {"MLPClassifier": MLPClassifier, "MLPRegressor": MLPRegressor}[pair.theirs]
    theirs = inspect.signature(cls)
    if cls is MLPRegressor and "loss" not in theirs.parameters:  # before scikit-learn 1.7
        return
    renamed = [
        parameter.replace(default=other_name.get(name, parameter.default))
        for name, parameter in theirs.parameters.items()
    ]
    assert inspect.signature(pair.ours) == theirs.replace(parameters=renamed)
    assert cls().batch_size == "auto"
    assert pair.ours().get_params() == cls().get_params() | other_name


@pairs
def test_our_stand_in_is_our_class_with_the_settings_of_theirs(pair):
    assert vars(pair.ours()) == vars(pair.plain)


def test_the_selection_reads_names_and_underscores():
    tree = ast.parse("""
import pytest
from sklearn.base import BaseEstimator
from sklearn.neural_network import MLPClassifier, MLPRegressor

def test_plain():
    MLPClassifier().fit(X, y)

@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_by_parameter(Estimator):
    Estimator()

def test_sets_an_underscored_one():
    MLPClassifier()._count = 0

def test_reads_an_underscored_one():
    assert MLPClassifier()._count == 0

def test_calls_an_underscored_one():
    MLPClassifier()._method()

def test_of_the_regressor():
    MLPRegressor()

def helper():
    MLPClassifier()
""")
    taken = ["test_plain", "test_by_parameter", "test_sets_an_underscored_one"]
    assert selection(tree, "MLPClassifier") == taken
    assert selection(tree, "MLPRegressor") == ["test_by_parameter", "test_of_the_regressor"]


def test_our_class_is_put_in_before_the_decorators_run():
    tests = adapted_tests(
        """
import pytest
from sklearn.base import BaseEstimator
from sklearn.neural_network import MLPClassifier, MLPRegressor

@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_both(Estimator, solver):
    return MLPClassifier, MLPRegressor
""",
        "example",
        PAIRS["classifier"],
    )
    marks = {mark.args[0]: mark.args[1] for mark in tests["test_both"].pytestmark}
    assert marks == {"Estimator": [MLPDefaults], "solver": ["sgd", "adam"]}
    ours, other = tests["test_both"](MLPDefaults, "sgd")
    assert ours is MLPDefaults
    assert other.__name__ == "MLPRegressor"


# ---------------------------------------------------------------- the deliberate differences


def test_one_class_is_an_error():
    # MLPClassifier fits it, and answers with two columns of probabilities for one class.
    theirs = ADAPTED["classifier"]["test_preserve_feature_names"]
    with pytest.raises(ValueError, match=r"y has one class only, \[1\]"):
        theirs(MLPDefaults)


def test_an_overflow_is_an_error():
    # MLPRegressor ends with a loss of NaN, and predicts NaN.
    theirs = ADAPTED["regressor"]["test_mlp_diverging_loss"]
    with pytest.raises(ValueError, match="Training overflowed in epoch"):
        theirs()
    theirs = ADAPTED["regressor"]["test_nonfinite_params"]
    # This class does not begin to train with such values.
    with pytest.raises(AssertionError, match=r": 'X has a value of size 1\.73e\+308"):
        theirs()


def test_feature_names_are_kept_with_early_stopping():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(40, 2)), columns=["left", "right"])
    y = pd.Series(np.tile(["no", "yes"], 20), name="answer")
    model = MLPDefaults(early_stopping=True, validation_fraction=0.2, random_state=0)
    model.fit(X, y)  # a warning that names are missing would be an error
    assert model.feature_names_in_.tolist() == ["left", "right"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[["right", "left"]])
