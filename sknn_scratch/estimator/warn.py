"""Warnings that point at the line of the user's code that led to them."""

import sys
import warnings
from pathlib import Path

import joblib
import sklearn

#: Folders of code that the user has not written: this package, and what calls it.
NOT_THE_USERS = (
    str(Path(__file__).parents[1]),
    *(str(Path(module.__file__).parent) for module in (sklearn, joblib)),
)


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn, at the innermost line that is neither of this package nor of scikit-learn."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_code.co_filename.startswith(NOT_THE_USERS):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
