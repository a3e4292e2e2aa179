"""Checkpoints: the state of training in a file, from which a killed fit resumes."""

import glob
import hashlib
import io
import json
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import issparse

from sknn_scratch._caller import warn_user
from sknn_scratch._compat import Interval, InvalidParameterError
from sknn_scratch.callbacks.protocol import JobFollower
from sknn_scratch.training.job import Epoch, TrainingJob, TrainingState

#: Name of the first member of the file, which holds all that is no array, as JSON.
NOTES = "sknn_scratch"

#: Version of the file format. Files of other versions are refused.
FORMAT = 2

WHAT_TO_DO = "Delete it to start anew, or give Checkpoint another path."


class Checkpoint(JobFollower):
    """Callback that writes the state of training to a file, so that a killed fit can resume.

    If the file exists, a fit with the same callback, data, parameters and ``random_state`` resumes
    from it. It ends with the same parameters, to the last bit, as if it had not been interrupted.
    The file remains after the fit has ended: the same fit then trains no more epochs, and has the
    same result. If epochs are tried out first (``max_iter``), they are tried out again.
    It is replaced as a whole, so that at any time it is the old one or the new one. A process that
    is killed while it writes leaves a file with the ending ``.tmp``, which the next fit removes.

    Set it with ``clf.set_callbacks(Checkpoint("run.npz"))``, in any version of scikit-learn. One
    file is for one fit, so it cannot follow a search; nor can it resume ``solver="lbfgs"``.

    Parameters
    ----------
    path : str or path-like
        The file, in an existing folder. It has NumPy's ``.npz`` format, whatever its name.
    every_n_epochs : int or None, default=None
        Write after each epoch whose number is a multiple of this.
    every_seconds : float or None, default=60
        Write after an epoch if at least so many seconds have passed since the last time. Whichever
        is due first counts; if both are None, the state is written only when training has ended.

    Raises
    ------
    ValueError
        When fit begins: if the file cannot be written, is damaged, is not a checkpoint, or belongs
        to another fit; or if the fit cannot be resumed.
    TypeError
        When fit begins, if the estimator is not a ScratchMLPClassifier or ScratchMLPRegressor.

    Warns
    -----
    UserWarning
        Once, if the file cannot be written later on. Training continues, since its result is worth
        more than the file.

    Examples
    --------
    >>> from sknn_scratch import Checkpoint, ScratchMLPClassifier
    >>> clf = ScratchMLPClassifier(random_state=0).set_callbacks(Checkpoint("run.npz"))
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
        """Check, before anything is computed, that this fit can be saved and resumed."""
        for name, allowed in {
            "every_n_epochs": Interval(Integral, 1, None, closed="left"),
            "every_seconds": Interval(Real, 0, None, closed="left"),
        }.items():
            value = getattr(self, name)
            if value is not None and not allowed.is_satisfied_by(value):
                raise InvalidParameterError(
                    f"{name} of Checkpoint must be {allowed}, or None; got {value!r}."
                )
        self.check_one_fit(
            estimator,
            context,
            partial="Save the estimator between calls, for instance with joblib.",
            many="Its file is for one. Fit the best candidate with it, after a search without it.",
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
            for one in (draft, *_orphans_of(path)):
                one.unlink()
        except OSError as error:
            raise ValueError(
                f"Checkpoint cannot write to {path}: {error.strerror}. Name a file in a folder "
                "that exists and may be written."
            ) from error

    def follow(
        self,
        estimator: Any,
        job: TrainingJob,
        data: Mapping[str, Any],
        fitted: Callable[[TrainingState], dict[str, Any]],
    ) -> tuple[TrainingState, Callable[[Epoch], None]]:
        """Return the state to start a job from, that of the file if it exists, and the writer."""
        path, fit = Path(self.path), _fingerprint(estimator, job, data)
        known = _version_of(path)
        start = job.start if known is None else _read(path, fit, job)
        written, warned = time.monotonic(), False

        def write_if_due(epoch: Epoch) -> None:
            nonlocal known, written, warned
            passed = time.monotonic() - written
            due = (
                epoch.stop_reason
                or (self.every_n_epochs and epoch.number % self.every_n_epochs == 0)
                or (self.every_seconds is not None and passed >= self.every_seconds)
            )
            # A fit that resumed from a diverged state could only diverge again.
            if not due or epoch.stop_reason == "diverged":
                return
            written = time.monotonic()
            try:
                if path.is_dir():
                    raise IsADirectoryError(f"{path} is a folder now")
                if _version_of(path) not in (known, None):
                    trouble = (
                        "it was written by another fit meanwhile. Give each fit that runs at the "
                        "same time a Checkpoint with a path of its own."
                    )
                else:
                    _write(path, epoch, fit)
                    known, trouble = _version_of(path), ""
            except OSError as error:
                trouble = f"{error.strerror or error}. Make room, or make the folder writable."
            if trouble and not warned:  # the result is worth more than the file: no error
                warn_user(
                    f"Checkpoint could not write {path} after epoch {epoch.number}: {trouble} "
                    "Training goes on, and tries again when it is due."
                )
                warned = True

        return start, write_if_due


def _draft_of(path: Path) -> Path:
    """Return the path of the temporary file that replaces the old one when complete."""
    return Path(f"{path}.{os.getpid()}-{threading.get_ident()}.tmp")


def _orphans_of(path: Path) -> list[Path]:
    """Return the temporary files of processes that were killed while they wrote.

    On Windows they stay, as nothing there tells whether a process exists without harming it.
    """
    if os.name != "posix":
        return []
    drafts = path.parent.glob(f"{glob.escape(path.name)}.*.tmp")
    found = [(draft, re.fullmatch(r".*\.(\d+)-\d+\.tmp", draft.name)) for draft in drafts]
    return [draft for draft, match in found if match and not _exists(int(match[1]))]


def _exists(process: int) -> bool:
    """Tell whether there is a process of this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to another user
        return True
    return True


def _version_of(path: Path) -> tuple[int, int] | None:
    """Return inode and time of change, which differ after the file is replaced; None without it."""
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
    """Describe the type, shape and checksum of an array, dense or CSR, or of each of a tuple."""
    if array is None:
        return "None"
    if isinstance(array, tuple):
        return ", ".join(map(_describe_data, array))
    parts = (array.data, array.indices, array.indptr) if issparse(array) else (array,)
    # The bytes of objects, such as strings, would be addresses.
    plain = [part.astype(str) if part.dtype == object else part for part in parts]
    checksum = _digest(*(np.ascontiguousarray(part).view(np.uint8) for part in plain))
    return f"{array.dtype} {array.shape} with checksum {checksum}"


def _describe(value: Any) -> str:
    """Describe a parameter in text that is the same in every process."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if isinstance(value, tuple):
        value = list(value)
    return re.sub(" at 0x[0-9a-fA-F]+", "", repr(value))


def _fingerprint(estimator: Any, job: TrainingJob, data: Mapping[str, Any]) -> dict[str, str]:
    """Describe all that the result of a fit depends on."""
    settings = estimator.get_params(deep=False)
    del settings["verbose"]
    seed = settings.pop("random_state")
    return {
        **{name: _describe(value) for name, value in settings.items()},
        "random_state": (
            repr(int(seed))
            if isinstance(seed, Integral)
            else f"one with checksum {_digest(_json(job.start.rng.get_state(legacy=False)))}"
        ),
        **{name: _describe_data(array) for name, array in data.items()},
    }


def _json(value: Any) -> bytes:
    """Encode a value, which may contain arrays, as JSON."""
    return json.dumps(value, default=lambda array: array.tolist()).encode()


def _write(path: Path, epoch: Epoch, fit: dict[str, str]) -> None:
    """Write the state of training after an epoch."""
    notes, arrays = replace(epoch.state(), stop_reason=epoch.stop_reason).pack()
    content: dict[str, Any] = {
        NOTES: np.frombuffer(_json({"format": FORMAT, "fit": fit, "state": notes}), np.uint8),
        **arrays,
    }
    draft = _draft_of(path)
    try:
        with open(draft, "wb") as file:
            np.savez(file, **content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _read(path: Path, fit: dict[str, str], job: TrainingJob) -> TrainingState:
    """Read the state of training from a file of the same fit.

    Raises
    ------
    ValueError
        If the file is damaged, is not a checkpoint, or belongs to another fit.
    """
    content = path.read_bytes()
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = dict(file)
        notes = json.loads(arrays.pop(NOTES).tobytes())
        then, version = dict(**notes["fit"]), notes["format"]
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
    try:
        state = TrainingState.unpack(notes["state"], arrays)
        state.check(job)
    except Exception as error:
        raise ValueError(f"{path} is damaged ({error}). {WHAT_TO_DO}") from error
    return state
