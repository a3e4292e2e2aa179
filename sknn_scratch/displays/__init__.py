"""Pictures of fitted networks, by scikit-learn's convention: a display holds data, `plot` draws it.

matplotlib is imported only when a picture is drawn.
"""

from sknn_scratch.displays.loss_curves import LossCurve, LossCurveDisplay
from sknn_scratch.displays.network import NetworkDisplay

__all__ = ["LossCurve", "LossCurveDisplay", "NetworkDisplay"]
