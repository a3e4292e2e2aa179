"""A neural network from scratch, as a scikit-learn classifier and regressor."""

import sknn_scratch.parallel.backend  # noqa: F401 - the joblib backend "stacked" plugs itself in
from sknn_scratch.callbacks.checkpoint import Checkpoint
from sknn_scratch.callbacks.recorder import LearningRecorder
from sknn_scratch.displays import LossCurveDisplay, NetworkDisplay
from sknn_scratch.estimator.classifier import MLP_CLASSIFIER_SETTINGS, ScratchMLPClassifier
from sknn_scratch.estimator.ensemble import ScratchMLPEnsembleClassifier
from sknn_scratch.estimator.regressor import MLP_REGRESSOR_SETTINGS, ScratchMLPRegressor

__all__ = [
    "MLP_CLASSIFIER_SETTINGS",
    "MLP_REGRESSOR_SETTINGS",
    "Checkpoint",
    "LearningRecorder",
    "LossCurveDisplay",
    "NetworkDisplay",
    "ScratchMLPClassifier",
    "ScratchMLPEnsembleClassifier",
    "ScratchMLPRegressor",
]
__version__ = "0.1.0"
