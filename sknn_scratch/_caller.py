"""Find out who called: the user's own line, an estimator, a search or a pool of workers."""

import sys
import warnings
from pathlib import Path
from types import FrameType

import joblib
import sklearn

#: Folders of this package, and of what may call it on behalf of the user.
OURS = str(Path(__file__).parent)
SKLEARN, JOBLIB = (str(Path(module.__file__).parent) for module in (sklearn, joblib))

#: Modules of scikit-learn through which one call of fit leads to one fit here.
ONE_FIT = tuple(
    str(Path(SKLEARN, name)) for name in ("base.py", "pipeline.py", "utils", "callback")
)


def _callers() -> list[FrameType]:
    """Return the frames of the callers, innermost first, starting outside this module."""
    frame: FrameType | None = sys._getframe(2)
    frames = []  # a generator that is dropped before its end would lose an interrupt there
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    return frames


def warn_user(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line outside this package, scikit-learn and joblib."""
    level = 1
    for frame in _callers():
        level += 1
        if not frame.f_code.co_filename.startswith((OURS, SKLEARN, JOBLIB)):
            break
    warnings.warn(message, category, stacklevel=level)


def is_one_of_many() -> bool:
    """Tell whether a fit is one of several, as in a search, and not called by the user.

    A Pipeline that ends in the network makes only one fit, and does not count. Estimators of other
    packages may be in between.
    """
    files = [frame.f_code.co_filename for frame in _callers()]
    return any(
        file.startswith((SKLEARN, JOBLIB)) and not file.startswith(ONE_FIT) for file in files
    )
