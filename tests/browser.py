"""Headless Chromium for tests.

Where there is no browser, tests that import this are skipped, unless the environment variable
NEEDS_BROWSER is set, as the gate sets it.
"""

import os
import shutil

import pytest

NEEDED = bool(os.environ.get("NEEDS_BROWSER"))
try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.support.ui import WebDriverWait
except ImportError:
    if NEEDED:
        raise
    pytest.skip("selenium is not installed", allow_module_level=True)

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not ((CHROMIUM and DRIVER) or NEEDED):
    pytest.skip("there is no chromium with chromedriver here", allow_module_level=True)

DESKTOP, TABLET, PHONE = (1400, 900), (768, 1024), (390, 844)


def start_chromium(*arguments):
    """Start a browser that logs its console and its requests; whoever starts it quits it."""
    assert CHROMIUM, "chromium is missing: run .ci/browser"
    assert DRIVER, "chromedriver is missing: run .ci/browser"
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    # Without scroll bars, as phones have none that take away width.
    usual = ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage")
    for argument in (*usual, "hide-scrollbars", *arguments):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=Service(DRIVER))


def wait_until(browser, condition):
    """Wait for what the browser does in its own time; on a busy machine that can take long."""
    WebDriverWait(browser, 120).until(lambda _: condition())


def resize(browser, size):
    """Give the window this width and height; below 500 pixels it is that of a phone."""
    width, height = size
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def emulate(browser, **media):
    """Set features of media, such as prefers_color_scheme."""
    features = [{"name": n.replace("_", "-"), "value": value} for n, value in media.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
