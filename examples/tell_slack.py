"""Tell a channel of Slack in your own words whenever a version is rolled back or an alert fires.

    SLACK_WEBHOOK_URL=https://hooks.slack.com/services/… .venv/bin/python examples/tell_slack.py

Runs until it is interrupted. A webhook of format `slack` does much the same without a program, and
is tried again for a day while Slack is down; callbacks are for what only a program can do.
"""

import os
import signal

import httpx2

from turnout.client import Event, Turnout

CHANNEL = os.environ["SLACK_WEBHOOK_URL"]


def tell(text: str) -> None:
    httpx2.post(CHANNEL, json={"text": text}, timeout=10).raise_for_status()


def rolled_back(event: Event) -> None:
    tell(f"{event.model} {event.data['candidate']} was rolled back: {event.data['reason']}")


def alert(event: Event) -> None:
    if event.type == "alert.firing":
        tell(f"{event.data['severity']}: {event.data['summary']}")


def main() -> None:
    with Turnout() as client:
        client.on_rollback(rolled_back)
        client.on_alert(alert)
        print("following", flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
