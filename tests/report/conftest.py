"""A browser for the tests of the page, and pages to open in it."""

import os
import shutil
from pathlib import Path

import pytest

from gan_tf.report import read_run
from gan_tf.report.page import page

ILL_RUNS = Path(__file__).with_name("ill_runs")


def start_browser():
    """Starts Chromium without a window."""
    needed = os.environ.get("GAN_TF_NEEDS_BROWSER") == "1"
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not (binary and chromedriver):
        reason = "needs chromium and chromedriver (Debian: apt-get install chromium-driver)"
        (pytest.fail if needed else pytest.skip)(reason)
    try:
        from selenium import webdriver
    except ImportError:
        (pytest.fail if needed else pytest.skip)("needs Selenium: pip install '.[test]'")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=chromedriver)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_script_timeout(30)
    return driver


@pytest.fixture(scope="session")
def driver():
    """A browser for all tests, as a start takes a second or two."""
    driver = start_browser()
    yield driver
    driver.quit()


@pytest.fixture
def driver_of_its_own():
    """A browser for a test whose page complains on the console, which may hear of it late."""
    driver = start_browser()
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver):
    """The browser; after the test its console must have no word in it."""
    driver.get("data:,")
    driver.get_log("browser")
    yield driver
    assert driver.get_log("browser") == []


@pytest.fixture(scope="session")
def swinging():
    """An ill run that was trained for 40 epochs; every fifth grid of it is there."""
    return read_run(ILL_RUNS / "swinging")


@pytest.fixture(scope="session")
def swinging_page(swinging, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page([swinging]), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser, swinging_page):
    """The page of the run `swinging`, drawn."""
    open_page(browser, swinging_page)
    return browser


def open_page(browser, path):
    browser.get(path.as_uri())
    # Grids are drawn once the picture with all of them is decoded.
    browser.execute_async_script(
        """const done = arguments[0];
        const look = () => document.querySelector("#epochs .shown").textContent
            ? done() : setTimeout(look, 5);
        look();"""
    )
