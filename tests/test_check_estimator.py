"""scikit-learn's own checks of an estimator, all of them, with no failure expected."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from sknn_scratch import ScratchMLPClassifier, ScratchMLPRegressor


@parametrize_with_checks(
    [
        ScratchMLPClassifier(),
        ScratchMLPClassifier((), solver="lbfgs", loss="log_loss"),
        ScratchMLPRegressor(),
        ScratchMLPRegressor((), solver="lbfgs", loss="squared_error", scale_targets=False),
    ]
)
def test_check_estimator(estimator, check):
    check(estimator)


# With these settings some of the checks' data sets need more epochs than they get, and say so.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [
        ScratchMLPClassifier(
            (8, 4),
            "tanh",
            solver="sgd",
            learning_rate="adaptive",
            learning_rate_init=0.1,
            max_iter=300,
            loss="log_loss",
        ),
        ScratchMLPClassifier(
            (20,),
            "relu",
            init="glorot",
            loss="log_loss",
            learning_rate="constant",
            max_iter=200,
            weight_decay=0.01,
        ),
        ScratchMLPRegressor(
            (20,),
            "relu",
            init="glorot",
            solver="sgd",
            learning_rate="adaptive",
            learning_rate_init=0.1,
            max_iter=300,
        ),
    ]
)
def test_check_estimator_of_settings_that_may_not_converge(estimator, check):
    check(estimator)
