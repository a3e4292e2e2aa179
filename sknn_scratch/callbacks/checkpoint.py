"""Callbacks: what scikit-learn's protocol makes of a fit, and checkpoints to go on from.

The protocol, :mod:`sklearn.callback`, is experimental, and there from scikit-learn 1.9 on. This
module alone knows it. In its terms a fit is a *task*, in a tree of tasks that begins with the
outermost estimator, say a grid search, and each epoch is a task within the fit. A *context* stands
for a task, and calls the callbacks when the task begins and when it ends. They are set up here, and
torn down by the decorator that scikit-learn puts around every ``fit``.
"""

import hashlib
import io
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Self

import numpy as np
import sklearn
from scipy.sparse import issparse

from sknn_scratch._compat import Interval, InvalidParameterError
from sknn_scratch.training.loop import Epoch, SolverProgress, TrainingJob, TrainingResult

try:
    from sklearn.callback import CallbackSupportMixin as _Base
except ImportError:  # scikit-learn < 1.9
    _Base = object


class CallbackSupport(_Base):
    """Mixin of an estimator whose fit scikit-learn's callbacks can follow."""

    def set_callbacks(self, *callbacks: Any) -> Self:
        """Set the callbacks that follow each fit, in place of earlier ones.

        Each epoch is a task of its own. A callback whose ``on_fit_task_end`` returns True ends
        training there.

        Parameters
        ----------
        *callbacks : objects with the methods of :class:`sklearn.callback.FitCallback`
            None at all removes those that were set.

        Returns
        -------
        self : estimator

        Raises
        ------
        ImportError
            With scikit-learn before 1.9, which has no callbacks.
        TypeError
            If one of them is not a callback.
        """
        if _Base is object:
            raise ImportError(
                f"set_callbacks needs scikit-learn 1.9 or newer; {sklearn.__version__} is "
                'installed. Run: pip install "scikit-learn>=1.9"'
            )
        super().set_callbacks(*callbacks)
        return self


class FitTask:
    """A fit as callbacks see it: a task, and each epoch a task within it.

    It watches the epochs of a :class:`TrainingJob`, and begins and ends their tasks.
    """

    def __init__(self, estimator: Any, name: str, X: Any, y: Any, sample_weight: Any):
        self.estimator = estimator
        self.metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.X, self.y = X, y
        # How many epochs there will be is known when there is a job.
        self.context = estimator._init_callback_context(task_name=name, max_subtasks=None)
        self.epoch: Any = None
        """Context of the epoch that is under way."""
        self.job: TrainingJob
        self.write: list[Callable[[Epoch], None]]
        """What writes checkpoints, after callbacks had their say."""
        self.fitted: Callable[[TrainingResult], dict[str, Any]]

    def begin(
        self,
        job: TrainingJob,
        data: Mapping[str, Any],
        fitted: Callable[[TrainingResult], dict[str, Any]],
    ) -> None:
        """Follow the training of a job, from a checkpoint on if there is one.

        Parameters
        ----------
        job : TrainingJob
            It gets watchers, and what it may go on from.
        data : mapping of str to array, tuple of arrays, or None
            All that the fit depends on, but for the estimator's parameters.
        fitted : callable
            Turns a result so far into the attributes of a fitted estimator.
        """
        self.job, self.fitted = job, fitted
        self.write = [
            callback.follow(self.estimator, job, data)
            for callback in self.estimator._skl_callbacks
            if isinstance(callback, Checkpoint)
        ]
        job.watchers = [*job.watchers, self]
        start = job.start()
        self.context.max_subtasks = job.max_iter
        self.context.call_on_fit_task_begin(**self._given())
        for _ in range(start.n_iter):  # epochs that were done before are counted
            self.context.subcontext(task_name="epoch")
        if not start.reason:
            self._begin_epoch(lambda: start)

    def __call__(self, epoch: Epoch) -> bool:
        """End the task of an epoch and begin the next; tell whether a callback ends training."""
        ended, self.epoch = self.epoch, None
        stop: bool = ended.call_on_fit_task_end(**self._given(epoch.result))
        if stop and goes_on(epoch):
            epoch = epoch._replace(verdict="callback")
        for write in self.write:
            write(epoch)
        if goes_on(epoch) and epoch.number < self.job.max_iter:
            self._begin_epoch(epoch.result)
        return stop

    def end(self) -> None:
        """End the task of the fit, whose result the estimator has adopted."""
        if self.epoch is not None:
            # It has not been: L-BFGS had converged, or the user interrupted training.
            self.epoch.call_on_fit_task_end(estimator=self.estimator)
        self.context.call_on_fit_task_end(**self._given(), reconstruction_attributes={})

    def _begin_epoch(self, result: Callable[[], TrainingResult]) -> None:
        self.epoch = self.context.subcontext(task_name="epoch")
        self.epoch.call_on_fit_task_begin(**self._given(result))

    def _given(self, result: Callable[[], TrainingResult] | None = None) -> dict[str, Any]:
        """What hooks are given. Attributes of a fitted estimator are made if one asks for it."""
        given = {
            "estimator": self.estimator,
            "X": self.X,
            "y": self.y,
            "metadata": self.metadata,
        }
        if result is not None:
            given["reconstruction_attributes"] = lambda: self.fitted(result())
        return given


def goes_on(epoch: Epoch) -> bool:
    """Whether training goes on after an epoch, as far as is known."""
    return epoch.verdict in (None, "slower")


def fit_task(
    estimator: CallbackSupport, name: str, X: Any, y: Any, sample_weight: Any
) -> FitTask | None:
    """Set up the callbacks of an estimator for a fit to these data; None if it has none."""
    if not hasattr(estimator, "_skl_callbacks"):
        return None
    return FitTask(estimator, name, X, y, sample_weight)


# ---------------------------------------------------------------- checkpoints

#: Name of the member of the file that holds all but arrays, as JSON; the first one in the file.
NOTES = "sknn_scratch"

#: How the names of members begin that are arrays of the solver's state.
SOLVER = "solver."

#: Layout of the file. A file of another is refused.
FORMAT = 1

WHAT_TO_DO = "Delete it to start anew, or give Checkpoint another path."


class Checkpoint:
    """Callback that writes the state of training to a file, so that a killed fit can go on.

    A fit with the same callback, data, parameters and ``random_state`` goes on from the file, if it
    exists, and ends with the same parameters, to the last bit, as if it had not been interrupted.
    The file is there after the fit has ended, too: the same fit then ends at once, with the same
    result. It is replaced as a whole, so that at any time it is the old one or the new one.

    ``clf.set_callbacks(Checkpoint("run.npz"))`` sets it, and needs scikit-learn 1.9 or newer. One
    file is for one fit, so it cannot follow a search; and "lbfgs" cannot be resumed.

    Parameters
    ----------
    path : str or path-like
        The file, in a folder that exists. It is in NumPy's format ``.npz``, whatever it is called.
    every_n_epochs : int or None, default=None
        Write after each epoch whose number is a multiple of this.
    every_seconds : float or None, default=60
        Write after an epoch if the last writing was at least so long ago. What is due first counts;
        if both are None, the state is only written when training has ended.

    Raises
    ------
    ValueError
        When fit begins: if the file cannot be written, is damaged, is not a checkpoint, or is one
        of another fit; or if the fit cannot be resumed.
    TypeError
        When fit begins, if it is not that of a ScratchMLPClassifier.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every_n_epochs: int | None = None,
        every_seconds: float | None = 60.0,
    ):
        self.path = path
        self.every_n_epochs = every_n_epochs
        self.every_seconds = every_seconds

    def setup(self, estimator: Any, context: Any) -> None:
        """Check, before anything is computed, that this fit can be kept and resumed."""
        if not isinstance(estimator, CallbackSupport):
            raise TypeError(
                f"Checkpoint follows the fit of a ScratchMLPClassifier, not of a "
                f"{type(estimator).__name__}. Set it on the network itself, as in "
                "pipeline[-1].set_callbacks(Checkpoint(path))."
            )
        for name, allowed in {
            "every_n_epochs": Interval(Integral, 1, None, closed="left"),
            "every_seconds": Interval(Real, 0, None, closed="left"),
        }.items():
            value = getattr(self, name)
            if value is not None and not allowed.is_satisfied_by(value):
                raise InvalidParameterError(
                    f"{name} of Checkpoint must be {allowed}, or None; got {value!r}."
                )
        if context.task_name != "fit":
            raise ValueError(
                f"Checkpoint follows fit, but {context.task_name} was called, which is one epoch "
                "from call to call. Save the estimator between calls, for instance with joblib."
            )
        while (context := context.parent) is not None:
            if not context.sequential_subtasks:
                raise ValueError(
                    f"Checkpoint keeps one fit in one file, but {context.estimator_name} makes "
                    "many. Fit the best candidate with it, after a search without it."
                )
        settings = estimator.get_params(deep=False)
        if settings["solver"] == "lbfgs":
            raise ValueError(
                "Checkpoint cannot resume solver='lbfgs', whose state SciPy keeps to itself. Set "
                "solver='adam' or 'sgd'."
            )
        if settings["random_state"] is None:
            raise ValueError(
                "Checkpoint cannot resume a fit with random_state=None, which is a new one each "
                "time. Set random_state to a number."
            )
        path = Path(self.path)
        if path.is_dir():
            raise ValueError(f"Checkpoint cannot write to {path}: it is a folder. Name a file.")
        draft = _draft_of(path)
        try:
            draft.touch()
            draft.unlink()
        except OSError as error:
            raise ValueError(
                f"Checkpoint cannot write to {path}: {error.strerror}. Name a file in a folder "
                "that exists and may be written."
            ) from error

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        """Do nothing: the state of the solver is not among what callbacks are given."""

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        """Do nothing: :meth:`follow` has brought forth what writes the file."""

    def teardown(self, estimator: Any, context: Any) -> None:
        """Do nothing: the file stays, with the state at the end."""

    def follow(
        self, estimator: Any, job: TrainingJob, data: Mapping[str, Any]
    ) -> Callable[[Epoch], None]:
        """Put a job to where the file has it, if there is one; return what writes it when due.

        Parameters
        ----------
        estimator : CallbackSupport
            Its parameters tell this fit from others.
        job : TrainingJob
            As it would begin.
        data : mapping of str to array, tuple of arrays, or None
            Whatever else the fit depends on.
        """
        path, fit = Path(self.path), _fingerprint(estimator, job, data)
        known = _version_of(path)
        if known is not None:
            _restore(job, path, fit)
        written = time.monotonic()

        def write_if_due(epoch: Epoch) -> None:
            nonlocal known, written
            passed = time.monotonic() - written
            due = (
                not goes_on(epoch)
                or (self.every_n_epochs and epoch.number % self.every_n_epochs == 0)
                or (self.every_seconds is not None and passed >= self.every_seconds)
            )
            # From where it has diverged it could only diverge again.
            if not due or epoch.verdict == "diverged":
                return
            if _version_of(path) not in (known, None):
                raise ValueError(
                    f"{path} was written by another fit meanwhile. Give each fit that runs at the "
                    "same time a Checkpoint with a path of its own."
                )
            _write(path, job, epoch, fit)
            known, written = _version_of(path), time.monotonic()

        return write_if_due


def _draft_of(path: Path) -> Path:
    """Where a file is written to before it takes its place."""
    return Path(f"{path}.{os.getpid()}-{threading.get_ident()}.tmp")


def _version_of(path: Path) -> tuple[int, int] | None:
    """What changes whenever the file is replaced; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _digest(*parts: Any) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


def _describe_data(array: Any) -> str:
    """Type, shape and checksum of an array, dense or CSR, or of each of a tuple."""
    if array is None:
        return "None"
    if isinstance(array, tuple):
        return ", ".join(map(_describe_data, array))
    parts = (array.data, array.indices, array.indptr) if issparse(array) else (array,)
    # Of objects, say words, the bytes would be addresses.
    plain = [part.astype(str) if part.dtype == object else part for part in parts]
    checksum = _digest(*(np.ascontiguousarray(part).view(np.uint8) for part in plain))
    return f"{array.dtype} {array.shape} with checksum {checksum}"


def _describe(value: Any) -> str:
    """A parameter in words that are the same in another process."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple):
        value = list(value)
    return re.sub(" at 0x[0-9a-fA-F]+", "", repr(value))


def _fingerprint(estimator: Any, job: TrainingJob, data: Mapping[str, Any]) -> dict[str, str]:
    """All that the result of a fit depends on, in words."""
    settings = estimator.get_params(deep=False)
    del settings["verbose"]
    seed = settings.pop("random_state")
    return {
        **{name: _describe(value) for name, value in settings.items()},
        "random_state": (
            repr(int(seed))
            if isinstance(seed, Integral)
            else f"one with checksum {_digest(_json(_state_of(job.rng)))}"
        ),
        **{name: _describe_data(array) for name, array in data.items()},
    }


def _state_of(rng: np.random.RandomState | None) -> Any:
    return None if rng is None else rng.get_state(legacy=False)


def _json(value: Any) -> bytes:
    """Encode a value in which there may be arrays."""
    return json.dumps(value, default=lambda array: array.tolist()).encode()


def _write(path: Path, job: TrainingJob, epoch: Epoch, fit: dict[str, str]) -> None:
    """Write the state of a job after an epoch."""
    result, rule = epoch.result(), job.stopping
    progress = result.progress
    notes = {
        "format": FORMAT,
        "fit": fit,
        "n_iter": result.n_iter,
        "loss_curve": result.loss_curve,
        "validation_loss_curve": result.validation_loss_curve,
        "scores": result.scores,
        "reason": "" if goes_on(epoch) else epoch.verdict,
        "loss": result.loss,
        "steps": progress.steps,
        "plateaus": progress.plateaus,
        "samples_seen": progress.samples_seen,
        "noise": progress.noise,
        "rng": _state_of(job.rng),
        "dropout_rng": _state_of(job.dropout_rng),
        "rule": rule and {"best_score": rule.best_score, "count": rule.count},
    }
    arrays: dict[str, Any] = {
        NOTES: np.frombuffer(_json(notes), np.uint8),
        "theta": result.theta,
        "order": result.order,
        **{f"{SOLVER}{name}": array for name, array in (progress.state or {}).items()},
    }
    if rule is not None and rule.best_theta is not None:
        arrays["best_theta"] = rule.best_theta
    draft = _draft_of(path)
    try:
        with open(draft, "wb") as file:
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _restore(job: TrainingJob, path: Path, fit: dict[str, str]) -> None:
    """Put a job to where a file has it, if that is of the same fit."""
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        notes = json.loads(arrays[NOTES].tobytes())
        then, version = notes["fit"], notes["format"]
    except Exception as error:  # there are many ways for a file not to be readable
        if f"{NOTES}.npy".encode() in content[:100]:
            raise ValueError(f"{path} is damaged ({error}). {WHAT_TO_DO}") from error
        raise ValueError(
            f"{path} is not a checkpoint of sknn_scratch. Give Checkpoint another path."
        ) from error
    if version != FORMAT:
        raise ValueError(
            f"{path} is a checkpoint of format {version}, of another version of sknn_scratch; this "
            f"one reads format {FORMAT}. {WHAT_TO_DO}"
        )
    changes = [
        f"{name} was {then.get(name)} and is {fit.get(name)}"
        for name in sorted(then.keys() | fit.keys())
        if then.get(name) != fit.get(name)
    ]
    if changes:
        raise ValueError(
            f"{path} is a checkpoint of another fit: {'; '.join(changes)}. Put that back to go on "
            f"from it. {WHAT_TO_DO}"
        )
    job.theta = arrays["theta"]
    job.progress = SolverProgress(
        state={
            name.removeprefix(SOLVER): array
            for name, array in arrays.items()
            if name.startswith(SOLVER)
        },
        **{name: notes[name] for name in ("steps", "plateaus", "samples_seen", "noise")},
    )
    curves = ("n_iter", "loss_curve", "validation_loss_curve", "scores", "reason", "loss")
    job.resume = TrainingResult(
        theta=job.theta,
        progress=job.progress,
        order=arrays["order"],
        **{name: notes[name] for name in curves},
    )
    job.rng.set_state(notes["rng"])
    if job.dropout_rng is not None:
        job.dropout_rng.set_state(notes["dropout_rng"])
    if job.stopping is not None:
        job.stopping.best_score, job.stopping.count = (
            notes["rule"][name] for name in ("best_score", "count")
        )
        job.stopping.best_theta = arrays.get("best_theta")
