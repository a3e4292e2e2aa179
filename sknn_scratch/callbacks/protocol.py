"""scikit-learn's protocol of callbacks, and what it makes of a fit.

The protocol, :mod:`sklearn.callback`, is experimental, and there from scikit-learn 1.9 on. In its
terms a fit is a *task*, in a tree of tasks that begins with the outermost estimator, say a grid
search, and each epoch is a task within the fit. A *context* stands for a task, and calls the
callbacks when the task begins and when it ends. They are set up here, and torn down by the
decorator that scikit-learn puts around every ``fit``.
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
        """Set the callbacks that follow each fit, in place of earlier ones.

        Each epoch is a task of its own. A callback whose ``on_fit_task_end`` returns True ends
        training there.

        Parameters
        ----------
        *callbacks : objects with the methods of :class:`sklearn.callback.FitCallback`
            None at all removes those that were set. With scikit-learn before 1.9, which has no
            callbacks, only those of this package; they then stay with this estimator, and do not
            go on to its clones.

        Returns
        -------
        self : estimator

        Raises
        ------
        ImportError
            With scikit-learn before 1.9, for callbacks that are not of this package.
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
    """Callback that follows the job of a fit itself. Its hooks do nothing by themselves."""

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
        """Return where a job is to start, and what to call with the record of each epoch.

        Parameters
        ----------
        estimator : CallbackSupport
            Its parameters tell this fit from others.
        job : TrainingJob
            As it would start otherwise.
        data : mapping of str to array, tuple of arrays, or None
            Whatever else the fit depends on.
        fitted : callable
            Turns a state of training into the attributes of a fitted estimator.
        """
        raise NotImplementedError

    def check_one_fit(self, estimator: Any, context: Any, *, partial: str, many: str) -> None:
        """Raise an error unless this is ``fit`` of one network; say what to do otherwise."""
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
    """Set up the callbacks of an estimator for a fit; return its context, None if it has none."""
    if not callbacks_of(estimator):
        return None
    # How many epochs there will be is known when there is a job.
    return estimator._init_callback_context(task_name=task_name, max_subtasks=None)


class FollowedFit:
    """A fit that callbacks follow: a task, and each epoch a task within it.

    It is a callback of the job, and begins and ends the tasks of the epochs.

    Parameters
    ----------
    context : CallbackContext
        That of the fit, from :func:`callback_context`.
    given : dict
        What every hook is given: estimator, X, y and metadata.
    job : TrainingJob
        What is to be trained.
    followers : sequence of callable
        Called with the record of each epoch, after callbacks had their say.
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
        """Context of the epoch that is under way."""
        context.max_subtasks = job.max_iter
        context.call_on_fit_task_begin(**self.given)
        for _ in range(job.start.n_iter):  # epochs that were done before are counted
            context.subcontext(task_name="epoch")
        if not job.start.stop_reason:
            self._begin_epoch(lambda: job.start)

    def __call__(self, epoch: Epoch) -> bool:
        """End the task of an epoch and begin the next; tell whether a callback ends training."""
        ended, self.epoch = self.epoch, None
        stop: bool = ended.call_on_fit_task_end(**self.given, **self._attributes(epoch.state))
        if stop and not epoch.stop_reason:
            epoch = epoch._replace(stop_reason="callback")
        for follower in self.followers:
            follower(epoch)
        if not epoch.stop_reason and epoch.number < self.job.max_iter:
            self._begin_epoch(epoch.state)
        return stop

    def end(self) -> None:
        """End the task of the fit, whose result the estimator has adopted."""
        if self.epoch is not None:
            # It has not been: L-BFGS had converged, or the user interrupted training.
            self.epoch.call_on_fit_task_end(estimator=self.given["estimator"])
        self.context.call_on_fit_task_end(**self.given, reconstruction_attributes={})

    def _begin_epoch(self, state: Callable[[], TrainingState]) -> None:
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self.given, **self._attributes(state))

    def _attributes(self, state: Callable[[], TrainingState]) -> dict[str, Any]:
        """Attributes of a fitted estimator, to be made if a callback asks for it."""
        return {"reconstruction_attributes": lambda: self.fitted(state())}
