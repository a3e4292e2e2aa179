"""Names and signatures that users rely on, as text: what stands in ``public_api.txt``.

After a change that is meant, write it again::

    python tests/public_api.py
"""

import inspect
import re
import sys
from pathlib import Path
from types import ModuleType

import sknn_scratch
import sknn_scratch.datasets

FILE = Path(__file__).with_name("public_api.txt")

#: Methods that scikit-learn adds to each estimator, one for each method that takes metadata.
OF_SCIKIT_LEARN = re.compile("set_.*_request")


def signature(function: object) -> str:
    """Names and defaults of parameters: the annotations may become more precise."""
    parameters = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in inspect.signature(function).parameters.values()
    ]
    return str(inspect.Signature(parameters))


def members(cls: type) -> list[str]:
    """Public methods, properties and constants of a class that this package defines."""
    lines = []
    for name in sorted(dir(cls)):
        owner = next((base for base in cls.__mro__ if name in vars(base)), object)
        ours = owner.__module__.startswith(sknn_scratch.__name__)
        if name.startswith("_") or not ours or OF_SCIKIT_LEARN.fullmatch(name):
            continue
        is_property = isinstance(inspect.getattr_static(cls, name), property)
        lines.append(f"    {name}{'' if is_property else signature(getattr(cls, name))}")
    return lines


def fitted(cls: type) -> list[str]:
    """Attributes after a fit, as the docstring names them."""
    _, _, part = inspect.cleandoc(cls.__doc__ or "").partition("Attributes\n----------\n")
    part = part.split("\n\n")[0]
    return [f"    {line.split(' : ')[0]}" for line in part.splitlines() if " : " in line[:40]]


def of_module(module: ModuleType, names: list[str]) -> list[str]:
    """All that a module offers under these names."""
    lines = []
    for name in sorted(names):
        value, full = getattr(module, name), f"{module.__name__}.{name}"
        if inspect.isclass(value):
            lines.append(f"{full}{signature(value)}")
            lines += sorted({*members(value), *fitted(value)})
        elif callable(value):
            lines.append(f"{full}{signature(value)}")
        else:
            lines += [f"{full}", *(f"    {key}={each!r}" for key, each in value.items())]
    return lines


def public_api() -> str:
    """The public interface, a line for each name."""
    datasets = [name for name in vars(sknn_scratch.datasets) if name.startswith("load_")]
    lines = of_module(sknn_scratch, sknn_scratch.__all__)
    lines += of_module(sknn_scratch.datasets, datasets)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(public_api(), encoding="utf-8")
    sys.exit(0)
