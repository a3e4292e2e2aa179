"""Colours and shapes of all pictures, so that a class or a sign looks the same in each of them.

Classes have the colours of Okabe and Ito ("Color Universal Design", 2008), which colour-blind
readers tell apart, and a shape each. What has a sign is indigo where it is positive and red where
it is negative; lines of negative weights are dashed, too.
"""

from typing import NamedTuple


class Shape(NamedTuple):
    """The shape of a class: the page draws its outline, matplotlib has a marker for it."""

    name: str
    marker: str


#: On white and on dark ground.
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
    """Return the colour of the class with this number, on white ground."""
    return CLASS_COLORS[i % len(CLASS_COLORS)][0]


def class_shape(i: int) -> Shape:
    """Return the shape of the class with this number."""
    return SHAPES[i % len(SHAPES)]


def css() -> str:
    """Declare the colours as custom properties of CSS, for light and for dark."""
    named = {"paper": PAPER, "ink": INK, "muted": MUTED, "positive": POSITIVE, "negative": NEGATIVE}
    named |= {f"class-{i}": pair for i, pair in enumerate(CLASS_COLORS)}
    light, dark = (
        " ".join(f"--{name}: {pair[ground]};" for name, pair in named.items()) for ground in (0, 1)
    )
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
