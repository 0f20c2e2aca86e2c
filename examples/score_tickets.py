"""Score a file of tickets, one JSON object a line, by the versions that their users are to see.

    .venv/bin/python examples/score_tickets.py < examples/tickets.jsonl

Writes each ticket with its team and version, and tells at the end what was recorded. It ends with
an error rather than lose a recording.
"""

import json
import sys
import time

from ticket_service import MODEL, OTHERS, WORDS

from turnout.client import Turnout


def main() -> None:
    with Turnout() as client:
        for line in sys.stdin:
            ticket = json.loads(line)
            choice = client.select_version(
                MODEL, ticket["user"], attributes={"source": "batch"}, default="1.0.0"
            )
            begun = time.perf_counter()
            text = ticket["text"].lower()
            found = [team for word, team in WORDS[choice.version].items() if word in text]
            team = found[0] if found else OTHERS
            latency_ms = (time.perf_counter() - begun) * 1000
            client.record_prediction(choice, label=team, latency_ms=latency_ms)
            print(json.dumps({**ticket, "team": team, "version": choice.version}))
        client.flush()
        print(f"{client.recordings.taken} recorded", file=sys.stderr)
        if lost := client.recordings.refused + client.recordings.shed:
            sys.exit(f"{lost} recordings are lost: the log says why")


if __name__ == "__main__":
    main()
