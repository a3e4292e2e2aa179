"""What tasks make of the same table: it is made once, and each of them has it.

The tasks of a search cut rows out of its table each for itself, and those of one fold get the same.
Arguments are the same if they are pickled as the same bytes.
"""

import io
import pickle
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from threading import Lock, get_ident
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import numpy as np
import sklearn
from scipy.sparse import issparse

from sknn_scratch.training.job import TrainingJob

#: Most bytes of arguments whose result is shared; and of results that no task has any more.
MOST = 1 << 23

#: Bytes of a cell as it came, which each task has to fit and (a quarter of them) to score.
AS_IT_CAME = 10

#: Packages whose objects are pickled as what they are; objects of other classes may leave out or
#: make up what they like.
FAITHFUL = {
    *("builtins", "collections", "datetime", "decimal", "fractions"),
    *("numpy", "pandas", "polars", "pyarrow", "scipy", __name__.partition(".")[0]),
}

Made = TypeVar("Made")


class Pickler(pickle.Pickler):
    """Pickles what is the same when it has been unpickled, as a user's object need not be."""

    def reducer_override(self, thing: Any) -> Any:
        """Refuse an object of a class that is not known, and a class or function that is not."""
        module = getattr(thing, "__module__", None) or type(thing).__module__
        if module.partition(".")[0] not in FAITHFUL:
            raise pickle.PicklingError(f"{module} is not known")
        return NotImplemented


class Bounded(io.BytesIO):
    """A file in memory that is not to become too large."""

    def write(self, data: Any) -> int:
        """Write data, or raise an OverflowError."""
        if self.tell() + len(data) > MOST:
            raise OverflowError
        return super().write(data)


def _pickled(thing: Any) -> list[bytes | memoryview]:
    """Pickle something, and return the bytes of that and of each of its large arrays."""
    file, buffers = Bounded(), list[pickle.PickleBuffer]()
    Pickler(file, protocol=5, buffer_callback=buffers.append).dump(thing)
    return [file.getvalue(), *(buffer.raw() for buffer in buffers)]


class Listener:
    """Message of a warning filter: it matches all warnings of this thread, and tells of them.

    ``warnings.catch_warnings(record=True)`` would also take those of other threads; and if one of
    them began to catch warnings meanwhile, it would hand them on to the record for ever.
    """

    #: Regular expression for those who copy the filter: it matches nothing.
    pattern = "(?!)"

    def __init__(self) -> None:
        self.thread: int | None = get_ident()
        self.has_heard = False

    def match(self, message: str) -> bool:
        """Tell whether a warning comes from this thread."""
        is_ours = get_ident() == self.thread
        self.has_heard |= is_ours
        return is_ours

    def stop(self) -> None:
        """Match nothing any more, as another thread may have taken over the filter."""
        self.thread = None


class Sharing:
    """Results of functions, as long as a task has them, and of the last ones for some time more."""

    def __init__(self) -> None:
        self.made: WeakValueDictionary[object, Any] = WeakValueDictionary()
        self.kept: deque[tuple[Any, int]] = deque()
        self.bytes = 0  # of those kept
        self.lock = Lock()

    def once(self, function: Callable[..., Made], *arguments: Any) -> Made:
        """Return what a function makes of arguments, or has made of equal ones.

        It makes that of copies of the arguments, which nobody else can change. If it fails or
        warns, it does so for each task; and what cannot be pickled, or may become something else
        by that, is not shared.
        """
        try:
            parts = _pickled((arguments, sklearn.get_config(), np.geterr()))
        except Exception:
            return function(*arguments)
        sizes = [*map(len, parts)]
        if sum(sizes) > MOST:
            return function(*arguments)
        digest = sha256()
        for part in parts:
            digest.update(part)
        key = (function, *sizes, digest.digest())
        made: Made | None = self.made.get(key)
        if made is None:
            listener: Any = Listener()
            try:
                with suppress(Exception), warnings.catch_warnings():
                    warnings.filters = [("ignore", listener, Warning, None, 0), *warnings.filters]
                    copies, *_ = pickle.loads(parts[0], buffers=map(bytearray, parts[1:]))
                    made = function(*copies)
            finally:
                listener.stop()
            if made is None or listener.has_heard:
                return function(*arguments)
            self._keep(key, made)
        return made

    def _keep(self, key: object, made: Any) -> None:
        size = made.data.nbytes if issparse(made) else made.nbytes
        with self.lock:
            self.made[key] = made
            self.kept.append((made, size))
            self.bytes += size
            while self.bytes > MOST:
                self.bytes -= self.kept.popleft()[1]

    def forget(self) -> None:
        """Keep nothing that no task has any more."""
        with self.lock:
            self.kept.clear()
            self.bytes = 0


def bytes_of(tasks: Sequence[Sequence[TrainingJob]]) -> int:
    """Estimate the bytes of the rows of tasks, each given by the jobs of its networks."""
    jobs = [job for task in tasks for job in task]
    shared = {id(array): array for job in jobs for array in (job.X, job.Y)}.values()
    own = sum(task[0].X.size for task in tasks)
    return own * AS_IT_CAME + sum(array.nbytes for array in shared)
