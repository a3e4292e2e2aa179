"""A neural network from scratch, as a scikit-learn classifier."""

from sknn_scratch.callbacks import Checkpoint
from sknn_scratch.classifier import ScratchMLPClassifier
from sknn_scratch.displays import LossCurveDisplay, NetworkDisplay

__all__ = ["Checkpoint", "LossCurveDisplay", "NetworkDisplay", "ScratchMLPClassifier"]
__version__ = "0.1.0.dev0"
