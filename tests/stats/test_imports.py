import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        pytest.param(
            "verdict totals finding guardrail quantile_guardrail quantile_sketch anytime",
            "numpy scipy statsmodels pandas",
            id="what judges guardrails needs the standard library only",
        ),
        pytest.param(
            "effect goal secondary",
            "numpy scipy statsmodels pandas",
            id="so does what an experiment plans and keeps, until its first look",
        ),
    ],
)
def test_a_process_that_serves_requests_stays_light(modules: str, heavy: str) -> None:
    imports = "; ".join(f"import turnout.stats.{module}" for module in modules.split())
    loaded = f"import sys; {imports}; print(*sys.modules.keys() & set({heavy.split()!r}))"
    answer = subprocess.run(
        [sys.executable, "-c", loaded], check=True, capture_output=True, text=True
    )

    assert answer.stdout.split() == []
