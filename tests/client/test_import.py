"""The client is for programs that have nothing of the service."""

import subprocess
import sys

CODE = """
import sys
import turnout.client

def roots():
    return {name.partition(".")[0] for name in sys.modules}

print(*sorted(name for name in sys.modules if name.startswith("turnout.")))
print(*sorted(roots() & {"httpx2", "numpy", "sqlalchemy", "fastapi", "pydantic", "msgspec"}))
turnout.client.Turnout("http://127.0.0.1:9").close()
print(*sorted(roots() & {"numpy", "sqlalchemy", "fastapi", "pydantic", "msgspec"}))
"""


def test_it_imports_nothing_of_the_service_and_no_http_before_it_is_needed():
    ran = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    ours, heavy, heavy_in_use = ran.stdout.split("\n")[:3]

    outside = [name for name in ours.split() if not name.startswith("turnout.client")]
    assert outside == ["turnout.buckets"]
    assert (heavy, heavy_in_use) == ("", "")
