"""Runs for the tests of the report, and a browser to open pages in."""

import os
import shutil

import pytest
from helpers import ILL_RUNS
from make_published_page import read_published_run

from gan_tf.report import read_run
from gan_tf.report.page import page


@pytest.fixture(scope="session")
def driver():
    """Chromium without a window, once for all tests, as it takes a second or two to start."""
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
    yield driver
    driver.quit()


@pytest.fixture
def browser(driver):
    """The browser; a test fails if its page writes to the console."""
    driver.get("data:,")
    driver.get_log("browser")
    yield driver
    assert driver.get_log("browser") == []


@pytest.fixture(scope="session")
def published(tmp_path_factory):
    """The run of docs/results."""
    return read_published_run(tmp_path_factory.mktemp("published"))


@pytest.fixture(scope="session")
def swinging():
    """An ill run of 40 epochs that has every fifth of its grids."""
    return read_run(ILL_RUNS / "swinging")


@pytest.fixture(scope="session")
def swinging_html(swinging):
    return page([swinging])


@pytest.fixture
def open_html(tmp_path):
    """Opens a page in a browser, and waits until its grids are drawn."""

    def open_html(browser, html):
        path = tmp_path / "opened.html"
        path.write_text(html, encoding="utf-8")
        browser.get(path.as_uri())
        browser.execute_async_script(
            """const done = arguments[0];
            const look = () => document.querySelector("#epochs .shown").textContent
                ? done() : setTimeout(look, 5);
            look();"""
        )

    return open_html


@pytest.fixture
def opened(browser, open_html, swinging_html):
    """The browser with the page of the run `swinging`."""
    open_html(browser, swinging_html)
    return browser
