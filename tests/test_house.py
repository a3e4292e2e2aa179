"""The rules of the house, read from the sources: who imports whom, which axes, what stands where.

The checks are functions of source text or of a folder, so that each is also shown what it forbids.
"""

import ast
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sknn_scratch"

# A module imports from lower levels only. Every module has a row; a row may wait for its module.
LEVELS = {
    "_compat": 0,
    "activations": 0,
    "arrays": 0,
    "batches": 0,
    "features": 0,
    "regularisation": 0,
    "schedules": 0,
    "solvers": 0,
    "stopping": 0,
    "targets": 0,
    "threads": 0,
    "losses": 1,
    "network": 1,
    "training": 2,
    "validation": 2,
    "callbacks": 3,
    "stacking": 3,
    "classifier": 4,
    "displays": 5,
    "onnx": 5,
    "__init__": 6,
    "__main__": 7,  # a user of the package like any other
}

# Kernels: they touch the last two axes only, and broadcast over the rest.
KERNELS = ["activations", "arrays", "losses", "network", "schedules", "solvers", "training"]

# scikit-learn, and what it brings.
RUN_TIME = {"joblib", "numpy", "scipy", "sklearn", "threadpoolctl"}

TOP_LEVEL = {
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "docs",
    "pyproject.toml",
    "sknn_scratch",
    "tests",
}
BUILD_ARTEFACTS = ["build", "dist", "*.egg-info", "__pycache__"]


def trees(package: Path) -> dict[str, ast.Module]:
    """Syntax tree of every module of a package without subpackages."""
    return {path.stem: ast.parse(path.read_text()) for path in sorted(package.glob("*.py"))}


# ---------------------------------------------------------------- imports within the package


def own_imports(tree: ast.Module, package: str, modules: set[str]) -> set[str]:
    """Modules of the package that a module imports, in functions too."""
    found = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level < 2, "a package without subpackages has nothing above it"
            prefix = f"{package}." * node.level + (node.module or "")
            names = [f"{prefix.rstrip('.')}.{alias.name}" for alias in node.names]
        for name in names:
            top, *rest = name.split(".")
            if top == package:
                # `from package import name` is the module of that name, or a name in __init__.
                found.add(rest[0] if rest and rest[0] in modules else "__init__")
    return found


def import_faults(package: Path, levels: dict[str, int]) -> list[str]:
    """What is wrong with the imports between the modules of a package."""
    sources = trees(package)
    graph = {name: own_imports(tree, package.name, set(sources)) for name, tree in sources.items()}
    faults = [f"{name} has no level" for name in graph if name not in levels]
    faults += [
        f"{name} (level {levels[name]}) imports {other} (level {levels[other]})"
        for name, others in graph.items()
        for other in sorted(others)
        if name in levels and other in levels and levels[other] >= levels[name]
    ]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        faults.append("circular: " + " <- ".join(error.args[1]))
    return faults


def write_package(folder: Path, **sources: str) -> Path:
    package = folder / "pkg"
    package.mkdir()
    for name, source in sources.items():
        (package / f"{name}.py").write_text(source)
    return package


def test_imports_point_down():
    assert import_faults(PACKAGE, LEVELS) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pkg.high",
        "import numpy, pkg.high as h",
        "from pkg import high",
        "from pkg.high import thing",
        "from . import high",
        "from .high import thing",
        "def later():\n    from pkg.high import thing",
    ],
)
def test_an_upward_import_is_found(tmp_path, line):
    package = write_package(tmp_path, low=line, high="")
    assert import_faults(package, {"low": 0, "high": 1}) == ["low (level 0) imports high (level 1)"]
    assert import_faults(package, {"low": 2, "high": 1}) == []


def test_an_import_of_the_same_level_is_found(tmp_path):
    package = write_package(tmp_path, left="import pkg.right", right="")
    assert import_faults(package, {"left": 0, "right": 0}) == [
        "left (level 0) imports right (level 0)"
    ]


@pytest.mark.parametrize("line", ["from pkg import thing", "import pkg", "from . import thing"])
def test_an_import_from_the_top_is_found(tmp_path, line):
    package = write_package(tmp_path, __init__="", low=line)
    assert import_faults(package, {"low": 0, "__init__": 1}) == [
        "low (level 0) imports __init__ (level 1)"
    ]


def test_a_circular_import_is_found(tmp_path):
    package = write_package(
        tmp_path, a="import pkg.b", b="from pkg import c", c="from pkg.a import thing"
    )
    faults = import_faults(package, {"a": 2, "b": 1, "c": 0})
    assert faults[0] == "c (level 0) imports a (level 2)"
    assert len(faults) == 2
    assert faults[1].startswith("circular: ")
    assert set(faults[1].removeprefix("circular: ").split(" <- ")) == {"a", "b", "c"}


def test_a_module_without_a_level_is_found(tmp_path):
    package = write_package(tmp_path, known="", unknown="")
    assert import_faults(package, {"known": 0}) == ["unknown has no level"]


# ---------------------------------------------------------------- imports from elsewhere


def imported_at_once(node: ast.AST) -> set[str]:
    """Top-level packages that are imported when a module is, not when a function is called."""
    found = set()
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            found |= {alias.name.split(".")[0] for alias in child.names}
        elif isinstance(child, ast.ImportFrom) and child.level == 0:
            found.add(child.module.split(".")[0])
        elif isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for other in child.orelse:
                found |= imported_at_once(ast.Module([other], []))
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found |= imported_at_once(child)
    return found


@pytest.mark.parametrize("name, tree", trees(PACKAGE).items())
def test_run_time_imports_are_few(name, tree):
    allowed = RUN_TIME | {PACKAGE.name} | set(sys.stdlib_module_names)
    if name == "onnx":  # it is imported by those who want it, and __init__ does not
        allowed |= {"onnx", "skl2onnx"}
    assert imported_at_once(tree) - allowed == set(), "import extras where they are used"


def test_the_declared_dependencies_bring_the_run_time_imports():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == ["numpy>=1.26", "scikit-learn>=1.6"]


def test_imports_at_once_are_told_from_later_ones():
    source = """
import a.x, numpy
from b.y import z
from . import own
try:
    import c
except ImportError:
    import d
class Thing:
    import e
    def method(self):
        import late
if TYPE_CHECKING:
    import typed
else:
    import f
def function():
    from late import thing
"""
    assert imported_at_once(ast.parse(source)) == {"a", "numpy", "b", "c", "d", "e", "f"}


def private_names_of_sklearn(tree: ast.Module) -> list[str]:
    """Underscored modules and names that a module imports from scikit-learn."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return [
        name
        for name in names
        if name.startswith("sklearn.") and any(part.startswith("_") for part in name.split("."))
    ]


@pytest.mark.parametrize("name, tree", trees(PACKAGE).items())
def test_only_compat_knows_the_corners_of_sklearn(name, tree):
    private = private_names_of_sklearn(tree)
    assert private == [] or name == "_compat"


def test_private_names_of_sklearn_are_found():
    source = "from sklearn.base import _fit_context, clone\nimport sklearn.utils._tags, sklearn.svm"
    assert private_names_of_sklearn(ast.parse(source)) == [
        "sklearn.base._fit_context",
        "sklearn.utils._tags",
    ]


# ---------------------------------------------------------------- axes

# Where the axis may stand without its name: after the array, or first in a method of it.
AXIS_SECOND = {
    "all", "any", "argmax", "argmin", "argsort", "concatenate", "cumsum", "expand_dims", "flip",
    "max", "mean", "median", "min", "prod", "sort", "squeeze", "stack", "std", "sum", "var",
}  # fmt: skip
AXIS_THIRD = {"moveaxis", "repeat", "rollaxis", "swapaxes", "take"}


def counts_from_the_front(node: ast.AST) -> bool:
    """Whether an axis is written as 0, 1, ..., alone or in a tuple."""
    if isinstance(node, ast.Tuple | ast.List):
        return any(map(counts_from_the_front, node.elts))
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def axes_from_the_front(tree: ast.Module) -> list[str]:
    """Calls that name an axis by its number from the front."""
    found = []
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        axes = [keyword.value for keyword in call.keywords if keyword.arg in {"axis", "axes"}]
        if isinstance(call.func, ast.Attribute):
            of_numpy = ast.unparse(call.func.value) in {"np", "numpy"}
            if call.func.attr in AXIS_SECOND:
                axes += call.args[of_numpy:][:1]
            elif call.func.attr in AXIS_THIRD:
                first = 1 if call.func.attr in {"take", "repeat"} else 0
                axes += call.args[of_numpy:][first:2]
            elif call.func.attr == "transpose":
                axes += call.args[of_numpy:]
        if any(map(counts_from_the_front, axes)):
            found.append(ast.unparse(call))
    return found


@pytest.mark.parametrize("name", KERNELS)
def test_kernels_count_axes_from_the_back(name):
    assert axes_from_the_front(trees(PACKAGE)[name]) == []


@pytest.mark.parametrize(
    "call",
    [
        "z.sum(axis=0)",
        "z.max(1)",
        "np.sum(z, 1)",
        "np.mean(z, axis=(0, 1))",
        "np.linalg.norm(z, axis=1)",
        "np.stack([a, b], 1)",
        "np.take(z, rows, 1)",
        "z.take(rows, 0)",
        "z.swapaxes(0, 1)",
        "np.swapaxes(z, -1, 1)",
        "z.transpose(0, 2, 1)",
    ],
)
def test_an_axis_from_the_front_is_found(call):
    assert axes_from_the_front(ast.parse(call)) == [call]


@pytest.mark.parametrize(
    "call",
    [
        "z.sum(axis=-1)",
        "np.max(z, -1)",
        "np.maximum(z, 0)",
        "max(z, 0)",
        "z.swapaxes(-1, -2)",
        "np.take(z, 0, axis=-2)",
        "rng.uniform(0, 1)",
    ],
)
def test_an_axis_from_the_back_is_not(call):
    assert axes_from_the_front(ast.parse(call)) == []


# ---------------------------------------------------------------- constructors


def constructor_faults(cls: ast.ClassDef) -> list[str]:
    """Where `__init__`, if the class has one, does not store each argument under its own name."""
    init = next(
        (f for f in cls.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None
    )
    if init is None:
        return []
    arguments = init.args
    faults = [f"takes *{a.arg}" for a in (arguments.vararg, arguments.kwarg) if a is not None]
    me, *names = [a.arg for a in arguments.posonlyargs + arguments.args]
    names += [a.arg for a in arguments.kwonlyargs]
    body = init.body[1:] if ast.get_docstring(init) else init.body
    lines = [ast.unparse(statement) for statement in body]
    expected = [f"{me}.{name} = {name}" for name in names]
    faults += [f"does more: {line}" for line in lines if line not in expected]
    faults += [f"leaves out: {line}" for line in expected if line not in lines]
    return faults


def public_classes(sources: dict[str, ast.Module]) -> list[ast.ClassDef]:
    """Classes that `__init__` takes from the modules, and so exports."""
    exported = {
        (node.module.split(".")[-1], alias.name)
        for node in sources["__init__"].body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    return [
        node
        for name, tree in sources.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef) and (name, node.name) in exported
    ]


def test_constructors_of_public_classes_only_store():
    faults = {cls.name: constructor_faults(cls) for cls in public_classes(trees(PACKAGE))}
    assert "ScratchMLPClassifier" in faults
    assert {name: found for name, found in faults.items() if found} == {}


@pytest.mark.parametrize(
    "init, faults",
    [
        ("def __init__(self, a, *, b=1):\n  'Text.'\n  self.a = a\n  self.b = b", []),
        ("def __init__(self, a):\n  self.a = int(a)", ["does more", "leaves out"]),
        ("def __init__(self, a):\n  self.a = a\n  self.b_ = None", ["does more"]),
        ("def __init__(self, a):\n  if a: self.a = a", ["does more", "leaves out"]),
        ("def __init__(self, *, a, b):\n  self.a = a", ["leaves out"]),
        ("def __init__(self, *args, **config):\n  '''Text.'''", ["takes *args", "takes *config"]),
        ("def fit(self):\n  self.a_ = 1", []),
    ],
)
def test_a_constructor_that_does_more_is_found(init, faults):
    cls = ast.parse("class Thing:\n" + "\n".join(f"  {line}" for line in init.splitlines())).body[0]
    assert [fault.split(":")[0] for fault in constructor_faults(cls)] == faults


def test_public_classes_are_the_exported_ones():
    sources = {
        "__init__": ast.parse("from pkg.shop import Open, function\n"),
        "shop": ast.parse("class Open: pass\nclass Hidden: pass\ndef function(): pass"),
        "other": ast.parse("class Open: pass"),
    }
    assert [cls.name for cls in public_classes(sources)] == ["Open"]
    assert public_classes(sources)[0] is sources["shop"].body[0]


# ---------------------------------------------------------------- the top level


def strangers(root: Path) -> list[str]:
    """Entries of the project's folder that do not belong there."""
    return sorted(
        path.name
        for path in root.iterdir()
        if not path.name.startswith(".")
        and path.name not in TOP_LEVEL
        and not any(path.match(pattern) for pattern in BUILD_ARTEFACTS)
    )


def test_the_top_level_is_tidy():
    assert strangers(ROOT) == []
    assert [name for name in sorted(TOP_LEVEL) if not (ROOT / name).exists()] == []


def test_a_stranger_at_the_top_level_is_found(tmp_path):
    for name in [*TOP_LEVEL, ".git", "build", "sknn_scratch.egg-info", "notes.txt", "scripts"]:
        (tmp_path / name).touch()
    assert strangers(tmp_path) == ["notes.txt", "scripts"]


def test_the_version_of_ruff_is_the_same_everywhere():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = [r for r in extras["optional-dependencies"]["lint"] if r.startswith("ruff==")]
    lines = (ROOT / ".pre-commit-config.yaml").read_text().splitlines()
    dependencies = [line.split(": ")[1] for line in lines if "additional_dependencies" in line]
    assert len(dependencies) == 2
    assert set(dependencies) == {f"[{pinned[0]}]"}
