"""A neural network from scratch, as a scikit-learn classifier."""

from sknn_scratch.classifier import ScratchMLPClassifier

__all__ = ["ScratchMLPClassifier"]
__version__ = "0.1.0.dev0"
