"""A recording of how a network learns, and the page that shows it."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError

from sknn_scratch._compat import Interval, InvalidParameterError
from sknn_scratch.callbacks.protocol import JobFollower
from sknn_scratch.network.features import FeatureMap
from sknn_scratch.network.model import Network
from sknn_scratch.page.content import content_of
from sknn_scratch.page.html import page_of
from sknn_scratch.page.recording import Recording, dense_rows, rows_to_keep
from sknn_scratch.training.job import Epoch, TrainingJob, TrainingState

#: Approximate number of parameters kept over all epochs: 250 kB of a page.
MOST_NUMBERS = 45_000

#: Least number of epochs kept of a large network, and the most parameters that it may have.
FEWEST_FRAMES, LARGEST = 12, 150_000


class LearningRecorder(JobFollower):
    """Callback that records how a network learns, and writes a page on which you can watch it.

    It keeps the parameters after some of the epochs, more of the early than of the late ones.
    :meth:`to_html` turns them into one self-contained file for any browser. It shows what each unit
    sees, the decision boundary and the loss, with a slider to go back and forth. The page computes
    the probabilities itself; they are those of ``predict_proba``.

    Set it with ``clf.set_callbacks(LearningRecorder())``, on the network itself or on the last step
    of a Pipeline, in any version of scikit-learn. It records one fit, and cannot follow a search.

    Parameters
    ----------
    max_frames : int, default=100
        Maximum number of epochs to keep. Large networks keep fewer, but at least 12, so that the
        file stays small.

    Attributes
    ----------
    recording_ : Recording
        Recording of the last fit.

    Raises
    ------
    ValueError
        When fit begins: if it is one of many fits, or ``partial_fit``, or if the network has more
        than 150,000 parameters.
    TypeError
        When fit begins, if the estimator is not a ScratchMLPClassifier.

    Examples
    --------
    >>> from sknn_scratch import LearningRecorder, ScratchMLPClassifier
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["even", "odd", "odd", "even"]
    >>> recorder = LearningRecorder()
    >>> clf = ScratchMLPClassifier((4,), random_state=0).set_callbacks(recorder).fit(X, y)
    >>> recorder.to_html("xor.html")  # doctest: +SKIP
    """

    recording_: Recording
    _drafts: dict[int, tuple[Recording, dict[int, Network]]]

    def __init__(self, *, max_frames: int = 100):
        self.max_frames = max_frames

    def setup(self, estimator: Any, context: Any) -> None:
        """Check, before anything is computed, that this fit can be recorded."""
        allowed = Interval(Integral, 2, None, closed="left")
        if not allowed.is_satisfied_by(self.max_frames):
            raise InvalidParameterError(
                f"max_frames of LearningRecorder must be {allowed}; got {self.max_frames!r}."
            )
        if not is_classifier(estimator):
            raise TypeError(
                "LearningRecorder follows the fit of a ScratchMLPClassifier, whose probabilities "
                f"its page shows, not of a {type(estimator).__name__}."
            )
        self.check_one_fit(
            estimator,
            context,
            partial="Call fit, with max_iter epochs.",
            many="Fit the best candidate with it, after a search without it.",
        )

    def follow(
        self,
        estimator: Any,
        job: TrainingJob,
        data: Mapping[str, Any],
        fitted: Callable[[TrainingState], dict[str, Any]],
    ) -> tuple[TrainingState, Callable[[Epoch], None]]:
        """Return the job's own start, and what to call with the record of each epoch."""
        n_params = job.start.theta.shape[-1]
        if n_params > LARGEST:
            raise ValueError(
                f"LearningRecorder records networks of up to {LARGEST:,} parameters, and this one "
                f"has {n_params:,}. Give it fewer units (hidden_layer_sizes) or fewer columns, for "
                "instance by sklearn.feature_selection.SelectKBest."
            )
        before = fitted(job.start)
        features: FeatureMap = before["network_"].features
        rows = rows_to_keep(job.Y, job.rows, data["X"].shape[1])
        names = before.get("feature_names_in_", [f"x{j}" for j in range(data["X"].shape[1])])

        def network(theta: NDArray) -> Network:
            return Network.from_theta(job.architecture, theta.copy(), features)

        frames = {job.start.n_iter: network(job.start.theta)}
        draft = Recording(
            epochs=[],
            networks=[],
            kept=0,
            X=dense_rows(data["X"], rows),
            targets=job.Y[rows],
            n_learnt=job.n_rows,
            classes=before["_task"].classes.tolist(),
            feature_names=[str(name) for name in names],
            input_names=[],
            loss_name=job.architecture.loss,
            loss_curve=[],
            validation_loss_curve=None,
        )
        # One per estimator: clones that are fitted at the same time share the callback.
        self.__dict__.setdefault("_drafts", {})[id(estimator)] = draft, frames
        due = _due(job.start.n_iter, job.max_iter, self._most_frames(n_params))

        def record_if_due(epoch: Epoch) -> None:
            if (epoch.number in due or epoch.stop_reason) and epoch.stop_reason != "diverged":
                frames[epoch.number] = network(epoch.state().theta)

        return job.start, record_if_due

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Record, at the end of the fit, the network that it ended with and its losses."""
        if context.task_name != "fit" or not hasattr(estimator, "network_"):
            return
        n, scores = estimator.n_iter_, estimator.validation_scores_
        best = estimator.best_iter_
        # If the fit continued another, the best epoch may belong to that one.
        end = n if best is None else max(best - (len(scores) - n), 0)
        draft, frames = self._drafts.pop(id(estimator))
        frames = dict(sorted((frames | {end: estimator.network_}).items()))
        losses, validation = estimator.loss_curve_, estimator.validation_loss_curve_
        self.recording_ = replace(
            draft,
            epochs=list(frames),
            networks=list(frames.values()),
            kept=list(frames).index(end),
            input_names=[str(name) for name in estimator.input_names_],
            loss_curve=losses[len(losses) - n :],
            validation_loss_curve=validation and validation[len(validation) - n :],
        )

    def teardown(self, estimator: Any, context: Any) -> None:
        """Forget what a failed fit leaves behind."""
        self.__dict__.get("_drafts", {}).pop(id(estimator), None)

    def to_html(
        self,
        path: str | os.PathLike[str],
        *,
        title: str | None = None,
        columns: tuple[str | int, str | int] | None = None,
        feature_names: Sequence[str] | None = None,
        image_shape: tuple[int, int] | None = None,
    ) -> Path:
        """Write the page of the last fit: one file, for any browser.

        If two numeric columns vary, each unit is drawn as a picture of its activation in their
        plane. Otherwise a unit is drawn by its weights: as bars, one per input, or as an image.

        Parameters
        ----------
        path : str or path-like
            The file, which is replaced if it exists.
        title : str, default=None
            Headline of the page; by default it names the classes.
        columns : tuple of two str or int, default=None
            Names or indices of two numeric columns, to show their plane although there are more.
            The other columns are held at their medians, or at their most frequent level.
        feature_names : sequence of str, default=None
            Names of the columns; by default those of ``feature_names_in_``, or x0, x1, ...
        image_shape : tuple of two int, default=None
            Height and width in pixels, if the columns are the pixels of an image, row by row.

        Returns
        -------
        path : Path
            The file.

        Raises
        ------
        NotFittedError
            If nothing has been recorded.
        ValueError
            If a column is unknown or not numeric, if image_shape or feature_names does not match
            the number of columns, or if columns and image_shape are both given.
        OSError
            If the file cannot be written.
        """
        if not hasattr(self, "recording_"):
            raise NotFittedError(
                "This LearningRecorder has recorded nothing yet. Set it by "
                "clf.set_callbacks(recorder), and call clf.fit(X, y)."
            )
        content = content_of(
            self.recording_,
            title=title,
            columns=columns,
            feature_names=feature_names,
            image_shape=image_shape,
        )
        path = Path(path)
        # Half of a surrogate pair, as a name of the user's may have one, is not in UTF-8.
        path.write_text(page_of(content), encoding="utf-8", errors="xmlcharrefreplace")
        return path

    def _most_frames(self, n_params: int) -> int:
        return min(self.max_frames, max(FEWEST_FRAMES, MOST_NUMBERS // n_params))


def _due(first: int, last: int, n_frames: int) -> set[int]:
    """Choose the epochs after which to keep parameters, with linearly growing distances."""
    way = np.linspace(0, 1, n_frames) ** 2
    return {int(epoch) for epoch in np.round(first + (last - first) * way)}
