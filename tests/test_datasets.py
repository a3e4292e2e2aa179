"""The table that comes with the package."""

import sys

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import cross_val_score

from sknn_scratch import ScratchMLPClassifier
from sknn_scratch.datasets import load_penguins


def test_arrays_and_frames():
    arrays, frames = load_penguins(), load_penguins(as_frame=True)
    assert arrays.data.shape == (344, 6)
    assert arrays.frame is None
    assert frames.frame.shape == (344, 7)
    assert arrays.target_names.tolist() == ["Adelie", "Chinstrap", "Gentoo"]
    assert frames.data.columns.tolist() == arrays.feature_names
    assert frames.data.isna().sum().tolist() == [0, 2, 2, 2, 2, 11]
    assert frames.target.value_counts().to_dict() == {"Adelie": 152, "Gentoo": 124, "Chinstrap": 68}
    assert frames.data.select_dtypes("number").mean().round(1).tolist() == [
        43.9,
        17.2,
        200.9,
        4201.8,
    ]
    pd.testing.assert_frame_equal(
        pd.DataFrame(arrays.data, columns=arrays.feature_names).isna(), frames.data.isna()
    )


def test_a_network_learns_it_as_it_comes():
    X, y = load_penguins(return_X_y=True)
    Z, z = load_penguins(return_X_y=True, as_frame=True)
    found = cross_val_score(ScratchMLPClassifier(random_state=0), X, y)
    assert found.mean() > 0.98
    np.testing.assert_array_equal(
        cross_val_score(ScratchMLPClassifier(random_state=0), Z, z), found
    )


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    load_penguins()
    with pytest.raises(ImportError, match=r"needs pandas\. Install it with: pip install pandas"):
        load_penguins(as_frame=True)
