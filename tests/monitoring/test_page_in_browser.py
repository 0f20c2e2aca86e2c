"""The drift report as a browser shows it: styled, on a telephone and on a wide screen."""

from pathlib import Path

from selenium.webdriver import Chrome

import tests.browser
from tests.browser import NEEDED
from tests.monitoring.reports import one_is_fed_otherwise
from turnout.monitoring.page.document import page

pytestmark = NEEDED
browser = tests.browser.browser

FILLS = "return [...document.querySelectorAll(arguments[0])].map(e => getComputedStyle(e).fill)"
SIZES = """
const wide = e => e.getBoundingClientRect();
return [
  document.documentElement.scrollWidth,
  Math.max(...[...document.querySelectorAll('article, article *')].map(e => wide(e).right)),
]
"""


def test_it_keeps_to_its_policy_and_to_the_width_of_the_screen(browser: Chrome, tmp_path: Path):
    file = tmp_path / "drift.html"
    file.write_text(page(one_is_fed_otherwise()), encoding="utf-8")
    for width in (380, 1400):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(file.as_uri())
        # Titles of bars are elements, too, and have no place.
        whole, rightmost = browser.execute_script(SIZES)
        assert whole <= width
        assert rightmost <= width
    [expected, *_] = browser.execute_script(FILLS, "article .expected")
    [beside, *_] = browser.execute_script(FILLS, "article .beside")
    [observed, *_] = browser.execute_script(FILLS, "article .observed")

    assert len({expected, beside, observed, "rgb(0, 0, 0)"}) == 4, "nothing is styled"
    assert beside.startswith('url("#hatch")')
    assert browser.title == "amount has moved, in 2.0.0 alone · fraud-detection · drift"
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
