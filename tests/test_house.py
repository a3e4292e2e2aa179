"""The rules of the house, read from the sources: who imports whom, which axes, what stands where.

The checks are functions of source text or of a folder, so that each is also shown what it forbids.
"""

import ast
import inspect
import re
import sys
import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from sknn_scratch import ScratchMLPClassifier, ScratchMLPRegressor

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sknn_scratch"

# The floors, from the ground up: what is in the package's folder, and what each imports from there,
# besides its own. A folder is one floor; within it modules import each other in any acyclic way.
FLOORS = {
    "_caller": set(),
    "_compat": set(),
    "_palette": set(),
    "network": {"_compat"},
    "training": {"_compat", "network"},
    "page": {"_palette", "network"},
    "callbacks": {"_caller", "_compat", "network", "page", "training"},
    "parallel": {"network", "training"},  # it plugs itself in: nobody imports it, but __init__
    "estimator": {"_caller", "_compat", "callbacks", "network", "training"},
    "datasets": set(),
    "displays": {"_palette", "estimator"},
    "onnx": {"_compat", "estimator", "network"},
    "__init__": {"callbacks", "displays", "estimator", "parallel"},
    # else a user of the package like any other
    "demonstration": {"__init__", "_palette", "datasets"},
    "__main__": {"demonstration"},
}

# Kernels: they touch the last two axes only, and broadcast over the rest.
KERNELS = [
    "network.activations",
    "network.arrays",
    "network.layers",
    "network.links",
    "network.losses",
    "network.propagation",
    "training.objective",
    "training.schedules",
    "training.solvers",
]

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
    """Syntax tree of every module of a package, by its name in the package."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        is_folder = len(parts) > 1 and parts[-1] == "__init__"
        found[".".join(parts[:-1] if is_folder else parts)] = ast.parse(path.read_text())
    return found


# ---------------------------------------------------------------- imports within the package


def own_imports(tree: ast.Module, package: str, modules: set[str]) -> set[str]:
    """Modules of the package that a module imports, in functions too, by their names in it."""
    found = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports within the package say its name"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            top, *rest = name.split(".")
            if top == package:
                # `from package.folder import name`: a module of that name, or a name in a module.
                parts = [".".join(rest[:n]) for n in range(len(rest), 0, -1)]
                found.add(next((part for part in parts if part in modules), "__init__"))
    return found


def import_faults(package: Path, floors: dict[str, set[str]]) -> list[str]:
    """What is wrong with the imports between the modules of a package."""
    sources = trees(package)
    graph = {name: own_imports(tree, package.name, set(sources)) for name, tree in sources.items()}
    faults = []
    for name, others in graph.items():
        floor = name.split(".")[0]
        if floor not in floors:
            faults.append(f"{name} is on no floor")
            continue
        allowed = floors[floor] | {floor}
        faults += [
            f"{name} imports {other}"
            for other in sorted(others)
            if other.split(".")[0] not in allowed or other == name
        ]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        faults.append("circular: " + " <- ".join(error.args[1]))
    return faults


def write_package(folder: Path, **sources: str) -> Path:
    """Write a package; two underscores in a name stand for a folder."""
    package = folder / "pkg"
    for name, source in sources.items():
        path = package.joinpath(*name.split("__") if name != "__init__" else [name])
        path.parent.mkdir(exist_ok=True, parents=True)
        path.with_suffix(".py").write_text(source)
    return package


def test_imports_point_down():
    assert import_faults(PACKAGE, FLOORS) == []


def test_every_floor_is_there():
    assert {name.split(".")[0] for name in trees(PACKAGE)} == set(FLOORS)


def test_the_table_of_floors_points_down():
    built = set()
    for floor, below in FLOORS.items():
        assert below <= built, f"{floor} rests on what is not below it"
        built.add(floor)


@pytest.mark.parametrize(
    "line",
    [
        "import pkg.high.one",
        "import numpy, pkg.high.one as h",
        "from pkg.high import one",
        "from pkg.high.one import thing",
        "def later():\n    from pkg.high.one import thing",
    ],
)
def test_an_upward_import_is_found(tmp_path, line):
    package = write_package(tmp_path, low__one=line, high__one="")
    assert import_faults(package, {"low": set(), "high": set()}) == ["low.one imports high.one"]
    assert import_faults(package, {"high": set(), "low": {"high"}}) == []


def test_an_import_within_a_folder_is_fine(tmp_path):
    package = write_package(tmp_path, a__one="import pkg.a.two", a__two="")
    assert import_faults(package, {"a": set()}) == []


@pytest.mark.parametrize("line", ["from pkg import thing", "import pkg"])
def test_an_import_from_the_top_is_found(tmp_path, line):
    package = write_package(tmp_path, __init__="", low=line)
    assert import_faults(package, {"low": set(), "__init__": {"low"}}) == ["low imports __init__"]


def test_a_circular_import_is_found(tmp_path):
    package = write_package(
        tmp_path, a__x="import pkg.a.y", a__y="from pkg.a import z", a__z="import pkg.a.x"
    )
    (fault,) = import_faults(package, {"a": set()})
    assert set(fault.removeprefix("circular: ").split(" <- ")) == {"a.x", "a.y", "a.z"}


def test_a_module_on_no_floor_is_found(tmp_path):
    package = write_package(tmp_path, known="", unknown__one="")
    assert import_faults(package, {"known": set()}) == ["unknown.one is on no floor"]


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
        (node.module.split(".", 1)[-1], alias.name)
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


def parameter_orders(source: str, name: str) -> dict[str, list[str]]:
    """Parameters of an estimator in the order of its docstring and of its constructor."""
    tree = ast.parse(source)
    (cls,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    doc = ast.get_docstring(cls).split("Parameters\n----------\n")[1].split("\nAttributes\n")[0]
    (init,) = (n for n in cls.body if isinstance(n, ast.FunctionDef) and n.name == "__init__")
    return {
        "docstring": re.findall(r"^(\w+) : ", doc, re.MULTILINE),
        "signature": [a.arg for a in (*init.args.args[1:], *init.args.kwonlyargs)],
        "body": [statement.targets[0].attr for statement in init.body],
    }


@pytest.mark.parametrize("cls", [ScratchMLPClassifier, ScratchMLPRegressor])
def test_parameters_stand_in_one_order_everywhere(cls):
    source = Path(inspect.getfile(cls)).read_text()
    orders = parameter_orders(source, cls.__name__)
    assert len(orders["docstring"]) > 20
    assert all(order == orders["docstring"] for order in orders.values())
    assert set(cls._parameter_constraints) == set(orders["docstring"])


def test_both_estimators_have_their_parameters_in_one_order():
    classifier, regressor = (
        [*inspect.signature(cls).parameters] for cls in (ScratchMLPClassifier, ScratchMLPRegressor)
    )
    common = [name for name in classifier if name in regressor]
    assert [name for name in regressor if name in classifier] == common
    assert set(classifier) ^ set(regressor) == {"class_weight", "scale_targets"}


# Parameters and attributes that are not the same in both estimators, and so read differently.
OTHER_TEXT = {
    "hidden_layer_sizes", "activation", "init", "dtype", "loss", "weight_decay", "batch_size",
    "learning_rate_init", "max_iter", "early_stopping", "scoring", "class_weight", "scale_targets",
    "classes_", "coefs_", "target_mean_", "target_scale_", "loss_", "out_activation_",
}  # fmt: skip


def paragraphs(cls: type) -> dict[str, str]:
    """What the docstring of an estimator says about each parameter and attribute."""
    doc = inspect.cleandoc(cls.__doc__).split("Parameters\n----------\n")[1].split("\nSee Also")[0]
    parts = re.split(r"^(\w+) : ", doc, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_both_estimators_say_the_same_about_the_same():
    classifier, regressor = map(paragraphs, (ScratchMLPClassifier, ScratchMLPRegressor))
    names = classifier.keys() | regressor.keys()
    differ = {name for name in names if classifier.get(name) != regressor.get(name)}
    assert differ == OTHER_TEXT


# ---------------------------------------------------------------- frozen objects


def thawed(tree: ast.Module) -> list[str]:
    """Dataclasses of a module that are not frozen."""
    return [
        cls.name
        for cls in ast.walk(tree)
        if isinstance(cls, ast.ClassDef)
        for decorator in map(ast.unparse, cls.decorator_list)
        if decorator.split("(")[0].endswith("dataclass") and "frozen=True" not in decorator
    ]


def test_dataclasses_are_frozen():
    assert {name: found for name, tree in trees(PACKAGE).items() if (found := thawed(tree))} == {}


@pytest.mark.parametrize(
    "decorator, n",
    [
        ("dataclass(frozen=True, eq=False)", 0),
        ("dataclass(frozen=False)", 1),
        ("dataclass", 1),
        ("dataclasses.dataclass(eq=False)", 1),
        ("cache", 0),
    ],
)
def test_a_dataclass_that_is_not_frozen_is_found(decorator, n):
    assert thawed(ast.parse(f"@{decorator}\nclass Job: pass")) == ["Job"] * n


# ---------------------------------------------------------------- sizes

LONGEST = {ast.Module: 500, ast.ClassDef: 400, ast.FunctionDef: 60}


def lines_of(node: ast.Module | ast.ClassDef | ast.FunctionDef, source: str) -> int:
    """Lines of code: of a class without its docstring, of a function also without its signature."""
    if isinstance(node, ast.Module):
        return len(source.splitlines())
    body = node.body[1:] if ast.get_docstring(node) else node.body
    if not body:
        return 0
    first = body[0].lineno if isinstance(node, ast.FunctionDef) else node.lineno
    docstring = (
        0
        if isinstance(node, ast.FunctionDef) or not ast.get_docstring(node)
        else (node.body[0].end_lineno - node.body[0].lineno + 1)
    )
    return body[-1].end_lineno - first + 1 - docstring


def too_long(source: str) -> list[str]:
    """Modules, classes and functions with more lines than they should have."""
    return [
        getattr(node, "name", "module")
        for node in ast.walk(ast.parse(source))
        if (most := LONGEST.get(type(node))) is not None and lines_of(node, source) > most
    ]


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_nothing_is_too_long(path):
    assert too_long(path.read_text()) == []


def test_what_is_too_long_is_found():
    lines = "    x = 1\n"
    assert too_long("def f():\n" + 60 * lines) == []
    assert too_long("def f():\n" + 61 * lines) == ["f"]
    assert too_long('def f():\n    """\n' + 70 * "    a\n" + '    """\n' + lines) == []
    assert too_long("class A:\n" + 400 * lines) == ["A"]
    assert too_long('class A:\n    """\n' + 70 * "    a\n" + '    """\n' + 399 * lines) == []
    assert too_long("x = 1\n" * 501) == ["module"]


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
