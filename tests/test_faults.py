"""Faults wherever they can happen leave the estimator as it was, and nothing behind.

``faults.py`` puts them in: an interrupt or an error at a line of the package, or no memory for an
array. Here some of the points are tried, and ``python tests/faults.py`` tries all. What else is
tried: interrupts in searches (``test_interrupts.py``); threads that the system does not give, and
forks while another thread trains (``test_threads.py``); processes that it does not give, or kills
(``test_stacked_backend.py``); callbacks that raise, and damaged files (``test_callbacks.py``).
"""

import errno
import gc
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import warnings
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager
from pathlib import Path

import faults
import numpy as np
import pytest
from faults import LABELS, NUMBERS, STORIES, AtLine, X, contents, try_all
from joblib import parallel_config
from joblib.externals.loky import get_reusable_executor
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV

import sknn_scratch
from sknn_scratch import (
    Checkpoint,
    ScratchMLPClassifier,
    ScratchMLPEnsembleClassifier,
    ScratchMLPRegressor,
)
from sknn_scratch._compat import HAS_CALLBACKS
from sknn_scratch.callbacks import checkpoint

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(os.name != "posix", reason="faults are put in by means of POSIX"),
]

#: Each so many of the points are tried.
EVERY = dict.fromkeys(STORIES, 61) | {"ensemble": 310}


# ---------------------------------------------------------------- at every line and allocation


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "MemoryError", "allocation"])
@pytest.mark.parametrize("name", STORIES)
def test_a_fault_at_any_point_of_a_fit(name, kind):
    found = try_all(name, kind, EVERY[name], offset=list(STORIES).index(name))
    assert sum(found.values()) > 2
    assert found["raised, as before"] > 0
    assert ("returned what was learnt" in found) == (kind == "KeyboardInterrupt")


def begins(word):
    """Numbers of the lines of a fit where a function of this name in threads.py begins."""
    story = STORIES["classifier"]
    with AtLine() as counting:
        story.call(story.make())
    return [
        k
        for k, (file, number, event) in enumerate(counting.lines)
        if file.endswith("threads.py")
        and event == "call"
        and f"def {word}" in Path(file).read_text().splitlines()[number - 1]
    ]


def test_an_interrupt_as_a_limit_ends_does_not_leave_it_behind():
    story = STORIES["classifier"]
    with faults.threadpool_limits(2, "blas"):
        story.call(story.make())
        outside = faults.around()
        points = begins("__exit__")
        assert points
        for k in points:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    with AtLine(k):
                        story.call(story.make())
                except KeyboardInterrupt:
                    pass
            gc.collect()
            assert faults.around() == outside


def test_the_tools_find_what_they_are_for():
    """A fit that changes the estimator before it fails, and one that swallows an interrupt."""

    class Early(ScratchMLPRegressor):
        def fit(self, X, y):
            self.n_iter_ = 0
            return super().fit(X, y)

    class Deaf(ScratchMLPRegressor):
        def fit(self, X, y):
            try:
                return super().fit(X, y)
            except KeyboardInterrupt:
                return ScratchMLPRegressor((2,), max_iter=1).fit(X, y)

    for cls, message in ((Early, "neither as before nor fitted"), (Deaf, "was lost")):
        story = faults.Story(lambda cls=cls: cls((2,), max_iter=1), lambda reg: reg.fit(X, NUMBERS))
        story.call(estimator := story.make())
        with pytest.raises(AssertionError, match=message):
            faults.check(story, AtLine(40), KeyboardInterrupt, faults.learnt(estimator), False)


def test_every_array_can_be_refused():
    failing = faults.at_allocation()
    with failing():
        np.zeros(10), np.empty(5)
    assert failing.n == 2
    with pytest.raises(MemoryError), failing(1):
        np.zeros(10), np.empty(5)


# ---------------------------------------------------------------- scorers


ESTIMATORS = {
    "classifier": (ScratchMLPClassifier, LABELS),
    "regressor": (ScratchMLPRegressor, NUMBERS),
    "ensemble": (ScratchMLPEnsembleClassifier, LABELS),
}


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("error", [RuntimeError, MemoryError, KeyboardInterrupt, SystemExit])
def test_a_scorer_that_raises_at_any_epoch(name, error):
    cls, y = ESTIMATORS[name]
    asked = []

    def score(estimator, X, y):
        asked.append(estimator)
        if len(asked) == due:
            raise error("of the scorer")
        return 0.5

    settings = {"early_stopping": True, "scoring": score, "max_iter": 4, "random_state": 0}
    if cls is ScratchMLPEnsembleClassifier:
        settings["n_networks"] = 2
    due = None
    whole = cls(**settings).fit(X, y).predict(X)
    n = len(asked)
    assert n == (8 if cls is ScratchMLPEnsembleClassifier else 4)
    for due in range(1, n + 1):  # noqa: B007 - the scorer reads it
        asked.clear()
        estimator = cls(**settings)
        before = contents(estimator)
        if error is KeyboardInterrupt:
            with pytest.warns(UserWarning, match="interrupted by user"):
                estimator.fit(X, y)
            assert np.isfinite(estimator.predict(X)).all()
        else:
            with pytest.raises(error, match="of the scorer"):
                estimator.fit(X, y)
            assert contents(estimator) == before
        asked[:] = [None] * n
        assert np.array_equal(estimator.fit(X, y).predict(X), whole)


# ---------------------------------------------------------------- memory of the process


OUT_OF_MEMORY = """
    import resource, sys, warnings
    import numpy as np
    from sknn_scratch import ScratchMLPClassifier, ScratchMLPEnsembleClassifier, ScratchMLPRegressor

    warnings.simplefilter("ignore")
    X = np.random.RandomState(0).normal(size=(30_000, 20))
    y = X[:, 0] > 0
    settings = {"max_iter": 1, "random_state": 0}
    for make in (
        lambda: ScratchMLPClassifier((20,), batch_size=2000, **settings),
        lambda: ScratchMLPRegressor((20,), batch_size=2000, **settings),
        lambda: ScratchMLPEnsembleClassifier(2, (20,), **settings),
    ):
        whole = make().fit(X, y).predict(X)
        failed = 0
        for megabytes in (0, 2, 6, 12, 20):
            with open("/proc/self/statm") as file:
                now = int(file.read().split()[0]) * resource.getpagesize()
            estimator = make()
            before = vars(estimator).copy()
            resource.setrlimit(resource.RLIMIT_AS, (now + (megabytes << 20), -1))
            try:
                estimator.fit(X, y)
            except MemoryError:
                failed += 1
                assert vars(estimator) == before
            finally:
                resource.setrlimit(resource.RLIMIT_AS, (-1, -1))
            if vars(estimator) == before:
                estimator.fit(X, y)
            assert np.array_equal(estimator.predict(X), whole)
        print(failed)
    """


def run_python(code, *arguments, check=True, **settings):
    """Run code in a process of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(sknn_scratch.__file__).parents[1]),
        "OPENBLAS_NUM_THREADS": "1",
        "MALLOC_MMAP_THRESHOLD_": "65536",  # what is given back is given back to the system
    }
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300, **settings
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="/proc and the limit are those of Linux")
def test_a_process_that_may_have_no_more_memory():
    failed = [int(line) for line in run_python(OUT_OF_MEMORY).stdout.split()]
    assert len(failed) == 3
    assert min(failed) >= 1


# ---------------------------------------------------------------- a worker that is killed


class Killer:
    """A scorer that kills its process, as a system does that has no memory left, if it is another.

    It does so for one of the candidates.
    """

    def __init__(self):
        self.parent = os.getpid()

    def __call__(self, estimator, X, y):
        if estimator.alpha == 1 and os.getpid() != self.parent:
            os.kill(os.getpid(), signal.SIGKILL)
        return 0.5


@pytest.mark.slow
@pytest.mark.xdist_group("processes")
def test_a_worker_that_is_killed_ends_the_search_and_nothing_else():
    X, y = load_iris(return_X_y=True)
    settings = {"early_stopping": True, "scoring": Killer(), "random_state": 0}
    for backend in ("loky", "stacked"):
        search = GridSearchCV(
            ScratchMLPClassifier((4,), max_iter=2, **settings), {"alpha": [0, 1, 2, 3]}, cv=3
        )
        with parallel_config(backend, n_jobs=2):
            with pytest.raises(BrokenExecutor, match=r"killed|terminated"):
                search.fit(X, y)
            assert not hasattr(search, "cv_results_")
            search.set_params(estimator__scoring=None).fit(X, y)
        assert search.best_estimator_.predict(X).shape == (150,)
    executor = get_reusable_executor()
    processes = list(executor._processes.values())
    executor.shutdown(wait=True)
    assert not any(process.is_alive() for process in processes)


# ---------------------------------------------------------------- checkpoints on a bad disk

needs_hooks = pytest.mark.skipif(not HAS_CALLBACKS, reason="hooks came with scikit-learn 1.9")


class At:
    """A callback that does something at the end of an epoch, by its number from 1 on."""

    def __init__(self, epoch, do):
        self.epoch, self.do = epoch, do

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch" and context.task_id == self.epoch - 1:
            self.do()


def kept(path, *callbacks, cls=ScratchMLPClassifier):
    """A short fit that writes a checkpoint after each epoch."""
    y = LABELS if cls is ScratchMLPClassifier else NUMBERS
    net = cls((5,), max_iter=4, random_state=0)
    return net.set_callbacks(*callbacks, Checkpoint(path, every_n_epochs=1)).fit(X, y)


@contextmanager
def files_no_longer_than(size):
    """Context in which the system lets no file grow beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# NumPy 1 leaves the archive that it could not write to its end, which complains that it is closed.
@pytest.mark.filterwarnings("ignore:.*ZipFile.__del__:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("cls", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_no_room_for_a_checkpoint_from_any_byte_on(tmp_path, cls):
    path = tmp_path / "run"
    whole = kept(path, cls=cls)
    content = path.read_bytes()
    for size in range(0, len(content), len(content) // 30):
        path.unlink(missing_ok=True)
        with (
            pytest.warns(UserWarning, match=r"could not write .* after epoch \d: File too large"),
            files_no_longer_than(size),
        ):
            net = kept(path, cls=cls)
        assert np.array_equal(net.predict(X), whole.predict(X))
        assert os.listdir(tmp_path) in ([], ["run"]), "the state of an early epoch is shorter"
        assert np.array_equal(kept(path, cls=cls).predict(X), whole.predict(X))


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_disk_that_fails_at_the_end_of_writing(tmp_path, monkeypatch, name):
    def fail(*arguments):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    path = tmp_path / "run"
    whole = kept(path)
    content = path.read_bytes()
    monkeypatch.setattr(checkpoint.os, name, fail)
    assert kept(path).n_iter_ == 4, "there is nothing to write"
    path.unlink()
    with pytest.warns(UserWarning, match="could not write .*: Input/output error. Make room"):
        assert np.array_equal(kept(path).predict(X), whole.predict(X))
    assert os.listdir(tmp_path) == []
    monkeypatch.undo()
    kept(path)
    assert len(path.read_bytes()) == len(content)


ON_A_DISK_OF_ITS_OWN = """
    import subprocess, sys, warnings
    import numpy as np
    from pathlib import Path

    sys.path.insert(0, sys.argv[2])
    from test_faults import At, X, kept

    path = Path(sys.argv[1], "run")
    whole = kept(path)
    size = path.stat().st_size
    path.unlink()
    filler = path.with_name("filler")

    def fill():
        with filler.open("wb", buffering=0) as file:
            try:
                while file.write(bytes(4096)):
                    pass
            except OSError:
                pass

    def read_only():
        subprocess.run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)

    for do, words in ((fill, "No space left on device"), (read_only, "Read-only file system")):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            net = kept(path, At(3, do))
        assert np.array_equal(net.predict(X), whole.predict(X))
        (warning,) = [w for w in caught if "Checkpoint" in str(w.message)]
        assert f"after epoch 3: {words}" in str(warning.message), warning.message
        filler.unlink(missing_ok=True) if do is fill else None
        assert [each.name for each in path.parent.iterdir()] == ["run"]
        if do is fill:
            again = kept(path)  # from where the disk was full
            assert np.array_equal(again.predict(X), whole.predict(X))
            path.unlink()
    try:
        kept(path)
    except ValueError as error:
        assert "cannot write to" in str(error) and "Read-only file system" in str(error)
    else:
        raise AssertionError("it was written")
    print("well")
    """


@needs_hooks
@pytest.mark.skipif(sys.platform != "linux", reason="mounts a file system as Linux does")
def test_a_full_disk_and_one_that_becomes_read_only(tmp_path):
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run([*unshare, *mount], check=False).returncode:
        pytest.skip("no file system may be mounted here")
    python = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(ON_A_DISK_OF_ITS_OWN)]
    script = f'{" ".join(mount)} && exec "$@"'
    done = subprocess.run(
        [*unshare, "sh", "-c", script, "sh", *python, str(tmp_path), str(Path(__file__).parent)],
        env={**os.environ, "PYTHONPATH": str(Path(sknn_scratch.__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.stdout == "well\n", done.stderr


# ---------------------------------------------------------------- killed while it writes


class Trace:
    """Counts lines of ``checkpoint._write`` and of what it calls; kills this process at one."""

    def __init__(self, at=None):
        self.at, self.n = at, 0

    def begin(self, frame, event, argument):
        if frame.f_code is checkpoint._write.__code__ or self._is_within(frame):
            return self.line
        return None

    def _is_within(self, frame):
        while (frame := frame.f_back) is not None:
            if frame.f_code is checkpoint._write.__code__:
                return True
        return False

    def line(self, frame, event, argument):
        if event == "line":
            self.n += 1
            if self.n - 1 == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.line


def forked(work):
    """Run in a child process; return its wait status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside helper threads
        child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]


@needs_hooks
def test_a_process_that_is_killed_while_it_writes(tmp_path):
    path = tmp_path / "run"
    whole = kept(path)
    path.unlink()
    counting = Trace()
    sys.settrace(counting.begin)
    kept(path)
    sys.settrace(None)
    path.unlink()
    assert counting.n > 400
    left = 0
    for at in np.linspace(0, counting.n - 1, 15).astype(int):
        killing = Trace(at)

        def work(killing=killing):
            sys.settrace(killing.begin)
            kept(path)

        assert os.WTERMSIG(forked(work)) == signal.SIGKILL
        files = sorted(file.name for file in tmp_path.iterdir())
        left += any(name.endswith(".tmp") for name in files)
        assert len(files) <= 2
        again = kept(path)  # resumes, or begins anew
        assert np.array_equal(again.predict(X), whole.predict(X))
        assert again.loss_curve_ == whole.loss_curve_
        assert os.listdir(tmp_path) == ["run"], "what the killed one has left is removed"
        path.unlink()
    assert left > 0


def test_what_others_write_is_left_alone(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    names = [f"run.{process.pid}-1.tmp", "run.tmp", "run.1-x.tmp", "other.1-1.tmp", "run.1-1.tmp"]
    for name in names:  # process 1 is always there
        (tmp_path / name).touch()
    kept(tmp_path / "run")
    assert sorted(os.listdir(tmp_path)) == sorted(["run", *names])
    process.communicate(b"\n")
    (tmp_path / "run").unlink()
    kept(tmp_path / "run")
    assert sorted(os.listdir(tmp_path)) == sorted(["run", *names[1:]])


# ---------------------------------------------------------------- clocks


@pytest.mark.parametrize("step", [-1e9, 1e9, np.nan])
def test_a_clock_that_jumps(tmp_path, monkeypatch, capsys, step):
    whole = ScratchMLPClassifier((5,), max_iter=4, random_state=0).fit(X, LABELS)
    now = [0.0]

    def clock():
        now[0] += step
        return now[0]

    for name in ("time", "monotonic", "perf_counter"):
        monkeypatch.setattr(checkpoint.time, name, clock)
    keeper = Checkpoint(tmp_path / "run")
    net = ScratchMLPClassifier((5,), max_iter=4, random_state=0, verbose=True)
    net.set_callbacks(keeper).fit(X, LABELS)
    assert capsys.readouterr().out.count("Iteration") == 4
    assert net.loss_curve_ == whole.loss_curve_
    assert os.listdir(tmp_path) == ["run"]
