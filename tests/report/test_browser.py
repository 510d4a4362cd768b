"""The page in a real browser: what a reader can do with it does what it says."""

import base64
import dataclasses
import json
import re

import imageio.v3 as imageio
import numpy as np
import pytest
from conftest import ILL_RUNS, open_page

from gan_tf.minimax import DYNAMICS, QuadraticGame, predicted_rate, simulate
from gan_tf.minimax.answers import sections
from gan_tf.minimax.games import typeset
from gan_tf.report import curves, live, read_run, write_part_1, write_report
from gan_tf.report.page import page
from gan_tf.report.runs import cells
from gan_tf.run.images import to_uint8
from gan_tf.snapshots import generate, load_pretrained


def move(browser, name, value):
    """Moves a slider as a hand would: the page hears of it."""
    browser.execute_script(
        """const slider = document.getElementById(arguments[0]);
        slider.value = arguments[1];
        slider.dispatchEvent(new Event("input", { bubbles: true }));""",
        name,
        value,
    )


def text(browser, selector):
    return browser.execute_script(
        "return document.querySelector(arguments[0]).textContent", selector
    )


def shown_epoch(browser):
    return int(text(browser, "#epoch-number"))


def grey(browser, selector):
    """The grey levels of a canvas, `[height, width]`."""
    address = browser.execute_script(
        "return document.querySelector(arguments[0]).toDataURL()", selector
    )
    return imageio.imread(base64.b64decode(address.partition(",")[2]))[..., 0]


def press(browser, key):
    from selenium.webdriver.common.keys import Keys

    browser.switch_to.active_element.send_keys(getattr(Keys, key))


# ---------------------------------------------------------------------------------- the epochs


@pytest.mark.parametrize("epoch", [5, 20, 40])
def test_the_slider_moves_grid_marker_and_numbers(opened, swinging, epoch):
    move(opened, "epoch", epoch)
    assert shown_epoch(opened) == epoch
    np.testing.assert_array_equal(grey(opened, "#epochs canvas"), swinging.grids[epoch])
    assert text(opened, "#epochs .shown") == f"epoch {epoch}"
    row = swinging.history[epoch - 1]
    assert f"generator loss{float(format(row['generator_loss'], '.4g'))}" in text(
        opened, "#numbers"
    )
    value = float(text(opened, "[data-chart='0'] .value"))
    assert value == pytest.approx(row["generator_loss"], rel=1e-3)
    marker = opened.execute_script("return document.querySelector('.marker').x1.baseVal.value")
    first, last = curves.LEFT, curves.WIDTH - curves.RIGHT
    assert marker == pytest.approx(first + (last - first) * (epoch - 1) / 39, abs=0.1)


@pytest.mark.campaign
def test_two_epochs_lie_side_by_side(opened, swinging):
    move(opened, "epoch", 40)
    opened.execute_script("document.querySelector('.compare[data-epoch=\"30\"]').click()")
    np.testing.assert_array_equal(grey(opened, "canvas[data-compared]"), swinging.grids[30])
    np.testing.assert_array_equal(grey(opened, "#epochs canvas"), swinging.grids[40])


def test_play_goes_on_to_the_last_epoch_and_stops_there(opened):
    move(opened, "epoch", 38)
    opened.execute_script("document.getElementById('play').click()")
    assert text(opened, "#play") == "Pause"
    opened.execute_async_script(
        """const done = arguments[0];
        const look = () => document.getElementById("play").textContent === "Play"
            ? done() : setTimeout(look, 5);
        look();"""
    )
    assert shown_epoch(opened) == 40


@pytest.mark.campaign
def test_play_begins_anew_at_the_end_and_pauses(opened):
    move(opened, "epoch", 40)
    opened.execute_script("document.getElementById('play').click()")
    assert shown_epoch(opened) < 40
    opened.execute_script("document.getElementById('play').click()")
    assert text(opened, "#play") == "Play"


def test_the_keyboard_moves_through_the_epochs(opened):
    opened.execute_script("document.getElementById('epoch').focus()")
    epochs = []
    for key in ["HOME", "ARROW_RIGHT", "ARROW_RIGHT", "ARROW_LEFT", "END"]:
        press(opened, key)
        epochs.append(shown_epoch(opened))
    assert epochs == [1, 2, 3, 2, 40]
    press(opened, "SPACE")
    assert text(opened, "#play") == "Pause"
    press(opened, "SPACE")
    assert text(opened, "#play") == "Play"


@pytest.mark.campaign
def test_the_pointer_reads_values_from_a_curve(opened, swinging):
    from selenium.webdriver import ActionChains

    chart = opened.find_element("css selector", "[data-chart='0'] > svg")
    opened.execute_script(
        "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", chart
    )
    move(opened, "epoch", 1)
    # The middle of an SVG of 480 is 240, and epoch 19 lies at 46 + 18 / 39 * 412 = 236.2.
    ActionChains(opened).move_to_element(chart).perform()
    value = float(text(opened, "[data-chart='0'] .value"))
    assert value == pytest.approx(swinging.history[18]["generator_loss"], rel=1e-3)
    assert shown_epoch(opened) == 1
    ActionChains(opened).click(chart).perform()
    assert shown_epoch(opened) == 19


@pytest.fixture
def two_runs(browser, swinging, tmp_path):
    """The page of `swinging`, which has 40 epochs, beside one of 25 on other images."""
    shorter = read_run(ILL_RUNS / "fast_discriminator")
    environment = shorter.environment | {"images_sha256": "f" * 64}
    shorter = dataclasses.replace(shorter, name="long_name_" * 12, environment=environment)
    path = tmp_path / "report.html"
    path.write_text(page([swinging, shorter]), encoding="utf-8")
    open_page(browser, path)
    return browser


def test_past_its_last_epoch_a_run_keeps_that_ones_numbers_and_images(two_runs):
    last = read_run(ILL_RUNS / "fast_discriminator").last
    for epoch, said in [(25, ""), (40, " epoch 25")]:
        move(two_runs, "epoch", epoch)
        assert text(two_runs, "#numbers thead") == f"AB{said}"
        (row,) = [
            line
            for line in two_runs.find_elements("css selector", "#numbers tbody tr")
            if line.text.startswith("generator loss")
        ]
        assert row.text.endswith(f" {last['generator_loss']:.3f}".rstrip("0"))
        values = two_runs.find_elements("css selector", "[data-chart='0'] .values")[1].text
        losses = [last["generator_loss"], last["discriminator_loss"]]
        assert values == f"B {' · '.join(format(loss, '.4g') for loss in losses)}{said}"
        assert text(two_runs, "[data-run='1'] + figcaption .shown") == "epoch 25"


def test_one_epoch_has_no_slider_and_no_curves(browser, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page([read_run(ILL_RUNS / "one_epoch")]), encoding="utf-8")
    open_page(browser, path)
    assert not browser.find_element("id", "epoch").is_displayed()
    assert browser.find_elements("css selector", "[data-chart], .reading") == []
    assert text(browser, "#epochs .shown") == "epoch 1"
    press(browser, "SPACE")
    assert text(browser, "#play") == "Play"


# ------------------------------------------------------------------------------- the playground


def test_the_playground_computes_as_python_does(opened, random_choices):
    cases = []
    for dynamics in DYNAMICS:
        for _ in range(20):
            a, b = random_choices.uniform(0, 4), random_choices.uniform(0, 4)
            start = [random_choices.uniform(-2, 2), random_choices.uniform(-2, 2)]
            steps = [random_choices.uniform(0.005, 1.2), random_choices.uniform(0.005, 1.2)]
            cases.append([dynamics, a, b, random_choices.uniform(0, 16), start, *steps])
    # The games that the page offers, and steps that lead in at once and just stay.
    cases += [[name, 4, 4, 0, [1, 1], 1 / 8, 1 / 4] for name in DYNAMICS]
    cases += [[name, 0, 0, 1, [1, -1], 0.2, 0.2] for name in DYNAMICS]
    found = opened.execute_script(
        """return arguments[0].map(([dynamics, a, b, c, start, stepX, stepY]) => {
            const game = { a, b, c };
            return [Minimax.simulate(game, dynamics, start, stepX, stepY, 50),
                Minimax.predictedRate(game, dynamics, stepX, stepY)];
        });""",
        cases,
    )
    for case, (run, rate) in zip(cases, found):
        dynamics, a, b, c, start, step_x, step_y = case
        game = QuadraticGame(a, b, c)
        expected = simulate(game, dynamics, start, step_x, step_y, 50)
        assert run["divergedAt"] == expected.diverged_at, case
        path = np.array(run["trajectory"])
        np.testing.assert_allclose(
            path, expected.trajectory, rtol=1e-9, atol=1e-9, err_msg=str(case)
        )
        assert rate == pytest.approx(
            predicted_rate(game, dynamics, step_x, step_y), rel=1e-7, abs=1e-7
        ), case


@pytest.mark.campaign
def test_the_path_that_is_drawn_follows_the_sliders(opened):
    for name, value in [("step-x", 0.05), ("step-y", 0.1), ("coupling", 2), ("curvature", 3)]:
        move(opened, name, value)
    move(opened, "dynamics", "alternating")
    points = opened.execute_script("return document.getElementById('path').getAttribute('points')")
    drawn = np.array([[float(part) for part in point.split(",")] for point in points.split()])
    expected = simulate(QuadraticGame(3, 3, 2), "alternating", (1, 1), 0.05, 0.1, 50).trajectory
    np.testing.assert_allclose(drawn * [1, -1], expected, rtol=1e-9, atol=1e-9)
    rate = predicted_rate(QuadraticGame(3, 3, 2), "alternating", 0.05, 0.1)
    told = float(re.search(r"rate (\S+) per step", text(opened, "#outcome"))[1])
    assert told == pytest.approx(rate, rel=1e-3)


@pytest.fixture
def part_1(browser, tmp_path):
    """The page that `gan-tf minimax` writes."""
    browser.get(write_part_1(tmp_path / "minimax.html").as_uri())
    return browser


def test_the_range_of_the_step_sizes_suits_the_game(part_1):
    """Of 4x^2 - 4y^2 nothing matters far beyond 1/4, of xy nothing far beyond 2."""

    def step_sizes():
        return part_1.execute_script(
            """return ["step-x", "step-y"].map((name) => {
                const slider = document.getElementById(name);
                return [slider.valueAsNumber, Number(slider.max)];
            });"""
        )

    assert step_sizes() == [[1 / 16, 0.3125]] * 2
    for size in (1 / 8, 1 / 4):  # these lie on the sliders' grid
        move(part_1, "step-x", size)
        assert step_sizes()[0][0] == size
    move(part_1, "coupling", 2)  # a slider changes one thing
    assert step_sizes()[0][0] == 1 / 4
    part_1.execute_script("document.querySelectorAll('.game')[2].click()")
    assert step_sizes() == [[0.2, 2.5]] * 2
    part_1.execute_script("document.querySelectorAll('.game')[0].click()")
    assert step_sizes() == [[1 / 16, 0.3125]] * 2


def test_the_playground_says_what_the_rate_says(part_1):
    part_1.execute_script("document.querySelectorAll('.game')[2].click()")  # f = xy
    for dynamics, size, words in [
        ("simultaneous", 0.2, "rate 1.0198 per step: from almost every start the players diverge"),
        ("extragradient", 0.2, "rate 0.980612 per step: the players converge"),
        # Eigenvalues of modulus 1: two of them, and the distance swings; twice -1, and it grows.
        ("alternating", 0.2, "rate 1 per step: on the border the distance may stay, oscillate or"),
        ("alternating", 2, "rate 1 per step: on the border the distance may stay, oscillate or"),
    ]:
        move(part_1, "dynamics", dynamics)
        move(part_1, "step-x", size)
        move(part_1, "step-y", size)
        assert words in text(part_1, "#outcome")


def test_part_1_stands_by_itself(part_1):
    """The answers of the command, whole, and at each width."""
    shown = " ".join(text(part_1, "main").split())
    for sentence in [sentence for _, found in sections() for sentence in found]:
        assert " ".join(typeset(sentence).replace("η_", "η").split()) in shown


@pytest.mark.campaign
def test_the_start_can_be_dragged_and_moved_by_keys(opened):
    from selenium.webdriver import ActionChains

    start = opened.find_element("id", "start")
    plane = opened.find_element("id", "plane")
    opened.execute_script(
        "arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", plane
    )
    side = plane.size["width"]
    # From (1, 1) by one unit of 4.4 to the left and down: to (0, 0).
    move_by = round(-side / 4.4), round(side / 4.4)
    ActionChains(opened).drag_and_drop_by_offset(start, *move_by).perform()
    place = [float(start.get_attribute(name)) for name in ("cx", "cy")]
    assert place == pytest.approx([0, 0], abs=0.05)
    opened.execute_script("document.getElementById('start').focus()")
    press(opened, "ARROW_UP")
    moved = [float(start.get_attribute(name)) for name in ("cx", "cy")]
    assert np.subtract(moved, place) == pytest.approx([0, -0.1], abs=0.011)


# ------------------------------------------------------------------------------ the generator


@pytest.fixture(scope="module")
def pretrained():
    return load_pretrained()


@pytest.fixture
def live_page(browser, swinging, pretrained, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page([swinging], pretrained), encoding="utf-8")
    open_page(browser, path)
    return browser


def test_the_page_draws_what_python_draws(live_page, pretrained, request):
    generator = np.random.default_rng(request.config.option.seed)
    noise = generator.normal(size=[12, 100]).astype(np.float32)
    expected = to_uint8(generate(pretrained.generator, noise)).reshape(12, 784)
    found = live_page.execute_script(
        "return arguments[0].map((noise) => Draw.image(noise))", noise.tolist()
    )
    assert np.abs(np.subtract(found, expected, dtype=np.int32)).max() <= 1
    assert np.std(found, axis=0).max() > 50  # they are different images


@pytest.mark.campaign
def test_buttons_and_sliders_change_what_is_drawn(live_page):
    live_page.execute_async_script(
        """const done = arguments[0];
        const look = () => document.getElementById("draw-state").textContent === "16 new images"
            ? done() : setTimeout(look, 5);
        look();"""
    )
    grid = grey(live_page, "#draw-grid")
    assert all(image.std() > 5 for image in cells(grid))
    # The walk begins and ends with the two images.
    for place, end in [(0, "#walk-start"), (1, "#walk-end")]:
        move(live_page, "walk", place)
        wait_for_frame(live_page)
        difference = grey(live_page, "#walk-now").astype(int) - grey(live_page, end)
        assert np.abs(difference).max() <= 1
    before = grey(live_page, "#direction-image")
    live_page.execute_script(
        """const slider = document.querySelector(".direction");
        slider.value = 5;
        slider.dispatchEvent(new Event("input"));"""
    )
    wait_for_frame(live_page)
    assert np.abs(grey(live_page, "#direction-image").astype(int) - before).max() > 20
    live_page.execute_script("document.getElementById('direction-reset').click()")
    wait_for_frame(live_page)
    np.testing.assert_array_equal(grey(live_page, "#direction-image"), before)


def wait_for_frame(browser):
    browser.execute_async_script(
        "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));"
    )


@pytest.mark.campaign
def test_directions_are_unit_vectors_at_right_angles(pretrained):
    directions = live.directions(pretrained.generator)
    np.testing.assert_allclose(directions @ directions.T, np.eye(10), atol=1e-5)


# -------------------------------------------------------------------------- hostile and strange

HOSTILE = (
    "</script><script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>\"'&{{7*7}}"
)


def test_hostile_values_stay_words(browser, swinging, tmp_path):
    run = dataclasses.replace(
        swinging,
        name=HOSTILE,
        config=swinging.config | {"dataset": HOSTILE, HOSTILE: HOSTILE},
        environment=dict.fromkeys(["processor", "threads", "real_variety", HOSTILE], HOSTILE),
        history=[row | {HOSTILE: HOSTILE} for row in swinging.history],
        evaluation=[{"epoch": 40, "fcd": 1.0, HOSTILE: 0.5}],
    )
    path = tmp_path / "report.html"
    path.write_text(page([run, run]), encoding="utf-8")
    open_page(browser, path)
    assert browser.execute_script("return window.hurt ?? null") is None
    assert text(browser, "h1").endswith(HOSTILE)
    assert browser.execute_script("return document.querySelectorAll('script').length") == 2
    move(browser, "epoch", 3)
    assert shown_epoch(browser) == 3


@pytest.mark.campaign
def test_hostile_files_stay_words(browser, small_run, tmp_path):
    """The same, by way of the files: what a run folder holds may come from anywhere."""
    folder = tmp_path / "<b>run"
    (folder / "samples").mkdir(parents=True)
    record = json.loads((small_run / "config.json").read_text())
    record["config"]["dataset"] = HOSTILE
    record["environment"] |= {"processor": HOSTILE, HOSTILE: HOSTILE}
    (folder / "config.json").write_text(json.dumps(record))
    head, *rows = (small_run / "history.csv").read_text().splitlines()
    name = HOSTILE.replace('"', '""')
    lines = [f'{head},"{name}"', *(f"{row},1" for row in rows)]
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    open_path = write_report(folder)
    browser.get(open_path.as_uri())
    assert browser.execute_script("return window.hurt ?? null") is None
    assert text(browser, "h1") == "<b>run"
    assert HOSTILE in text(browser, "header")


@pytest.mark.campaign
def test_the_policy_forbids_what_is_not_in_the_page(driver_of_its_own, swinging_page):
    driver = driver_of_its_own
    open_page(driver, swinging_page)
    blocked = driver.execute_async_script(
        """const done = arguments[0];
        document.addEventListener("securitypolicyviolation",
            (event) => done(event.effectiveDirective));
        const script = document.createElement("script");
        script.textContent = "window.hurt = 1";
        document.body.append(script);"""
    )
    assert blocked.startswith("script-src")
    assert driver.execute_script("return window.hurt ?? null") is None


# ------------------------------------------------------------------------------- how it looks


@pytest.mark.parametrize("opened_page", ["opened", "two_runs", "part_1"])
def test_nothing_runs_over_the_edge_or_breaks_at_a_hyphen(opened_page, request):
    opened = request.getfixturevalue(opened_page)
    try:
        for width in (320, 400, 800, 1600):
            size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
            opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            assert opened.execute_script("return document.documentElement.scrollWidth") <= width
            lines = opened.execute_script(
                """return [...document.querySelectorAll("code")]
                    .map((code) => code.getClientRects().length)"""
            )
            assert set(lines) <= {1}
            if width > 320:  # what differs: the last run can be seen without scrolling
                edges = opened.execute_script(
                    """return [...document.querySelectorAll(".differing td:last-child")]
                        .map((cell) => cell.getBoundingClientRect().right)"""
                )
                assert all(edge <= width for edge in edges)
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.campaign
def test_light_and_dark_can_be_read(opened):
    grounds = set()
    try:
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
            script = "return getComputedStyle(document.body).backgroundColor"
            grounds.add(opened.execute_script(script))
            for selector in ["p", ".quiet", ".level", ".legend", "td", "dt", "button"]:
                assert contrast(opened, selector) >= 4.5, selector  # WCAG 2.2, level AA
    finally:
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(grounds) == 2


def contrast(browser, selector):
    """The ratio of luminances of a text to what lies below it, 1 to 21."""
    colours = browser.execute_script(
        """let place = document.querySelector(arguments[0]);
        const ink = getComputedStyle(place).color;
        while (getComputedStyle(place).backgroundColor === "rgba(0, 0, 0, 0)") {
            place = place.parentElement;
        }
        return [ink, getComputedStyle(place).backgroundColor];""",
        selector,
    )
    lights = []
    for colour in colours:
        levels = np.array([int(part) for part in re.findall(r"\d+", colour)[:3]]) / 255
        linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
        lights.append(linear @ [0.2126, 0.7152, 0.0722])
    return (max(lights) + 0.05) / (min(lights) + 0.05)


@pytest.mark.campaign
def test_it_can_be_printed(opened):
    from selenium.webdriver.common.print_page_options import PrintOptions

    assert len(opened.print_page(PrintOptions())) > 50_000
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        hidden = opened.execute_script(
            """return [...document.querySelectorAll("button, input, select, nav")]
                .filter((element) => element.getClientRects().length).length"""
        )
        assert hidden == 0
        assert opened.execute_script("return document.querySelector('h1').offsetHeight") > 0
    finally:
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


@pytest.mark.campaign
def test_what_can_be_used_has_a_name(opened):
    unnamed = opened.execute_script(
        """return [...document.querySelectorAll("input, select, button, img, canvas, svg")]
            .filter((e) => !e.closest("[aria-hidden]"))
            .filter((e) => !(e.labels?.length || e.getAttribute("aria-label")
                || e.getAttribute("alt") || e.textContent.trim()))
            .map((e) => e.outerHTML.slice(0, 100))"""
    )
    assert unnamed == []
