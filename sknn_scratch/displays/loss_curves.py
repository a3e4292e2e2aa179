"""Curves of the loss and of the validation score over the epochs."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from sknn_scratch import _palette
from sknn_scratch.displays.common import fitted_network, pyplot, size_in_points

#: Ratio of the highest to the lowest loss above which the scale is logarithmic.
MANY_TIMES = 30

#: Kinds of curve: line style, and name in the legend.
CURVES: dict[str, tuple[Any, str]] = {
    "loss": ("-", "Training loss"),
    "validation_loss": ("--", "Validation loss"),
    "validation_score": (":", "Validation score"),
}


class LossCurve(NamedTuple):
    """Curves of one fit, with one number per epoch; None for a curve that it lacks."""

    loss: Sequence[float]
    validation_loss: Sequence[float] | None = None
    validation_score: Sequence[float] | None = None
    best_iter: int | None = None
    """Epoch of the validation curves, counted from 1, whose parameters were kept."""


class LossCurveDisplay:
    """Draw the loss of each epoch, on the training rows and on the validation rows.

    Make it with :meth:`from_estimator` or :meth:`from_estimators`.

    Parameters
    ----------
    curves : mapping of {name: LossCurve}
        Curves of each estimator. A curve shorter than that of the training loss ends where it ends.
    loss_name : str, default="Loss"
        Name of the loss, for the axis.

    Attributes
    ----------
    ax_, figure_ : matplotlib Axes and Figure
        Axes of the losses, and their figure.
    score_ax_ : matplotlib Axes or None
        Axes of the validation scores, with their scale on the right; None if there are none.
    lines_ : dict of {name: dict of {str: Line2D}}
        Lines of each estimator: "loss", and "validation_loss" and "validation_score" if it has
        them. On these two, a dot marks the epoch whose parameters were kept.

    Examples
    --------
    >>> from sknn_scratch import LossCurveDisplay, ScratchMLPClassifier
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["even", "odd", "odd", "even"]
    >>> clf = ScratchMLPClassifier(random_state=0).fit(X, y)
    >>> LossCurveDisplay.from_estimator(clf)  # doctest: +SKIP
    """

    def __init__(self, *, curves: Mapping[Any, LossCurve], loss_name: str = "Loss"):
        self.curves = curves
        self.loss_name = loss_name

    @classmethod
    def from_estimator(cls, estimator: Any, **plot: Any) -> Self:
        """Draw the curves of one fitted estimator.

        Parameters
        ----------
        estimator : object
            As in :meth:`from_estimators`.
        **plot : dict
            Parameters of :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError, TypeError, ValueError
            As in :meth:`from_estimators`.
        """
        return cls.from_estimators({"": estimator}, **plot)

    @classmethod
    def from_estimators(cls, estimators: Mapping[Any, Any], **plot: Any) -> Self:
        """Draw the curves of fitted estimators in one picture.

        Parameters
        ----------
        estimators : mapping of {name: estimator}
            Fitted estimators, by their names in the legend. Each is a ScratchMLPClassifier or
            ScratchMLPRegressor (or anything else with a ``loss_curve_``, such as MLPClassifier), or
            a Pipeline or a search that ends in one. For ``results`` of
            ``cross_validate(..., return_estimator=True)``, pass
            ``dict(enumerate(results["estimator"]))``.
        **plot : dict
            Parameters of :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        NotFittedError, TypeError
            If an estimator is not fitted, is not an estimator, or has no ``loss_curve_``.
        ValueError
            If estimators is empty, or if a ``loss_curve_`` is, as its first epoch was interrupted.
        """
        if not estimators:
            raise ValueError("estimators is empty. Name at least one fitted estimator.")
        curves, losses = {}, set()
        for name, estimator in estimators.items():
            network, _ = fitted_network(estimator, "loss_curve_")
            if not network.loss_curve_:
                raise ValueError(f"loss_curve_ of {network!r} is empty: no epoch was finished.")
            # A score that is the loss would only be drawn twice.
            scored = getattr(network, "scoring", None) != "loss"
            curves[name] = LossCurve(
                network.loss_curve_,
                getattr(network, "validation_loss_curve_", None),
                getattr(network, "validation_scores_", None) if scored else None,
                getattr(network, "best_iter_", None),
            )
            losses.add(str(getattr(network, "loss", "loss")))
        loss = losses.pop() if len(losses) == 1 else "loss"
        return cls(curves=curves, loss_name=loss.replace("_", " ").capitalize()).plot(**plot)

    def plot(self, ax: Any = None, *, yscale: str = "auto") -> Self:
        """Draw the curves: a colour for each estimator, a line style for each kind of curve.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        yscale : {"auto", "linear", "log"}, default="auto"
            Scale of the loss. "auto" is logarithmic if all losses are positive and the highest is
            more than 30 times the lowest.

        Returns
        -------
        self : LossCurveDisplay
            The display.

        Raises
        ------
        ValueError
            If yscale is none of these.
        """
        if yscale not in ("auto", "linear", "log"):
            raise ValueError(f"yscale must be 'auto', 'linear' or 'log', got {yscale!r}.")
        plt = pyplot("LossCurveDisplay.plot")
        from matplotlib.lines import Line2D
        from matplotlib.ticker import MaxNLocator

        if ax is None:
            _, ax = plt.subplots(layout="constrained")
        self.ax_, self.figure_, self.score_ax_ = ax, ax.figure, None
        if any(curve.validation_score is not None for curve in self.curves.values()):
            self.score_ax_ = ax.twinx()
            self.score_ax_.set_ylabel("Validation score")
        self.lines_: dict[Any, dict[str, Any]] = {}
        colors = _palette.curves(len(self.curves))
        for (name, curve), color in zip(self.curves.items(), colors, strict=True):
            self.lines_[name] = lines = {}
            for kind, (style, _) in CURVES.items():
                if (values := getattr(curve, kind)) is None:
                    continue
                epochs = np.arange(len(curve.loss) - len(values), len(curve.loss)) + 1
                kept = [curve.best_iter - 1] if curve.best_iter and kind != "loss" else []
                marker = "o" if kept else "." if len(values) == 1 else ""  # one point has no line
                look = {"color": color, "marker": marker, "markevery": kept or None}
                on: Any = self.score_ax_ if kind == "validation_score" else ax
                (lines[kind],) = on.plot(epochs, values, style, label=str(name), **look)
        if yscale == "auto":
            parts = [part for c in self.curves.values() for part in (c.loss, c.validation_loss)]
            losses = np.concatenate([part for part in parts if part is not None])
            yscale = "log" if 0 < MANY_TIMES * losses.min() < losses.max() else "linear"
        ax.set(xlabel="Epoch", ylabel=self.loss_name, yscale=yscale)
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True, min_n_ticks=1))

        # The legend names the estimators, if they have names, and the kinds, if there are several.
        handles = [lines["loss"] for name, lines in self.lines_.items() if name != ""]
        color = _palette.MUTED[0] if handles else colors[0]
        drawn = {kind for lines in self.lines_.values() for kind in lines}
        keys = [(style, "", label) for kind, (style, label) in CURVES.items() if kind in drawn]
        keys = [] if handles and len(keys) == 1 else keys
        if any(
            line.get_marker() == "o" for lines in self.lines_.values() for line in lines.values()
        ):
            keys.append(("", "o", "Epoch kept"))
        for style, marker, label in keys:
            handles.append(Line2D([], [], color=color, linestyle=style, marker=marker, label=label))
        # Losses fall and scores rise: there is space in the middle of the right side.
        place = "center right" if self.score_ax_ else "best"
        width, height = size_in_points(ax)
        size = min(10, 0.05 * width, 0.35 * height / len(handles))
        (self.score_ax_ or ax).legend(handles=handles, loc=place, fontsize=size)
        return self
