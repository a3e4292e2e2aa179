"""Write the pages of docs/guide/watching.md, and take the pictures of them there.

Needs Chromium with its driver, and selenium.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
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


#: At which part of the frames a page is shown; the last one unless it stands here.
SHOWN_AT = {"digits": 0.25, "iris": 0.15}


def photograph(pages: list[Path], folder: Path, width: int) -> None:
    """Take a picture of each page, two pixels for each of its own."""
    options = webdriver.ChromeOptions()
    for argument in ("headless=new", "no-sandbox", "hide-scrollbars"):
        options.add_argument(f"--{argument}")
    options.binary_location = shutil.which("chromium") or ""
    browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    for page in pages:
        size = {"width": width, "height": 800, "deviceScaleFactor": 2, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(page.as_uri())
        height = browser.execute_script(
            "const s = document.getElementById('slider'); s.value = arguments[0] * s.max;"
            "s.dispatchEvent(new Event('input')); return document.documentElement.scrollHeight",
            SHOWN_AT.get(page.stem, 1),
        )
        size["height"] = height
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        path = folder / f"{page.stem}.png"
        browser.save_screenshot(str(path))
        # A palette makes the file several times smaller.
        Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
        print(f"wrote {path}")
    browser.quit()


def main() -> None:
    """Write the pages, and their pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    images = Path(__file__).parents[1] / "images" / "pages"
    parser.add_argument("folder", nargs="?", type=Path, default=images, help="of the pictures")
    parser.add_argument("--pages", type=Path, help="where to keep the pages; by default nowhere")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        pages = write_pages(arguments.pages or Path(scratch))
        photograph(pages, arguments.folder, width=1240)


if __name__ == "__main__":
    main()
