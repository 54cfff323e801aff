"""The experiments page in a real browser: brushing with the pointer, filtering from the keyboard, naming a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Locator, Page, expect

if TYPE_CHECKING:
    from tests.service.experiments.conftest import Young

ARTEFACTS = Path(__file__).parents[2] / "artefacts"


@pytest.fixture
def opened(study: Young, page: Page) -> Page:
    page.goto("/dashboard/experiments")
    expect(page.locator("#parallel.drawn svg path.run").first).to_be_attached()
    return page


def grip(page: Page, axis: str) -> Locator:
    return page.locator(f'g[data-axis="{axis}"] .grip')


def drag(page: Page, axis: str, start: float, end: float) -> None:
    """Along an axis, from one share of its height to another, 0 at the head."""
    box = grip(page, axis).bounding_box()
    assert box is not None
    inside = box["height"] - 20  # the grip reaches ten pixels beyond both ends
    x, top = box["x"] + box["width"] / 2, box["y"] + 10
    page.mouse.move(x, top + start * inside)
    page.mouse.down()
    page.mouse.move(x, top + end * inside, steps=4)
    page.mouse.up()


def staying(page: Page) -> set[str]:
    """The runs whose lines are kept, which are those whose rows are shown."""
    kept = page.locator("path.run[data-run]:not(.out)").evaluate_all("all => all.map((one) => one.dataset.run)")
    rows = page.locator("tr[data-run]:not([hidden])").evaluate_all("all => all.map((one) => one.dataset.run)")
    assert set(kept) == set(rows)
    return set(kept)


def names(*numbers: int) -> set[str]:
    return {f"s1-{number:04d}" for number in numbers}


def test_dragging_on_axes_keeps_the_runs_that_cross_them_all(opened: Page) -> None:
    assert staying(opened) == names(0, 1, 2, 3, 4, 5)
    drag(opened, "figure validation_mrr", 0.0, 0.6)  # 0.875 down to 0.65
    assert staying(opened) == names(1, 2, 5)
    expect(opened.locator("#parallel .count")).to_have_text("3 of 6 runs stay.")
    drag(opened, "kind", 0.0, 0.2)  # trial stands at the head
    assert staying(opened) == names(1, 2)
    drag(opened, "knob epochs", 0.2, 0.5)  # 3.4 down to 2.5 of 4
    assert staying(opened) == names(2)
    ARTEFACTS.mkdir(exist_ok=True)
    opened.screenshot(path=ARTEFACTS / "experiments.png", full_page=True)
    grip(opened, "knob epochs").click()  # lets go of this axis alone
    assert staying(opened) == names(1, 2)
    opened.get_by_role("button", name="Clear all").click()
    assert staying(opened) == names(0, 1, 2, 3, 4, 5)
    expect(opened.get_by_role("button", name="Clear all")).to_be_disabled()


def test_a_brush_can_be_moved(opened: Page) -> None:
    drag(opened, "knob epochs", 0.0, 0.2)
    assert staying(opened) == names(3)
    drag(opened, "knob epochs", 0.1, 1.0)
    assert staying(opened) == names(0)


def test_the_same_can_be_done_from_the_keyboard(opened: Page) -> None:
    opened.locator("summary", has_text="Filters and axes").press("Enter")
    opened.get_by_label("validation MRR, at least").press_sequentially("0.7")
    assert staying(opened) == names(1, 2, 5)
    opened.get_by_label("epochs, at most").press_sequentially("2")
    assert staying(opened) == names(1)
    expect(opened.locator('g[data-axis="figure validation_mrr"] .brush')).to_be_visible()
    opened.get_by_label("epochs, at most").fill("")
    opened.get_by_label("trial", exact=True).uncheck()
    assert staying(opened) == names(5)
    opened.get_by_label("Show the axis kind").uncheck()  # with its filter
    expect(opened.locator('g[data-axis="kind"]')).to_have_count(0)
    assert staying(opened) == names(1, 2, 5)


def test_what_is_dragged_stands_in_the_fields(opened: Page) -> None:
    drag(opened, "knob epochs", 0.0, 0.5)
    opened.locator("summary", has_text="Filters and axes").click()
    least = opened.get_by_label("epochs, at least")
    assert 2.4 < float(least.input_value()) < 2.6
    expect(opened.get_by_label("epochs, at most")).to_have_value("")


def test_pointing_at_a_line_or_reaching_a_row_names_the_run(opened: Page) -> None:
    said = opened.locator("#parallel .said")
    axes = [grip(opened, axis).bounding_box() for axis in ("figure validation_mrr", "figure validation_accuracy")]
    assert axes[0] is not None
    assert axes[1] is not None
    # The best run is at the head of both, so its line is level between them.
    opened.mouse.move((axes[0]["x"] + axes[1]["x"] + axes[0]["width"]) / 2, axes[0]["y"] + 12)
    expect(said).to_contain_text("s1-0002 trial, finished: validation MRR 0.875")
    expect(opened.locator('tr[data-run="s1-0002"]')).to_have_class("best named")
    opened.mouse.move(5, 5)
    expect(said).to_have_text("")
    opened.locator('tr[data-run="s1-0004"]').focus()
    expect(said).to_contain_text("s1-0004 trial, failed")
    expect(opened.locator('path.run[data-run="s1-0004"]')).to_have_class("run unjudged ended named")


def test_a_pointer_beside_the_last_axis_names_the_run_that_ends_there(opened: Page) -> None:
    """Not the one that passes there on another axis: s1-0003 is high on the last and low on the others."""
    box = opened.locator("#parallel .plot svg").bounding_box()
    drawn = opened.locator('path.run[data-run="s1-0003"]').get_attribute("d")
    assert box is not None and drawn is not None
    x, y = map(float, drawn.rpartition("L")[2].split())
    opened.mouse.move(box["x"] + x + 4, box["y"] + y)
    expect(opened.locator("#parallel .said")).to_contain_text("s1-0003 trial")


@pytest.mark.parametrize(("system", "chosen"), [("dark", "light"), ("light", "dark")])
def test_lines_have_the_colours_of_the_theme_that_was_chosen(opened: Page, system: str, chosen: str) -> None:
    highest = "getComputedStyle(document.getElementById('parallel')).getPropertyValue('--fifth-5').trim()"
    opened.emulate_media(color_scheme="dark" if chosen == "dark" else "light")
    wanted = opened.evaluate(highest)
    opened.emulate_media(color_scheme="dark" if system == "dark" else "light")
    assert opened.evaluate(highest) != wanted
    opened.evaluate(f"document.documentElement.dataset.theme = '{chosen}'")
    assert opened.evaluate(highest) == wanted


def test_tab_reaches_one_row_and_arrows_the_others(opened: Page) -> None:
    said, rows = opened.locator("#parallel .said"), opened.locator("tr[data-run]")
    expect(opened.locator('tr[data-run][tabindex="0"]')).to_have_attribute("data-run", "s1-0002")
    rows.first.focus()
    opened.keyboard.press("ArrowDown")
    expect(said).to_contain_text("s1-0005 training")
    opened.keyboard.press("End")
    expect(said).to_contain_text("s1-0004 trial")
    opened.keyboard.press("ArrowDown")  # there is no further row
    opened.keyboard.press("ArrowUp")
    expect(said).to_contain_text("s1-0000 trial")
    expect(opened.locator('tr[data-run][tabindex="0"]')).to_have_attribute("data-run", "s1-0000")
    grip(opened, "figure validation_mrr").scroll_into_view_if_needed()
    drag(opened, "figure validation_mrr", 0.0, 0.6)  # the row that Tab reached is not shown any more
    expect(opened.locator('tr[data-run][tabindex="0"]')).to_have_attribute("data-run", "s1-0002")


def test_what_lies_outside_an_axis_or_without_any_is_drawn_all_the_same(opened: Page, study: Young) -> None:
    faults: list[str] = []
    opened.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    opened.locator("summary", has_text="Filters and axes").click()
    opened.get_by_label("learning rate, at most").fill("0")  # a logarithmic axis
    assert staying(opened) == set()
    marked = opened.locator('g[data-axis="knob learning_rate"] .brush')
    expect(marked).to_have_attribute("height", "2")
    assert float(marked.get_attribute("y") or "nan") > 0
    opened.get_by_role("button", name="Clear all").click()
    for tick in opened.get_by_label("Show the axis").all():
        tick.uncheck()
    expect(opened.locator("#parallel g[data-axis]")).to_have_count(0)
    assert staying(opened) == names(0, 1, 2, 3, 4, 5)
    assert faults == []


def test_the_best_is_marked_and_cost_is_drawn(opened: Page) -> None:
    expect(opened.locator("path.run.best[data-run]")).to_have_attribute("data-run", "s1-0002")
    expect(opened.locator("#chart-cost.drawn svg")).to_be_visible()


def test_the_page_is_whole_in_the_dark_and_on_a_phone(study: Young, page: Page) -> None:
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/dashboard/experiments")
    expect(page.locator("#parallel.drawn .plot svg")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.set_viewport_size({"width": 1280, "height": 800})
    page.wait_for_function("document.querySelector('#parallel .plot svg').clientWidth > 1000")
    assert staying(page) == names(0, 1, 2, 3, 4, 5)


def test_without_a_run_nothing_is_drawn_and_nothing_fails(service: Young, page: Page) -> None:
    page.goto("/dashboard/experiments")
    expect(page.get_by_text("No run yet")).to_be_visible()
