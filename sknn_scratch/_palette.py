"""Colours and shapes of all pictures, so that a class or a sign looks the same in each of them.

Each class has a shape, and a colour of Okabe and Ito ("Color Universal Design", 2008), which
colour-blind readers can tell apart. Positive values are indigo, negative ones red; lines of
negative weights are also dashed.
"""

from typing import Any, NamedTuple

import numpy as np


class Shape(NamedTuple):
    """The shape of a class: the page draws its outline, matplotlib has a marker for it."""

    name: str
    marker: str


#: On a white and on a dark background.
CLASS_COLORS = (
    ("#0072b2", "#4aa8e8"),
    ("#e69f00", "#f2b33d"),
    ("#009e73", "#2fc79b"),
    ("#cc79a7", "#e59cc4"),
    ("#56b4e9", "#9bd4f5"),
    ("#d55e00", "#ff8b47"),
    ("#b5a900", "#f0e442"),
    ("#6b7085", "#b4b9cc"),
)

SHAPES = (
    Shape("circle", "o"),
    Shape("square", "s"),
    Shape("triangle", "^"),
    Shape("diamond", "D"),
    Shape("tip", "v"),
    Shape("cross", "X"),
    Shape("plus", "P"),
    Shape("star", "*"),
    Shape("pentagon", "p"),
    Shape("hexagon", "h"),
)

PAPER = ("#ffffff", "#1b1e2b")
INK = ("#23263b", "#e8eaf4")
MUTED = ("#666b82", "#a2a8c0")
POSITIVE = ("#3b4a9c", "#9fadff")
NEGATIVE = ("#c23b2a", "#ff8a78")


def class_color(i: int) -> str:
    """Return the colour of class i on a white background."""
    return CLASS_COLORS[i % len(CLASS_COLORS)][0]


def class_shape(i: int) -> Shape:
    """Return the shape of class i."""
    return SHAPES[i % len(SHAPES)]


def _blend(*colors: Any) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("sknn_scratch", [*colors])


def sequential() -> Any:
    """Return a matplotlib colormap from white (little) to indigo (much)."""
    return _blend(PAPER[0], POSITIVE[0])


def diverging() -> Any:
    """Return a matplotlib colormap from red (negative) over white (zero) to indigo (positive)."""
    return _blend(NEGATIVE[0], PAPER[0], POSITIVE[0])


def curves(n: int) -> Any:
    """Return colours for n curves, (n, 4), dark to light, so that they differ in grey as well."""
    shades = _blend(INK[0], POSITIVE[0], class_color(4))
    return shades(np.linspace(0, 1, n) if n > 1 else [0.5])


def lines() -> Any:
    """Return a matplotlib colormap for lines: the diverging one, but visible near zero too."""
    pale = [_light(_light(color)) for color in (NEGATIVE[0], POSITIVE[0])]
    return _blend((0, NEGATIVE[0]), (0.5, pale[0]), (0.5, pale[1]), (1, POSITIVE[0]))


def of_class(i: int) -> Any:
    """Return a matplotlib colormap from white to the colour of class i."""
    return _blend(PAPER[0], class_color(i))


def between_two() -> Any:
    """Return a matplotlib colormap from the first class to the second, white in the middle.

    It is light, so that the markers of the classes stand out on it.
    """
    return _blend(_light(class_color(0)), PAPER[0], _light(class_color(1)))


def _light(color: str) -> str:
    """Mix a colour with as much white."""
    parts = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return "#" + "".join(f"{(part + 255) // 2:02x}" for part in parts)


def css() -> str:
    """Declare the colours as custom CSS properties, for the light and the dark scheme."""
    named = {"paper": PAPER, "ink": INK, "muted": MUTED, "positive": POSITIVE, "negative": NEGATIVE}
    named |= {f"class-{i}": pair for i, pair in enumerate(CLASS_COLORS)}
    light, dark = (
        " ".join(f"--{name}: {pair[ground]};" for name, pair in named.items()) for ground in (0, 1)
    )
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
