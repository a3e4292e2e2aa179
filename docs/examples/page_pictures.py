"""Take the pictures of docs/guide/watching.md: photographs of the pages that pages.py writes.

Needs Chromium with its driver, and selenium.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from pages import write_pages
from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

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
    """Write the pages, and take pictures of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    images = Path(__file__).parents[1] / "images" / "pages"
    parser.add_argument("folder", nargs="?", type=Path, default=images, help="of the pictures")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        photograph(write_pages(Path(scratch)), arguments.folder, width=1240)


if __name__ == "__main__":
    main()
