"""scikit-learn's own tests of MLPClassifier, put to ScratchMLPClassifier.

Nothing is copied: the file is read from the installed scikit-learn, its import of MLPClassifier is
replaced by one of our stand-in, and of its tests those are taken that

- concern the classifier: they name it, in their body or in a parametrisation, and
- read no attribute that begins with an underscore (to set one is fine).

Where a test is parametrised with the regressor as well, that parameter is left out.
"""

import ast
import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from mlp_defaults import MLPDefaults
from sklearn.neural_network import MLPClassifier

from sknn_scratch import MLP_CLASSIFIER_SETTINGS, ScratchMLPClassifier

THEIRS, NOT_OURS = "MLPClassifier", "MLPRegressor"

# The one fits a y with one class only. That is an error here: see test_one_class_is_an_error. The
# other wants an error for a class of one row, which is kept to learn from here.
DELIBERATELY_OTHER = {"test_preserve_feature_names", "test_early_stopping_stratified"}

# How many tests there are to take, by version: the file cannot lose them, or we, without a notice.
SELECTED = {"1.6": 25, "1.9": 26}
AT_LEAST = 25


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


def concerns_the_classifier(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and THEIRS in names_in(node)
    )


def selection(tree: ast.Module) -> list[str]:
    """Names of the tests that are taken from the file."""
    return [
        node.name
        for node in tree.body
        if concerns_the_classifier(node) and not reads_underscored(node)
    ]


class PutIn(ast.NodeTransformer):
    """Import our class where the file imports theirs; test it alone where it is one of two."""

    def visit_ImportFrom(self, node: ast.ImportFrom) -> Any:
        others = [alias for alias in node.names if alias.name != THEIRS]
        if len(others) == len(node.names):
            return node
        ours = ast.ImportFrom(MLPDefaults.__module__, [ast.alias(MLPDefaults.__name__, THEIRS)], 0)
        return [ours, ast.ImportFrom(node.module, others, node.level)] if others else ours

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        for decorator in node.decorator_list:
            for values in ast.walk(decorator):
                if isinstance(values, ast.List) and THEIRS in names_in(values):
                    values.elts = [x for x in values.elts if ast.unparse(x) != NOT_OURS]
        return node


def adapted_tests(source: str, name: str) -> dict[str, Callable]:
    """Selected tests of a file, with our class in place of theirs."""
    tree = ast.parse(source)
    names = selection(tree)
    namespace: dict[str, Any] = {"__name__": name}
    exec(compile(ast.fix_missing_locations(PutIn().visit(tree)), name, "exec"), namespace)
    return {test: namespace[test] for test in names}


# ---------------------------------------------------------------- the tests of the file

# Some of them train too little to be better than chance, which MLPClassifier does not mention.
ALLOWED = "ignore:The network is no better than chance:sklearn.exceptions.ConvergenceWarning"

FILE = find_file()
ADAPTED = adapted_tests(FILE.read_text(encoding="utf-8"), str(FILE))

for _name, _test in ADAPTED.items():
    if _name not in DELIBERATELY_OTHER:
        assert _name not in globals()
        globals()[_name] = pytest.mark.filterwarnings(ALLOWED)(_test)


@pytest.fixture(autouse=True)
def same_random_numbers():
    """Some of the tests leave random_state at None."""
    np.random.seed(0)  # noqa: NPY002 - None means this generator


# ---------------------------------------------------------------- what is taken, and what is not


def test_as_many_are_taken_as_there_are():
    version = ".".join(sklearn.__version__.split(".")[:2])
    assert len(ADAPTED) >= AT_LEAST
    assert len(ADAPTED) == SELECTED.get(version, len(ADAPTED))
    exposed = {name for name in ADAPTED if globals().get(name) is ADAPTED[name]}
    assert set(ADAPTED) - exposed == DELIBERATELY_OTHER


def test_they_are_put_to_our_class():
    assert {test.__globals__[THEIRS] for test in ADAPTED.values()} == {MLPDefaults}
    parameters = [
        value
        for test in ADAPTED.values()
        for mark in getattr(test, "pytestmark", [])
        if mark.name == "parametrize"
        for value in mark.args[1]
        if inspect.isclass(value) and issubclass(value, sklearn.base.BaseEstimator)
    ]
    assert set(parameters) == {MLPDefaults}
    assert len(parameters) >= 7


def test_our_stand_in_has_their_constructor():
    other_name = {"batch_size": "at_most_200"}
    theirs = inspect.signature(MLPClassifier)
    renamed = [
        parameter.replace(default=other_name.get(name, parameter.default))
        for name, parameter in theirs.parameters.items()
    ]
    assert inspect.signature(MLPDefaults) == theirs.replace(parameters=renamed)
    assert MLPClassifier().batch_size == "auto"
    assert MLPDefaults().get_params() == MLPClassifier().get_params() | other_name


def test_our_stand_in_is_the_classifier_with_the_settings_of_theirs():
    plain = ScratchMLPClassifier(**MLP_CLASSIFIER_SETTINGS)
    assert vars(MLPDefaults()) == vars(plain)


def test_the_selection_reads_names_and_underscores():
    tree = ast.parse("""
import pytest
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
    assert selection(tree) == ["test_plain", "test_by_parameter", "test_sets_an_underscored_one"]


def test_our_class_is_put_in_before_the_decorators_run():
    tests = adapted_tests(
        """
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor

@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("Estimator", [MLPClassifier, MLPRegressor])
def test_both(Estimator, solver):
    return MLPClassifier, MLPRegressor
""",
        "example",
    )
    marks = {mark.args[0]: mark.args[1] for mark in tests["test_both"].pytestmark}
    assert marks == {"Estimator": [MLPDefaults], "solver": ["sgd", "adam"]}
    ours, other = tests["test_both"](MLPDefaults, "sgd")
    assert ours is MLPDefaults
    assert other.__name__ == NOT_OURS


# ---------------------------------------------------------------- the deliberate difference


def test_one_class_is_an_error():
    # MLPClassifier fits it, and answers with two columns of probabilities for one class.
    theirs = ADAPTED["test_preserve_feature_names"]
    with pytest.raises(ValueError, match=r"y has one class only, \[1\]"):
        theirs(MLPDefaults)


def test_feature_names_are_kept_with_early_stopping():
    rng = np.random.RandomState(0)
    X = pd.DataFrame(rng.normal(size=(40, 2)), columns=["left", "right"])
    y = pd.Series(np.tile(["no", "yes"], 20), name="answer")
    model = MLPDefaults(early_stopping=True, validation_fraction=0.2, random_state=0)
    model.fit(X, y)  # a warning that names are missing would be an error
    assert model.feature_names_in_.tolist() == ["left", "right"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(X[["right", "left"]])
