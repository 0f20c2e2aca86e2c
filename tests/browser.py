"""A browser without a window that reaches nothing but this machine."""

import os
import shutil
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
REQUIRED = os.environ.get("TURNOUT_TEST_BROWSER") == "required"

NEEDED = pytest.mark.skipif(
    not (REQUIRED or (BROWSER and DRIVER)),
    reason="no Chromium with its driver here; TURNOUT_TEST_BROWSER=required insists on one",
)


@pytest.fixture
def browser(tmp_path) -> Iterator[Chrome]:
    assert BROWSER is not None
    assert DRIVER is not None
    options = ChromeOptions()
    options.binary_location = BROWSER
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--no-first-run",
        "--window-size=1400,1000",
        f"--user-data-dir={tmp_path}",
        # Whatever is not this service does not resolve: the page must need nothing else.
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "SEVERE"})
    chrome = Chrome(options=options, service=Driver(DRIVER))
    yield chrome
    chrome.quit()
