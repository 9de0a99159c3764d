"""The web page in a real browser: what a person does, with a mouse, with keys alone, on a narrow screen."""

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import uvicorn
from pictures import encoded

from brain_mri.pages import data_uri
from brain_mri.prediction.classifier import Classifier
from brain_mri.prediction.study import open_study
from brain_mri.web import samples
from brain_mri.web.service import Service
from studies import disc, tiny_study

sync_api: Any = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium found; on Debian: apt-get install chromium")

FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync"
PATIENCE = 60_000  # milliseconds: a busy machine is slow
READ = ("body", "#notes", ".note >> nth=0", ".button >> nth=0", ".limits", "#eyebrow", ".sample >> nth=0")
ANSWERED = "#result:not([hidden]):not([aria-busy]) #explained:not([aria-busy]) #map[src]"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the page of a tiny study is served, with discs for samples."""
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as place:
        patch.setattr(samples, "drawn", lambda label, index: encoded(disc(index)))
        service = Service(Classifier(open_study(tiny_study(tmp_path_factory.mktemp("study")))))
        service.warm_up()
        server = uvicorn.Server(uvicorn.Config(service.app(), log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([place],))
        thread.start()
        yield f"http://127.0.0.1:{place.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())


class Tab:
    """An open page, what its console said, and where it asked for things."""

    def __init__(self, browser: Any, address: str, **settings: Any):
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | settings))
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(address)

    def choose(self, data: bytes, name: str = "scan.png") -> None:
        self.page.set_input_files("#file", {"name": name, "mimeType": "", "buffer": data})

    def answered(self) -> str:
        """Wait for an answer and its map; the headline."""
        self.page.wait_for_selector(ANSWERED)
        return self.page.inner_text("#headline")

    def problem(self) -> str:
        self.page.wait_for_selector("#problem:not([hidden])")
        return self.page.inner_text("#problem")

    def style(self, selector: str, name: str) -> str:
        return self.page.locator(selector).evaluate(f"element => getComputedStyle(element).{name}")

    def press_until(self, selector: str, key: str = "Tab") -> None:
        """Press the key until that element has the focus."""
        for _ in range(40):
            self.page.keyboard.press(key)
            if self.page.locator(selector).and_(self.page.locator(":focus")).count():
                return
        pytest.fail(f"{key} does not lead to {selector}")

    def shoot(self, name: str) -> None:
        """Leave a picture for people where they ask for it."""
        if folder := os.environ.get("SCREENSHOTS"):
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture
def tab(browser: Any, address: str) -> Iterator[Tab]:
    opened = Tab(browser, address)
    yield opened
    opened.context.close()
    assert all(url.startswith((address, "data:")) for url in opened.asked)


def test_a_sample_is_answered(tab: Tab) -> None:
    assert tab.page.is_visible("#empty") and not tab.page.is_visible("#result")
    tab.page.click(".sample >> nth=4")
    headline = tab.answered()
    assert headline and "drawn as: No tumour" in tab.page.inner_text("#notes")
    shares = tab.page.locator("#bars .share").all_inner_texts()
    assert len(shares) == 4
    assert sum(float(share) for share in re.findall(r"^([\d.]+) %$", "\n".join(shares), re.M)) == pytest.approx(
        100, abs=1
    )
    first = tab.page.get_attribute("#map", "src")
    tab.page.select_option("#method", "integrated_gradients")
    assert "black image" in tab.page.inner_text("#about-method")
    tab.page.wait_for_selector("#about-map:has-text('Integrated gradients')")
    tab.page.select_option("#class", "pituitary")
    tab.page.wait_for_selector("#about-map:has-text('Pituitary tumour')")
    assert tab.page.get_attribute("#map", "src") != first
    tab.page.fill("#opacity", "25")
    assert tab.style("#map", "opacity") == "0.25" and tab.page.inner_text("#percent") == "25 %"
    assert tab.complaints == []
    tab.shoot("result")


def test_a_file_is_chosen_and_another_after_it(tab: Tab) -> None:
    for seed in (3, 3, 5):  # also the same one again
        with tab.page.expect_response("**/answer?*") as asked:
            tab.choose(encoded(disc(seed)), "Jane Doe.PNG")
        tab.answered()
    assert asked.value.ok and "ending=.png" in asked.value.url and "Jane" not in "".join(tab.asked)
    assert tab.complaints == []


def drop(tab: Tab, *files: tuple[str, bytes]) -> None:
    """Drop files on the page, as a hand would."""
    held = tab.page.evaluate_handle(
        """files => {
            const held = new DataTransfer();
            for (const [name, data] of files) held.items.add(new File([new Uint8Array(data)], name));
            return held;
        }""",
        [[name, list(data)] for name, data in files],
    )
    for event in ("dragenter", "dragover"):
        tab.page.dispatch_event("#drop", event, {"dataTransfer": held})
    assert tab.page.locator("#drop.over").count() == 1
    tab.page.dispatch_event("#drop", "drop", {"dataTransfer": held})
    assert tab.page.locator("#drop.over").count() == 0


def test_a_file_is_dropped(tab: Tab) -> None:
    drop(tab, ("scan.png", encoded(disc(2))))
    assert tab.answered()
    drop(tab, ("a.png", encoded(disc(2))), ("b.png", encoded(disc(3))))
    assert tab.problem() == "Please drop one image at a time."
    drop(tab)
    assert "was no file" in tab.problem()


def test_a_bad_file_is_refused_in_plain_words(tab: Tab) -> None:
    tab.choose(b"no image", "letter.txt")
    assert "not an image that this page can read" in tab.problem()
    assert tab.page.get_attribute("#problem", "role") == "alert" and not tab.page.is_visible("#result")
    tab.shoot("error")
    tab.choose(encoded(disc(2)))
    assert tab.answered() and not tab.page.is_visible("#problem")
    tab.choose(encoded(disc(2))[:400])
    assert "breaks off" in tab.problem()
    assert not tab.page.is_visible("#result")  # no answer is left there that belongs to another image


def test_a_huge_file_is_refused_before_it_is_sent(tab: Tab, tmp_path: Path) -> None:
    with (tmp_path / "huge.nii").open("wb") as file:
        file.truncate(65 * 2**20)
    tab.page.set_input_files("#file", tmp_path / "huge.nii")
    assert "64 MB are the most" in tab.problem()
    assert not [url for url in tab.asked if "/answer" in url]


def test_what_is_no_brain_mri_is_said_first(tab: Tab) -> None:
    tab.choose(encoded(np.random.default_rng(0).integers(0, 256, (90, 90), dtype=np.uint8)))
    assert tab.answered() == "This does not look like a brain MRI"
    assert tab.page.inner_text("#eyebrow") == "Careful"
    tab.shoot("warning")


def test_a_volume_shows_the_slice_that_is_asked_for(tab: Tab) -> None:
    volume = np.stack([disc(seed, 64) for seed in range(9)], axis=2)
    tab.choose(nibabel.Nifti1Image(volume, np.eye(4)).to_bytes(), "volume.nii")
    tab.answered()
    middle = tab.page.get_attribute("#crop", "src")
    tab.page.fill("#slice", "7")
    with tab.page.expect_response("**/answer?*slice=7"):
        tab.page.click("#take")
    tab.answered()
    assert tab.page.get_attribute("#crop", "src") != middle
    tab.page.fill("#slice", "9")
    tab.page.click("#take")
    assert tab.problem() == "This file has no slice of that number."
    assert tab.page.is_visible("#result")  # the slice before is still there


def test_the_keyboard_suffices(tab: Tab) -> None:
    tab.page.keyboard.press("Tab")
    assert tab.page.locator(".skip:focus").count() == 1
    tab.press_until("#file")
    assert tab.style("#file + .button", "outlineStyle") == "solid"  # where the focus is can be seen
    tab.press_until(".sample >> nth=1")
    assert tab.style(".sample >> nth=1", "outlineStyle") == "solid"
    tab.page.keyboard.press("Enter")
    tab.answered()
    assert tab.page.inner_text("#status").startswith("Answer: ")
    tab.press_until(".about summary")
    tab.page.keyboard.press("Enter")
    assert tab.page.is_visible("text=They add up to 100 %")
    tab.press_until("#opacity")
    tab.page.keyboard.press("ArrowRight")
    assert tab.style("#map", "opacity") == "0.65"
    tab.press_until("#class")
    tab.page.keyboard.press("End")
    tab.page.wait_for_selector("#about-map:has-text('Pituitary tumour')")
    tab.press_until("#method")
    tab.page.keyboard.press("ArrowDown")
    tab.page.wait_for_selector("#about-map:has-text('Grad-CAM++')")


@pytest.mark.parametrize("width", [320, 360, 700])
def test_a_narrow_screen_needs_no_sideways_scrolling(width: int, browser: Any, address: str) -> None:
    tab = Tab(browser, address, viewport={"width": width, "height": 640}, has_touch=True)
    for _ in ("before", "after"):
        assert tab.page.evaluate("() => document.documentElement.scrollWidth") <= width
        tab.page.tap(".sample >> nth=0")
        tab.answered()
    deadline = time.monotonic() + 10
    while not 0 <= (top := tab.page.locator("#headline").bounding_box()["y"]) < 640 and time.monotonic() < deadline:
        time.sleep(0.1)  # it scrolls smoothly
    assert 0 <= top < 640  # the answer was brought into view
    tab.shoot(f"narrow-{width}")
    tab.context.close()


def test_dark_and_light(browser: Any, address: str) -> None:
    colours = []
    for scheme in ("light", "dark"):
        tab = Tab(browser, address, color_scheme=scheme)
        tab.page.click(".sample >> nth=0")
        tab.answered()
        for selector in READ:
            assert contrast(tab, selector) >= 4.5, (scheme, selector)  # WCAG 2.2, 1.4.3
        colours.append(tab.style("body", "backgroundColor"))
        tab.shoot(scheme)
        tab.context.close()
    assert colours[0] != colours[1]


def contrast(tab: Tab, selector: str) -> float:
    """WCAG's contrast ratio of an element's text against the first opaque background behind it."""
    pair = tab.page.locator(selector).evaluate(
        """element => {
            const text = getComputedStyle(element).color;
            const clear = (element) => getComputedStyle(element).backgroundColor === "rgba(0, 0, 0, 0)";
            let behind = element;
            while (behind && clear(behind)) behind = behind.parentElement;
            return [text, getComputedStyle(behind ?? document.documentElement).backgroundColor];
        }"""
    )
    levels = []
    for colour in pair:
        channels = np.array([float(value) for value in re.findall(r"[\d.]+", colour)[:3]]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        levels.append(float(linear @ (0.2126, 0.7152, 0.0722)))
    return (max(levels) + 0.05) / (min(levels) + 0.05)


def test_a_page_whose_program_has_ended_says_so(tab: Tab) -> None:
    tab.context.set_offline(True)
    tab.choose(encoded(disc(1)))
    assert "Is it still running?" in tab.problem()
    tab.context.set_offline(False)
    tab.choose(encoded(disc(1)))
    assert tab.answered() and not tab.page.is_visible("#problem")


def test_only_the_newest_image_counts(tab: Tab) -> None:
    for seed in range(6):
        tab.choose(encoded(disc(seed)))
    tab.answered()
    assert tab.page.get_attribute("#image", "src") == data_uri(encoded(disc(5)), "image/png")
