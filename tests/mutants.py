"""Mutation check: changes single operators and numbers in the code, and sees whether a test fails.

The mutants are those of `cosmic-ray <https://cosmic-ray.readthedocs.io>`_, but for those of
annotations and signatures, of the texts of errors and warnings, and of ``__all__``. As there are
thousands, a random sample is drawn: places first, all with the same probability, then one change of
each. A mutant is tried on the tests that run its statement, as ``measure`` has found out, fast ones
first, until one fails.

In the folder of the project, on Linux or macOS::

    python -m pip install -e ".[test,mutation]"
    python tests/mutants.py measure mutation
    python tests/mutants.py run mutation --sample 160

``measure`` copies the project into the folder and runs the tests of ``MODULES``; ``run`` changes
that copy, and prints each mutant when it is done, survivors with their change, and the sum.
"""

import argparse
import ast
import difflib
import importlib
import json
import math
import os
import random
import resource
import shutil
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]

#: What is mutated.
MODULES = (
    *(f"sknn_scratch/{folder}/*.py" for folder in ("network", "training")),
    *(f"sknn_scratch/estimator/{name}.py" for name in ("targets", "plan", "numeric_targets")),
)

#: Tests that run it, of single numbers rather than of whole tables.
TESTS = (
    "arrays callbacks class_weight edges encoding ensemble estimator features fitted frames "
    "invariants labels losses low_rates network partial_fit rare regressor regularisation "
    "same_numbers same_numbers_of_regression solvers sparse stack stacked_backend stored_fits "
    "streams threads validation weights"
).split()

#: An operator becomes another of its group. Across groups most changes are errors of types, which
#: any test would notice.
GROUPS = (
    {"Add", "Sub", "Mul", "Div", "FloorDiv"},
    {"BitOr", "BitAnd", "BitXor"},
    {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"},
    {"Is", "IsNot"},
    {"In", "NotIn"},
    {"UAdd", "USub", "Not", "Delete"},
)


#: Bytes that a process of tests may have: a mutant may ask for any amount.
MEMORY = 6 << 30


class Mutant(NamedTuple):
    """A change of one place in the code."""

    path: str
    operator: str
    occurrence: int
    at: tuple[int, int]
    """Line and column."""


# ---------------------------------------------------------------- a module


class Source:
    """What stands where in a module."""

    def __init__(self, text: str):
        self.tree = ast.parse(text)
        self.nodes = list(ast.walk(self.tree))
        self.functions = [n for n in self.nodes if isinstance(n, ast.FunctionDef)]

    def is_skipped(self, position: tuple[int, int]) -> bool:
        """Whether a change here cannot matter, or is none of what comes out.

        It is in an annotation, in the signature of a function but not in a default value, in the
        text of an error or of a warning, or in ``__all__``.
        """
        for node in self.nodes:
            if isinstance(node, ast.FunctionDef):
                defaults = [*node.args.defaults, *filter(None, node.args.kw_defaults)]
                end = node.body[0].lineno, node.body[0].col_offset
                if (node.lineno, 0) <= position < end and not _within(position, defaults):
                    return True
            elif isinstance(node, ast.AnnAssign):
                if _within(position, [node.annotation]):
                    return True
            elif isinstance(node, ast.Raise):
                if isinstance(node.exc, ast.Call) and _within(position, node.exc.args):
                    return True
            elif isinstance(node, ast.Call):
                if ast.unparse(node.func) == "warn_user" and _within(position, node.args):
                    return True
            elif isinstance(node, ast.Assign):
                if ast.unparse(node.targets[0]) == "__all__" and _within(position, [node]):
                    return True
        return False

    def statement(self, position: tuple[int, int]) -> ast.stmt:
        """Return the innermost statement at a position, decorators included."""
        found = [n for n in self.nodes if isinstance(n, ast.stmt) and _first(n) <= position[0]]
        return max((n for n in found if position[0] <= n.end_lineno), key=_first)

    def lines_of(self, statement: ast.stmt) -> set[int]:
        """Return the numbers of its lines, without those of a block in it."""
        body = getattr(statement, "body", None)
        end = body[0].lineno - 1 if body else statement.end_lineno
        return set(range(_first(statement), max(end, statement.lineno) + 1))

    def lines_within(self, function: ast.AST) -> set[int]:
        """Return the numbers of the lines of its body."""
        return set(range(function.body[0].lineno, function.end_lineno + 1))

    def lines_with(self, names: set[str]) -> set[int]:
        """Return the numbers of the lines in functions that have one of these names in them."""
        inside = {line for function in self.functions for line in self.lines_within(function)}
        used = {
            node.lineno
            for node in self.nodes
            if {getattr(node, "id", None), getattr(node, "attr", None)} & names
        }
        return inside & used


def _first(statement: ast.stmt) -> int:
    return min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))])


def _within(position: tuple[int, int], nodes: Iterable[ast.AST]) -> bool:
    return any(
        (node.lineno, node.col_offset) <= position < (node.end_lineno, node.end_col_offset)
        for node in nodes
    )


# ---------------------------------------------------------------- tests and what they run


class Durations:
    """Plugin of pytest that notes how long each test takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report) -> None:
        """Add a phase of a test."""
        self.seconds[report.nodeid] += report.duration


def measure(folder: Path) -> int:
    """Copy the project, and find out which lines each test runs, and how long it takes."""
    import pytest

    tree = folder / "tree"
    hidden = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, tree, ignore=hidden)
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    os.environ["PYTHONPATH"] = str(tree)
    durations = Durations()
    options = ["-q", "-m", "not slow", "--cov", "--cov-context=test", "--cov-report="]
    files = [f"tests/test_{name}.py" for name in TESTS]
    status = pytest.main([*options, *files], plugins=[durations])
    (tree / ".coverage").rename(folder / "coverage.sqlite")
    (folder / "durations.json").write_text(json.dumps(durations.seconds))
    return int(status)


class Known:
    """Which tests run a line, and how long they take."""

    def __init__(self, folder: Path):
        from coverage import CoverageData

        self.tree = (folder / "tree").resolve()
        data = CoverageData(str(folder / "coverage.sqlite"))
        data.read()
        self.seconds: dict[str, float] = json.loads((folder / "durations.json").read_text())
        paths = sorted(self.tree.glob("sknn_scratch/**/*.py"))
        self.sources = {str(p.relative_to(self.tree)): Source(p.read_text()) for p in paths}
        self.tests: dict[str, dict[int, list[str]]] = {}
        """Tests that run a line, by module and number."""
        self.breadth: Counter[str] = Counter()
        """How many lines a test runs."""
        for path in self.sources:
            lines = data.contexts_by_lineno(str(self.tree / path))
            ids = {n: {each.rpartition("|")[0] for each in found} for n, found in lines.items()}
            self.tests[path] = {n: sorted(each & self.seconds.keys()) for n, each in ids.items()}
            self.breadth.update(test for each in self.tests[path].values() for test in each)

    def places_of(self, mutant: Mutant) -> dict[str, set[int]]:
        """Lines, by module, that run what a mutant changes.

        They are those of its statement. Of the default value of a parameter they are those of the
        function; of a constant, those in functions, of any module, that name it; and of anything
        else that runs when it is imported, all of the module.
        """
        source = self.sources[mutant.path]
        statement = source.statement(mutant.at)
        if isinstance(statement, ast.FunctionDef):
            return {mutant.path: source.lines_within(statement)}
        if any(statement.lineno in source.lines_within(each) for each in source.functions):
            return {mutant.path: source.lines_of(statement)}
        if isinstance(statement, ast.Assign):
            named = {
                node.id
                for target in statement.targets
                for node in ast.walk(target)
                if isinstance(node, ast.Name)
            }
            found = {path: each.lines_with(named) for path, each in self.sources.items()}
            if any(found.values()):
                return found
        return {
            mutant.path: {line for each in source.functions for line in source.lines_within(each)}
        }

    def tests_of(self, mutant: Mutant, most: float) -> list[list[str]]:
        """Tests that run what a mutant changes, of so many seconds in all, in two rounds.

        Half of the time is for those that run the fewest lines, which tend to be about this one.
        Their files come first, as to collect tests of many files takes longer than to run them.
        """
        found: set[str] = set()
        for path, lines in self.places_of(mutant).items():
            found.update(*(self.tests[path].get(line, ()) for line in lines))
        chosen: dict[str, float] = {}
        for rank, share in ((self.breadth, most / 2), (self.seconds, most)):
            for test in sorted(found - chosen.keys(), key=rank.__getitem__):
                if sum(chosen.values()) + self.seconds[test] > share:
                    break
                chosen[test] = self.seconds[test]
        ranked = sorted(chosen, key=self.breadth.__getitem__)
        first = {test.partition("::")[0] for test in ranked[:5]}
        rounds: dict[bool, list[str]] = {True: [], False: []}
        for test in sorted(chosen, key=chosen.__getitem__):
            rounds[test.partition("::")[0] in first].append(test)
        return [tests for tests in rounds.values() if tests]


# ---------------------------------------------------------------- mutants


def is_of_one_group(operator: str) -> bool:
    """Whether an operator of the language becomes another of its group, if it is that at all."""
    _, *words = operator.split("_")
    before_and_after = set(words)
    return not words or any(before_and_after <= group for group in GROUPS)


def places(tree: Path) -> dict[tuple[str, tuple, str], list[Mutant]]:
    """All mutants, by module, position and kind of change."""
    from cosmic_ray.ast import ast_nodes, get_ast_from_path
    from cosmic_ray.plugins import get_operator, operator_names

    found: dict[tuple[str, tuple, str], list[Mutant]] = defaultdict(list)
    for path in sorted(path for pattern in MODULES for path in tree.glob(pattern)):
        module, name = get_ast_from_path(path), str(path.relative_to(tree))
        source = Source(path.read_text())
        for operator in sorted(operator_names()):
            if not is_of_one_group(operator) or get_operator(operator).arguments():
                continue
            positions = (
                position
                for node in ast_nodes(module)
                for position in get_operator(operator)().mutation_positions(node)
            )
            for k, (start, end) in enumerate(positions):
                if not source.is_skipped(start):
                    kind = operator.split("_")[0]
                    mutant = Mutant(name, operator, k, start)
                    found[name, (start, end), kind].append(mutant)
    return found


def drawn(tree: Path, n: int, seed: int) -> Iterator[Mutant]:
    """Draw places, and one mutant of each."""
    found, rng = places(tree), random.Random(seed)
    print(f"{sum(map(len, found.values()))} mutants in {len(found)} places; seed {seed}")
    for place in rng.sample(sorted(found), min(n, len(found))):
        yield rng.choice(found[place])


def mutated(source: str, mutant: Mutant) -> str | None:
    """Source with the change of a mutant; None if there is none."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator

    return mutate_code(source, get_operator(mutant.operator)(), mutant.occurrence)


# ---------------------------------------------------------------- trials


def outcome_of(known: Known, rounds: list[list[str]]) -> str:
    """Run tests until one fails: "passed", "failed", or "no end"."""
    outcome = "passed"
    for tests in rounds:
        if outcome == "passed":
            limit = 60 + 5 * sum(known.seconds[test] for test in tests)
            outcome = outcome_of_round(known.tree, tests, limit)
    return outcome


def outcome_of_round(tree: Path, tests: list[str], seconds: float) -> str:
    """Run tests in a process of their own: "passed", "failed", or "no end" in so many seconds."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()  # so that what it starts ends with it
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        output = os.open(os.devnull, os.O_WRONLY)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(tree)
        sys.path.insert(0, str(tree))
        os.environ["PYTHONPATH"] = str(tree)
        import pytest

        status = 1
        try:
            status = int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", *tests]))
        finally:
            os._exit(status)
    deadline = time.monotonic() + seconds
    status = None
    while status is None and time.monotonic() < deadline:
        ended, code = os.waitpid(child, os.WNOHANG)
        if ended:
            status = code
        else:
            time.sleep(0.02)
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:
        pass
    if status is None:
        os.waitpid(child, 0)
        return "no end"
    return "failed" if status else "passed"


def preload(tree: Path) -> None:
    """Import what the package and its tests import from elsewhere, once for all processes.

    But hypothesis, as pytest wants to import its plugins itself.
    """
    tests = [tree / "tests" / f"test_{name}.py" for name in TESTS]
    left = {path.stem for path in (tree / "tests").glob("*.py")} | {"sknn_scratch", "hypothesis"}
    for path in [*tree.glob("sknn_scratch/**/*.py"), *tests]:
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in getattr(node, "names", ())]
            if isinstance(node, ast.ImportFrom):
                names = [node.module]
            elif not isinstance(node, ast.Import):
                continue
            for name in names:
                if name.split(".")[0] not in left:
                    with suppress(ImportError):  # of another version
                        importlib.import_module(name)


def write(path: Path, source: str) -> None:
    """Write a module, with a time of its own: Python knows by it, in seconds, what it compiled."""
    write.second = max(getattr(write, "second", 0) + 1, int(time.time()))
    path.write_text(source)
    os.utime(path, (write.second, write.second))


def interval(k: int, n: int) -> tuple[float, float]:
    """95 % confidence interval of a proportion, by Wilson (JASA 22, 1927)."""
    z, p = 1.959964, k / n
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def run(folder: Path, n: int, seed: int, minutes: float, most: float) -> int:
    """Try mutants; print survivors and the sum."""
    known = Known(folder)
    preload(known.tree)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the copy is left as it was
    assert "sknn_scratch" not in sys.modules, "each process imports the package for itself"
    counts = dict.fromkeys(("killed", "killed: no end", "survived", "not run by a test"), 0)
    of = {"passed": "survived", "failed": "killed", "no end": "killed: no end"}
    began, controls = time.monotonic(), 0
    for k, mutant in enumerate(drawn(known.tree, n, seed)):
        if time.monotonic() - began > 60 * minutes:
            print("The time is over.")
            break
        path, rounds = known.tree / mutant.path, known.tests_of(mutant, most)
        source = path.read_text()
        changed = mutated(source, mutant)
        assert changed is not None and changed != source, mutant
        outcome = "not run by a test"
        if rounds and k % 40 == 0:
            controls += 1
            control = outcome_of(known, rounds)
            assert control == "passed", f"without a change: {control}, of {rounds}"
        if rounds:
            try:
                write(path, changed)
                outcome = of[outcome_of(known, rounds)]
            finally:
                write(path, source)
        counts[outcome] += 1
        n_tests = sum(map(len, rounds))
        print(f"{outcome}: {mutant.path}:{mutant.at[0]} {mutant.operator} ({n_tests} tests)")
        if not outcome.startswith("killed"):
            lines = difflib.unified_diff(source.splitlines(), changed.splitlines(), n=0)
            print("\n".join(f"    {line}" for line in [*lines][3:]))
        sys.stdout.flush()
    print(f"{controls} times the tests of a mutant were run without its change, and passed.")
    total = sum(counts.values())
    killed = total - counts["survived"] - counts["not run by a test"]
    low, high = interval(killed, total)
    print(", ".join(f"{k} {name}" for name, k in counts.items()))
    print(f"{killed / total:.1%} killed, 95 % interval {low:.1%} to {high:.1%}")
    return 0


def main() -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("measure", help=measure.__doc__)
    second = commands.add_parser("run", help=run.__doc__)
    for command in (first, second):
        command.add_argument("folder", type=Path, help="where the copy and the measurements are")
    second.add_argument("--sample", type=int, default=160, help="mutants to draw")
    second.add_argument("--seed", type=int, default=0)
    second.add_argument("--minutes", type=float, default=40, help="time after which none begins")
    second.add_argument("--most", type=float, default=10, help="seconds of tests per mutant")
    given = parser.parse_args()
    if given.command == "measure":
        return measure(given.folder.resolve())
    return run(given.folder.resolve(), given.sample, given.seed, given.minutes, given.most)


if __name__ == "__main__":
    sys.exit(main())
