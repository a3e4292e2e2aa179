"""A table to try things on, with words (strings) and gaps (missing values)."""

import csv
from importlib.resources import files
from typing import Any

import numpy as np
from sklearn.utils import Bunch

#: Numeric columns of the table.
NUMBERS = ("bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g")


def load_penguins(*, return_X_y: bool = False, as_frame: bool = False) -> Any:
    """Load the penguins of the Palmer Archipelago (classification).

    ===================   ==========================================
    Rows                  344
    Numeric columns       4, in mm and g, with 8 missing values
    Columns of strings    island; sex, with 11 missing values
    Classes               Adelie (152), Chinstrap (68), Gentoo (124)
    ===================   ==========================================

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return the pair (data, target) only.
    as_frame : bool, default=False
        Whether data is a pandas DataFrame and target a Series. Otherwise they are arrays; data
        holds objects, with None for missing values.

    Returns
    -------
    data : Bunch
        With the attributes data (344, 6), target (344,), feature_names and target_names, and frame
        (a DataFrame of all columns, or None). With ``return_X_y=True``, the pair (data, target).

    Raises
    ------
    ImportError
        If as_frame=True and pandas is not installed.

    References
    ----------
    K. B. Gorman, T. D. Williams and W. R. Fraser, "Ecological sexual dimorphism and environmental
    variability within a community of Antarctic penguins (genus Pygoscelis)", PLoS ONE 9(3), 2014.
    The table is that of the R package palmerpenguins (CC0), without the years.

    Examples
    --------
    >>> from sknn_scratch import ScratchMLPClassifier
    >>> from sknn_scratch.datasets import load_penguins
    >>> X, y = load_penguins(return_X_y=True)
    >>> X[3].tolist()
    ['Torgersen', None, None, None, None, None]
    >>> ScratchMLPClassifier(random_state=0).fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.95
    True
    """
    text = files("sknn_scratch").joinpath("penguins.csv").read_text(encoding="utf-8")
    header, *rows = csv.reader(text.splitlines())
    *names, target_name = header
    data = np.array([[cell or None for cell in row[:-1]] for row in rows], dtype=object)
    for j, name in enumerate(names):
        if name in NUMBERS:
            data[:, j] = [None if cell is None else float(cell) for cell in data[:, j]]
    target = np.array([row[-1] for row in rows])
    found = Bunch(
        data=data,
        target=target,
        frame=None,
        feature_names=names,
        target_names=np.unique(target),
    )
    if as_frame:
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "load_penguins(as_frame=True) needs pandas. Install it with: pip install pandas"
            ) from error
        found.data = pd.DataFrame(data, columns=names).astype(dict.fromkeys(NUMBERS, float))
        found.target = pd.Series(target, name=target_name)
        found.frame = found.data.assign(**{target_name: found.target})
    return (found.data, found.target) if return_X_y else found
