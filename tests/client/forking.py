"""A program that forks after it has used its client: run by `test_process.py`, with an address."""

import os
import sys
from threading import Event, Thread

from turnout.client import Turnout

MODEL = "forked"


def main(url: str) -> None:
    client = Turnout(url)
    client.record_prediction(client.select_version(MODEL, "parent"))
    loading, loaded = Event(), Event()

    def load(version: str) -> str:
        loading.set()
        loaded.wait()
        return version

    answer = client.experiment("any", model=MODEL, load=load)(str.upper)
    Thread(target=answer, args=["slow"], daemon=True).start()
    loading.wait()
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0
        client.close()
        assert client.recordings.taken == 1, client.recordings
        return
    # What the parent recorded is the parent's to send, also if it still waits here.
    assert client.recordings.waiting == 0
    loaded.set()
    assert answer("child").value == "1.0.0"
    client.flush()
    assert client.recordings.taken == 1, client.recordings
    sys.exit()


if __name__ == "__main__":
    main(sys.argv[1])
