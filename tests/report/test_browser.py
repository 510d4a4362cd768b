"""The page in a real browser: its controls do what they say."""

import base64
import dataclasses
import json
import os
import shutil

import imageio.v3 as imageio
import numpy as np
import pytest
from helpers import ILL_RUNS
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from gan_tf.minimax import DYNAMICS, QuadraticGame, predicted_rate, simulate
from gan_tf.minimax.answers import sections
from gan_tf.minimax.games import typeset
from gan_tf.report import curves, live, read_run, write_part_1
from gan_tf.report.page import page
from gan_tf.report.runs import cells
from gan_tf.run.images import to_uint8
from gan_tf.snapshots import generate, load_pretrained


@pytest.fixture(scope="session")
def driver():
    """Chromium without a window, once for all tests, as it takes a second or two to start."""
    binary = shutil.which("chromium") or shutil.which("google-chrome")
    chromedriver = shutil.which("chromedriver")
    if not (binary and chromedriver):
        stop = pytest.fail if os.environ.get("GAN_TF_NEEDS_BROWSER") == "1" else pytest.skip
        stop("needs Chromium and its driver (apt-get install chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=chromedriver)
    with webdriver.Chrome(options=options, service=service) as driver:
        yield driver


@pytest.fixture
def browser(driver):
    """The browser; a test fails if its page writes to the console."""
    driver.get("data:,")
    driver.get_log("browser")
    yield driver
    driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {})
    assert driver.get_log("browser") == []


@pytest.fixture
def open_html(browser, tmp_path):
    """Opens a page in the browser, and waits until its grids are drawn."""

    def open_html(html):
        path = tmp_path / "opened.html"
        path.write_text(html, encoding="utf-8")
        browser.get(path.as_uri())
        wait_until(browser, lambda: text(browser, "#epochs .shown"))

    return open_html


@pytest.fixture(scope="session")
def swinging_page(swinging):
    return page([swinging])


@pytest.fixture
def opened(browser, open_html, swinging_page):
    """The browser with the page of the run `swinging`."""
    open_html(swinging_page)
    return browser


def wait_until(browser, condition):
    WebDriverWait(browser, 30, poll_frequency=0.01).until(lambda _: condition())


def move(browser, name, value):
    """Moves a slider or chooses an option, as a user would."""
    browser.execute_script(
        """const control = document.querySelector(arguments[0]);
        control.value = arguments[1];
        control.dispatchEvent(new Event("input", { bubbles: true }));""",
        name,
        value,
    )


def click(browser, selector, index=0):
    script = "document.querySelectorAll(arguments[0])[arguments[1]].click()"
    browser.execute_script(script, selector, index)


def text(browser, selector):
    script = "return document.querySelector(arguments[0]).textContent"
    return browser.execute_script(script, selector)


def shown_epoch(browser):
    return int(text(browser, "#epoch-number"))


def grey(browser, selector):
    """The grey levels of a canvas, `[height, width]`."""
    address = browser.execute_script(
        "return document.querySelector(arguments[0]).toDataURL()", selector
    )
    return imageio.imread(base64.b64decode(address.partition(",")[2]))[..., 0].astype(int)


def press(browser, key):
    browser.switch_to.active_element.send_keys(getattr(Keys, key))


def scroll_to(browser, selector):
    """Scrolls an element into the middle of the window, and returns it."""
    element = browser.find_element("css selector", selector)
    script = "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })"
    browser.execute_script(script, element)
    return element


# ---------------------------------------------------------------------------------- the epochs


def test_the_slider_sets_grid_marker_and_numbers(opened, swinging):
    for epoch in (5, 40):
        move(opened, "#epoch", epoch)
        assert shown_epoch(opened) == epoch
        np.testing.assert_array_equal(grey(opened, "#epochs canvas"), swinging.grids[epoch])
        assert text(opened, "#epochs .shown") == f"epoch {epoch}"
        loss = swinging.history[epoch - 1]["generator_loss"]
        assert f"generator loss{float(format(loss, '.4g'))}" in text(opened, "#numbers")
        assert float(text(opened, "[data-chart='0'] .value")) == pytest.approx(loss, rel=1e-3)
        marker = opened.execute_script("return document.querySelector('.marker').x1.baseVal.value")
        first, last = curves.LEFT, curves.WIDTH - curves.RIGHT
        assert marker == pytest.approx(first + (last - first) * (epoch - 1) / 39, abs=0.1)
    move(opened, "#compared", 30)
    np.testing.assert_array_equal(grey(opened, "canvas[data-compared]"), swinging.grids[30])
    np.testing.assert_array_equal(grey(opened, "#epochs canvas"), swinging.grids[40])


def test_button_and_keys_move_through_the_epochs(opened):
    opened.execute_script("document.getElementById('epoch').focus()")
    epochs = []
    for key in ["HOME", "ARROW_RIGHT", "ARROW_RIGHT", "ARROW_LEFT", "END"]:
        press(opened, key)
        epochs.append(shown_epoch(opened))
    assert epochs == [1, 2, 3, 2, 40]
    for label in ("Pause", "Play"):
        press(opened, "SPACE")
        assert text(opened, "#play") == label
    move(opened, "#epoch", 38)
    click(opened, "#play")  # runs to the end
    wait_until(opened, lambda: text(opened, "#play") == "Play")
    assert shown_epoch(opened) == 40
    click(opened, "#play")  # starts over
    assert shown_epoch(opened) < 40 and text(opened, "#play") == "Pause"


def test_the_pointer_reads_values_from_a_curve(opened, swinging):
    chart = scroll_to(opened, "[data-chart='0'] > svg")
    move(opened, "#epoch", 1)
    # The middle of an SVG of 480 is 240, and epoch 19 is at 46 + 18 / 39 * 412 = 236.2.
    ActionChains(opened).move_to_element(chart).perform()
    value = float(text(opened, "[data-chart='0'] .value"))
    assert value == pytest.approx(swinging.history[18]["generator_loss"], rel=1e-3)
    assert shown_epoch(opened) == 1
    ActionChains(opened).click(chart).perform()
    assert shown_epoch(opened) == 19


@pytest.fixture
def two_runs(browser, swinging, open_html):
    """The page of `swinging`, which has 40 epochs, beside a run of 25 epochs on other images."""
    run = read_run(ILL_RUNS / "fast_discriminator")
    environment = run.environment | {"images_sha256": "f" * 64}
    run = dataclasses.replace(run, name="long_name_" * 12, environment=environment)
    open_html(page([swinging, run]))
    return browser


def test_after_its_last_epoch_a_run_keeps_its_last_numbers_and_images(two_runs):
    last = read_run(ILL_RUNS / "fast_discriminator").last
    for epoch, suffix in [(25, ""), (40, " epoch 25")]:
        move(two_runs, "#epoch", epoch)
        assert text(two_runs, "#numbers thead") == f"AB{suffix}"
        row = two_runs.find_element("css selector", "#numbers tbody tr")
        assert row.text.startswith("generator loss ")
        assert row.text.endswith(f" {last['generator_loss']:.3f}".rstrip("0"))
        values = two_runs.find_elements("css selector", "[data-chart='0'] .values")[1].text
        losses = [last["generator_loss"], last["discriminator_loss"]]
        assert values == f"B {' · '.join(format(loss, '.4g') for loss in losses)}{suffix}"
        assert text(two_runs, "[data-run='1'] + figcaption .shown") == "epoch 25"


def test_one_epoch_has_no_slider_and_no_curves(browser, open_html):
    open_html(page([read_run(ILL_RUNS / "one_epoch")]))
    assert not browser.find_element("id", "epoch").is_displayed()
    assert browser.find_elements("css selector", "[data-chart], .reading") == []
    assert text(browser, "#epochs .shown") == "epoch 1"
    press(browser, "SPACE")
    assert text(browser, "#play") == "Play"


# ------------------------------------------------------------------------------- the playground


@pytest.fixture
def part_1(browser, tmp_path):
    """The page that `gan-tf minimax` writes."""
    browser.get(write_part_1(tmp_path / "minimax.html").as_uri())
    return browser


def test_the_playground_computes_as_python_does(part_1, random_choices):
    games = [([4, 4, 0], [1, 1], [1 / 8, 1 / 4]), ([0, 0, 1], [1, -1], [0.2, 0.2])]
    for _ in range(20):
        *game, x, y = (random_choices.uniform(*ends) for ends in [(0, 4)] * 3 + [(-2, 2)] * 2)
        sizes = [random_choices.uniform(0.005, 1.2) for _ in "xy"]
        games.append((game[:2] + [4 * game[2]], [x, y], sizes))
    cases = [(name, *game) for name in DYNAMICS for game in games]
    found = part_1.execute_script(
        """return arguments[0].map(([dynamics, [a, b, c], start, steps]) => [
            Minimax.simulate({ a, b, c }, dynamics, start, ...steps, 50),
            Minimax.predictedRate({ a, b, c }, dynamics, ...steps)]);""",
        cases,
    )
    for (dynamics, coefficients, start, steps), (run, rate) in zip(cases, found, strict=True):
        game = QuadraticGame(*coefficients)
        expected = simulate(game, dynamics, start, *steps, 50)
        assert (run["divergedAt"] or 51) == len(expected)
        np.testing.assert_allclose(run["trajectory"], expected, rtol=1e-9, atol=1e-9)
        expected = predicted_rate(game, dynamics, *steps)
        assert rate == pytest.approx(expected, rel=1e-7, abs=1e-7)


def test_the_playground_follows_its_sliders(part_1):
    def slider(name):
        script = "const s = document.querySelector(arguments[0]); return [+s.value, +s.max];"
        return part_1.execute_script(script, name)

    # For 4x^2 - 4y^2 nothing far above 1/4 matters, for xy nothing far above 2.
    assert slider("#step-x") == slider("#step-y") == [1 / 16, 0.3125]
    for name, value in {"#step-x": 1 / 4, "#step-y": 0.1, "#coupling": 2, "#curvature": 3}.items():
        move(part_1, name, value)
    assert slider("#step-x")[0] == 1 / 4  # another slider leaves it as it is
    move(part_1, "#dynamics", "alternating")
    points = part_1.execute_script("return document.getElementById('path').getAttribute('points')")
    path = np.array([[float(part) for part in point.split(",")] for point in points.split()])
    expected = simulate(QuadraticGame(3, 3, 2), "alternating", (1, 1), 1 / 4, 0.1, 50)
    np.testing.assert_allclose(path * [1, -1], expected, rtol=1e-9, atol=1e-9)
    click(part_1, ".game", 2)  # f = xy
    assert slider("#step-x") == slider("#step-y") == [0.2, 2.5]
    for dynamics, words in [
        ("simultaneous", "rate 1.0198 per step: from almost every start the players diverge"),
        ("extragradient", "rate 0.980612 per step: the players converge"),
        ("alternating", "rate 1 per step: on the border the distance may stay, oscillate or"),
    ]:
        move(part_1, "#dynamics", dynamics)
        assert words in text(part_1, "#outcome")


def test_part_1_has_all_answers_of_the_command(part_1):
    shown = " ".join(text(part_1, "main").split())
    for sentence in [sentence for _, found in sections() for sentence in found]:
        assert " ".join(typeset(sentence).replace("η_", "η").split()) in shown


@pytest.mark.campaign
def test_the_start_can_be_dragged_and_moved_by_keys(part_1):
    side = scroll_to(part_1, "#plane").size["width"]
    start = part_1.find_element("id", "start")
    # From (1, 1) by one unit of 4.4 to the left and down: to (0, 0).
    offset = round(-side / 4.4), round(side / 4.4)
    ActionChains(part_1).drag_and_drop_by_offset(start, *offset).perform()
    place = [float(start.get_attribute(name)) for name in ("cx", "cy")]
    assert place == pytest.approx([0, 0], abs=0.05)
    part_1.execute_script("document.getElementById('start').focus()")
    press(part_1, "ARROW_UP")
    moved = [float(start.get_attribute(name)) for name in ("cx", "cy")]
    assert np.subtract(moved, place) == pytest.approx([0, -0.1], abs=0.011)


# ------------------------------------------------------------------------------ the generator


def test_the_page_makes_the_images_that_python_makes(browser, swinging, open_html, request):
    snapshot = load_pretrained()
    open_html(page([swinging], snapshot))
    noise = np.random.default_rng(request.config.option.seed).normal(size=[12, 100])
    expected = to_uint8(generate(snapshot.generator, noise.astype(np.float32))).reshape(12, 784)
    found = browser.execute_script(
        "return arguments[0].map((noise) => Draw.image(noise))", noise.tolist()
    )
    assert np.abs(np.subtract(found, expected, dtype=np.int32)).max() <= 1
    assert np.std(found, axis=0).max() > 50  # they are different images
    directions = live.directions(snapshot.generator)
    np.testing.assert_allclose(directions @ directions.T, np.eye(10), atol=1e-5)

    def difference(selector, image):
        return np.abs(grey(browser, selector) - image).max()

    # The buttons and sliders change the images: the interpolation starts and ends with both images.
    wait_until(browser, lambda: text(browser, "#draw-state") == "16 new images")
    assert all(image.std() > 5 for image in cells(grey(browser, "#draw-grid")))
    for place, end in [(0, "#walk-start"), (1, "#walk-end")]:
        move(browser, "#walk", place)
        image = grey(browser, end)
        wait_until(browser, lambda: difference("#walk-now", image) <= 1)
    before = grey(browser, "#direction-image")
    move(browser, ".direction", 5)
    wait_until(browser, lambda: difference("#direction-image", before) > 20)
    click(browser, "#direction-reset")
    wait_until(browser, lambda: difference("#direction-image", before) == 0)


# ------------------------------------------------------------------------------- hostile values


def test_hostile_values_remain_text(browser, tmp_path, open_html):
    """The files of a run can come from anywhere."""
    hostile = (
        "</script><script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>\"'&{{7}}"
    )
    folder = shutil.copytree(ILL_RUNS / "swinging", tmp_path / "<b>run")
    record = json.loads((folder / "config.json").read_text())
    record["config"]["dataset"] = hostile
    names = ["processor", "threads", "real_variety", hostile]
    record["environment"] |= dict.fromkeys(names, hostile)
    (folder / "config.json").write_text(json.dumps(record))
    column = '"' + hostile.replace('"', '""') + '"'
    head, *rows = (folder / "history.csv").read_text().splitlines()
    lines = [f"{head},{column}", *(f"{row},1" for row in rows)]
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    (folder / "evaluation.csv").write_text(f"epoch,fcd,{column}\n40,1.0,0.5\n")
    run = read_run(folder)
    for runs in ([run], [run, run]):
        open_html(page(runs))
        assert browser.execute_script("return window.hurt ?? null") is None
        assert text(browser, "h1").endswith("<b>run") and hostile in text(browser, "header")
        assert browser.execute_script("return document.querySelectorAll('script').length") == 2
        move(browser, "#epoch", 3)
        assert shown_epoch(browser) == 3


# ------------------------------------------------------------------------------- how it looks


@pytest.mark.parametrize("opened_page", ["opened", "two_runs", "part_1"])
def test_nothing_runs_over_the_edge_or_breaks_at_a_hyphen(opened_page, request):
    opened = request.getfixturevalue(opened_page)
    for width in (320, 400, 800):
        size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        assert opened.execute_script("return document.documentElement.scrollWidth") <= width
        lines = opened.execute_script(
            """return [...document.querySelectorAll("code")]
                .map((code) => code.getClientRects().length)"""
        )
        assert set(lines) <= {1}
        if width > 320:  # the last run's settings can be seen without scrolling
            edges = opened.execute_script(
                """return [...document.querySelectorAll(".differing td:last-child")]
                    .map((cell) => cell.getBoundingClientRect().right)"""
            )
            assert all(edge <= width for edge in edges)


@pytest.mark.campaign
def test_it_prints_without_controls_and_every_control_has_a_name(opened):
    unnamed = opened.execute_script(
        """return [...document.querySelectorAll("input, select, button, img, canvas, svg")]
            .filter((e) => !e.closest("[aria-hidden]"))
            .filter((e) => !(e.labels?.length || e.getAttribute("aria-label")
                || e.getAttribute("alt") || e.textContent.trim()))
            .map((e) => e.outerHTML.slice(0, 100))"""
    )
    assert unnamed == []
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    visible = opened.execute_script(
        """return [...document.querySelectorAll("button, input, select, nav, h1")]
            .filter((element) => element.getClientRects().length)
            .map((element) => element.localName)"""
    )
    assert visible == ["h1"]
