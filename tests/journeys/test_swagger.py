"""Swagger UI as an operator uses it: open the operation, fill in the id, click Execute; and
Authorize first, where the service asks for a key."""

import pytest
from httpx2 import Client
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions as expected
from selenium.webdriver.support.ui import WebDriverWait

import tests.browser
from tests.browser import NEEDED
from tests.journeys.conftest import Service

MODEL = "churn-predictor"

pytestmark = NEEDED
browser = tests.browser.browser


@pytest.fixture
def rollout(api: Client) -> str:
    """A canary of 2.0.0 in its first stage; 1.0.0 serves."""
    for version in ("1.0.0", "2.0.0"):
        made = api.post(f"models/{MODEL}/versions", json={"version": version})
        assert made.status_code == 201, made.text
    first = api.post(f"models/{MODEL}/rollouts", json={"candidate": "1.0.0", "strategy": "replace"})
    assert first.status_code == 201, first.text
    started = api.post(
        f"models/{MODEL}/rollouts",
        json={
            "candidate": "2.0.0",
            "strategy": "canary",
            "stages": [{"weight": 10, "bake": "1h"}, {"weight": 50, "bake": "1h"}],
        },
    )
    assert started.status_code == 201, started.text
    identity: str = started.json()["id"]
    return identity


def opened(browser: Chrome, url: str, tag: str, operation: str) -> WebElement:
    """The operation, opened by its link."""
    browser.get("about:blank")
    browser.get(f"{url}/docs#/{tag}/{operation}")
    place = By.ID, f"operations-{tag}-{operation}"
    return WebDriverWait(browser, 60).until(expected.presence_of_element_located(place))


def found(browser: Chrome, within: Chrome | WebElement, selector: str) -> WebElement:
    element = WebDriverWait(browser, 60).until(
        lambda _: within.find_element(By.CSS_SELECTOR, selector)
    )
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    return element


def click(browser: Chrome, within: Chrome | WebElement, selector: str) -> None:
    button = found(browser, within, selector)
    WebDriverWait(browser, 60).until(expected.element_to_be_clickable(button)).click()


def executed(browser: Chrome, block: WebElement) -> int:
    """Click Execute; answer the status shown."""
    click(browser, block, "button.execute")
    status = WebDriverWait(browser, 60).until(
        lambda _: block.find_element(
            By.CSS_SELECTOR, ".live-responses-table tr.response .response-col_status"
        ).text.split()
    )
    return int(status[0])


def execute(browser: Chrome, url: str, operation: str, rollout: str) -> int:
    block = opened(browser, url, "rollouts", operation)
    found(browser, block, "input[placeholder^=rollout_id]").send_keys(rollout)
    return executed(browser, block)


def test_promote_and_roll_back_with_a_few_clicks(
    browser: Chrome, service: Service, api: Client, rollout: str
):
    promoted = execute(browser, service.url, "promote_rollout", rollout)
    between = api.get(f"rollouts/{rollout}").json()
    rolled_back = execute(browser, service.url, "rollback_rollout", rollout)
    after = api.get(f"rollouts/{rollout}").json()

    assert promoted == 200
    assert between["stage"]["index"] == 1
    assert rolled_back == 200
    assert after["phase"] == "rolled_back"
    log = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert [entry for entry in log if entry["source"] == "network"] == []


def test_authorize_with_a_key(browser: Chrome, service: Service, api: Client):
    """The last one here: with a key, the service is open to nobody without one."""
    made = api.post("api-keys", json={"name": "ada", "role": "viewer"})
    key = made.raise_for_status().json()["key"]

    block = opened(browser, service.url, "access", "show_caller")
    before = executed(browser, block)
    click(browser, block, "button.btn-clear")
    click(browser, browser, ".auth-wrapper button.authorize")
    field = "//h4[contains(., 'bearer')]/ancestor::div[contains(@class, 'auth-container')]//input"
    browser.find_element(By.XPATH, field).send_keys(key)
    click(browser, browser, ".auth-container button.authorize")
    click(browser, browser, ".auth-container button.btn-done")
    after = executed(browser, block)

    assert (before, after) == (401, 200)
    assert '"name": "ada"' in block.find_element(By.CSS_SELECTOR, ".live-responses-table").text
