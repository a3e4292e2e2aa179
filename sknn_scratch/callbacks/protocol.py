"""scikit-learn's callback protocol, and how a fit follows it.

The protocol, :mod:`sklearn.callback`, is experimental, and exists since scikit-learn 1.9. In its
terms a fit is a *task*, in a tree of tasks whose root is the outermost estimator, say a grid
search, and each epoch is a task within the fit. A *context* stands for a task, and calls the
callbacks when the task begins and when it ends. This module sets the callbacks up; the decorator
that scikit-learn puts around every ``fit`` tears them down.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

import sklearn

from sknn_scratch._compat import HAS_CALLBACKS, CallbackSupportMixin
from sknn_scratch.training.job import Epoch, TrainingJob, TrainingState


class CallbackSupport(CallbackSupportMixin):
    """Mixin of an estimator whose fit scikit-learn's callbacks can follow."""

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Set the callbacks that follow each fit, replacing earlier ones.

        Each epoch is a task of its own. Training ends after a task for which the
        ``on_fit_task_end`` of a callback returns True.

        Parameters
        ----------
        *callbacks : objects with the methods of :class:`sklearn.callback.FitCallback`
            Calling it without any removes those that were set. With scikit-learn before 1.9, which
            has no callbacks, only those of this package are allowed; ``clone`` then does not pass
            them on.

        Returns
        -------
        self : estimator
            The estimator.

        Raises
        ------
        ImportError
            If scikit-learn is older than 1.9, and a callback is not of this package.
        TypeError
            If one of them is not a callback.
        """
        if not (HAS_CALLBACKS or all(isinstance(one, JobFollower) for one in callbacks)):
            raise ImportError(
                f"set_callbacks needs scikit-learn 1.9 or newer; {sklearn.__version__} is "
                "installed, with which only Checkpoint and LearningRecorder can be set. Run: "
                'pip install "scikit-learn>=1.9"'
            )
        super().set_callbacks(*callbacks)
        return self


class JobFollower:
    """Base of the callbacks that follow the training job of a fit. Its hooks do nothing."""

    def setup(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing."""

    def follow(
        self,
        estimator: Any,
        job: TrainingJob,
        data: Mapping[str, Any],
        fitted: Callable[[TrainingState], dict[str, Any]],
    ) -> tuple[TrainingState, Callable[[Epoch], None]]:
        """Return the state to start a job from, and what to call with the record of each epoch.

        Parameters
        ----------
        estimator : CallbackSupport
            Its parameters distinguish this fit from others.
        job : TrainingJob
            The job, with the state that it would start from otherwise.
        data : mapping of str to array, tuple of arrays, or None
            Everything else that the fit depends on.
        fitted : callable
            Turns a state of training into the attributes of a fitted estimator.

        Returns
        -------
        start : TrainingState
        follower : callable
            Called with the :class:`Epoch` after each epoch.
        """
        raise NotImplementedError

    def check_one_fit(self, estimator: Any, context: Any, *, partial: str, many: str) -> None:
        """Raise an error unless this is a ``fit`` of one network, and the only one.

        Parameters
        ----------
        partial, many : str
            What to do instead, if this is ``partial_fit`` or one of many fits.

        Raises
        ------
        TypeError
            If the estimator is not of this package.
        ValueError
            If this is not ``fit``, or one of many fits.
        """
        name = type(self).__name__
        if not isinstance(estimator, CallbackSupport):
            raise TypeError(
                f"{name} follows the fit of a ScratchMLPClassifier or ScratchMLPRegressor, not of "
                f"a {type(estimator).__name__}. Set it on the network itself, as in "
                f"pipeline[-1].set_callbacks({name}(...))."
            )
        if context.task_name != "fit":
            raise ValueError(
                f"{name} follows fit, but {context.task_name} was called, which is one epoch "
                f"from call to call. {partial}"
            )
        while (context := context.parent) is not None:
            if not context.sequential_subtasks:
                raise ValueError(
                    f"{name} follows one fit, but {context.estimator_name} makes many. {many}"
                )


def callbacks_of(estimator: CallbackSupport) -> list[Any]:
    """Return the callbacks that were set."""
    return [*getattr(estimator, "_skl_callbacks", ())]


def callback_context(estimator: CallbackSupport, task_name: str) -> Any:
    """Set up the callbacks of an estimator; return the context of the fit, None without any."""
    if not callbacks_of(estimator):
        return None
    # The number of epochs is not known before there is a job.
    return estimator._init_callback_context(task_name=task_name, max_subtasks=None)


def hook_arguments(estimator: Any, X: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """Return the arguments that every hook of the callbacks of a fit is called with."""
    metadata = None if sample_weight is None else {"sample_weight": sample_weight}
    return {"estimator": estimator, "X": X, "y": y, "metadata": metadata}


class FollowedFit:
    """A fit of a network that callbacks follow: a task, in which each epoch is a task of its own.

    It is itself a callback of the job, and begins and ends the tasks of the epochs.

    Parameters
    ----------
    context : CallbackContext
        Context of the fit.
    given : dict
        Arguments of every hook, from :func:`hook_arguments`.
    job : TrainingJob
        The job to train.
    followers : sequence of callable
        Called with the record of each epoch, after the callbacks.
    fitted : callable
        Turns a state of training into the attributes of a fitted estimator.

    Attributes
    ----------
    job : TrainingJob
        The job, with this object among its callbacks.
    """

    def __init__(
        self,
        context: Any,
        given: dict[str, Any],
        job: TrainingJob,
        followers: Sequence[Callable[[Epoch], None]],
        fitted: Callable[[TrainingState], dict[str, Any]],
    ):
        self.given = given
        self.context, self.followers, self.fitted = context, followers, fitted
        self.job = replace(job, callbacks=[*job.callbacks, self])
        self.epoch: Any = None
        """Context of the current epoch."""
        context.max_subtasks = job.max_iter
        context.call_on_fit_task_begin(**self.given)
        for _ in range(job.start.n_iter):  # epochs that were done before are counted
            context.subcontext(task_name="epoch")
        if not job.start.stop_reason:
            self._begin_epoch(lambda: job.start)

    def __call__(self, epoch: Epoch) -> bool:
        """End the task of an epoch, and begin the next; return whether a callback ends training."""
        ended, self.epoch = self.epoch, None
        stop: bool = ended.call_on_fit_task_end(**self.given, **self._attributes(epoch.state))
        if stop and not epoch.stop_reason:
            epoch = epoch._replace(stop_reason="callback")
        for follower in self.followers:
            follower(epoch)
        if not epoch.stop_reason and epoch.number < self.job.max_iter:
            self._begin_epoch(epoch.state)
        return stop

    def end(self, attributes: dict[str, Any] | None) -> None:
        """End the task of the fit.

        Parameters
        ----------
        attributes : dict or None
            What makes the estimator a fitted one: nothing if it has adopted the result; None if
            there is none.
        """
        if self.epoch is not None:
            # This epoch did not happen: L-BFGS had converged, or the user interrupted training.
            self.epoch.call_on_fit_task_end(estimator=self.given["estimator"])
        self.context.call_on_fit_task_end(**self.given, reconstruction_attributes=attributes)

    def _begin_epoch(self, state: Callable[[], TrainingState]) -> None:
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.given, **self._attributes(state))

    def _attributes(self, state: Callable[[], TrainingState]) -> dict[str, Any]:
        """Return what makes the attributes of a fitted estimator, if a callback asks for one."""
        return {"reconstruction_attributes": lambda: self.fitted(state())}
