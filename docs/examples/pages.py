"""Train networks with a recorder, and write the pages on which one watches them learn."""

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits, load_iris, make_moons

from sknn_scratch import LearningRecorder, ScratchMLPClassifier


def record(clf: ScratchMLPClassifier, X: object, y: object) -> LearningRecorder:
    """Fit with a recorder."""
    recorder = LearningRecorder()
    clf.set_callbacks(recorder).fit(X, y)
    return recorder


def write_pages(folder: Path) -> list[Path]:
    """Write the pages; return their paths."""
    X, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), ["even", "odd", "odd", "even"]
    xor = record(ScratchMLPClassifier((4,), random_state=0), X, y)
    moons = record(
        ScratchMLPClassifier((8,), random_state=0), *make_moons(300, noise=0.2, random_state=0)
    )
    iris = load_iris(as_frame=True)
    species = iris.target_names[iris.target]
    flowers = record(ScratchMLPClassifier((8,), random_state=0), iris.data, species)
    digits = record(ScratchMLPClassifier((30,), random_state=0), *load_digits(return_X_y=True))
    petals = ("petal length (cm)", "petal width (cm)")
    return [
        xor.to_html(folder / "xor.html", title="A network with four hidden units learns XOR"),
        moons.to_html(folder / "moons.html"),
        flowers.to_html(folder / "iris.html"),
        flowers.to_html(folder / "iris_plane.html", columns=petals),
        digits.to_html(folder / "digits.html", image_shape=(8, 8)),
    ]


def main() -> None:
    """Write the pages."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where to write them; it must exist")
    for page in write_pages(parser.parse_args().folder):
        print(f"wrote {page}")


if __name__ == "__main__":
    main()
