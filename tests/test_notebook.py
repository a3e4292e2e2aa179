"""What a notebook shows: the parameters that were set, and a description of each."""

import inspect
import re

import pytest
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier

from sknn_scratch import ScratchMLPClassifier

SETTINGS = {"hidden_layer_sizes": (7,), "activation": "tanh", "max_iter": 500}


@pytest.fixture(scope="module", params=[False, True], ids=["not fitted", "fitted"])
def models(request):
    """Ours, and scikit-learn's, which tells what its version can show."""
    both = ScratchMLPClassifier(**SETTINGS), MLPClassifier(tol=1e-2, **SETTINGS)
    return [model.fit(*load_iris(return_X_y=True)) for model in both] if request.param else both


def described(model):
    """Parameters and fitted attributes whose description is shown."""
    html = model._repr_html_()
    return set(re.findall(r'"param-doc-description"[^>]*>\s*(\w+): [^<]+<br><br>[^<\s]', html))


def highlighted(model):
    """Parameters in rows for those that were set."""
    rows = re.findall(r'<tr class="user-set">(.*?)</tr>', model._repr_html_(), re.DOTALL)
    return {re.search(r"copyToClipboard\('(\w+)'", row)[1] for row in rows}


def shown(model):
    """All that there is to describe."""
    names = [name for name, _ in inspect.getmembers(model)]
    fitted = {name for name in names if name.endswith("_") and not name.startswith("_")}
    return set(model.get_params()), fitted


def test_parameters_that_were_set(models):
    ours, theirs = models
    assert highlighted(ours) == highlighted(theirs) - {"tol"}
    text = re.search("<pre>(.*?)</pre>", ours._repr_html_(), re.DOTALL)[1]
    assert set(re.findall(r"(\w+)=", text)) == set(SETTINGS)


def test_descriptions(models):
    ours, theirs = models
    for mine, its in zip(shown(ours), shown(theirs), strict=True):
        if its & described(theirs):
            assert mine - described(ours) == set()


def test_description_of_every_parameter_and_attribute_in_the_docstring(models):
    ours, _ = models
    entries = re.findall(r"^    (\w+) : ", ScratchMLPClassifier.__doc__, re.MULTILINE)
    parameters, fitted = shown(ours)
    assert (parameters | fitted) - set(entries) == set()
    # And no entry is of what is not there; names of columns are where there are columns with names.
    if fitted:
        assert set(entries) - parameters - fitted == {"feature_names_in_"}


def test_link_to_the_documentation(models):
    for model in models:
        assert '<a class="sk-estimator-doc-link' in model._repr_html_()
