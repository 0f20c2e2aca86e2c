from rich.console import Console

from turnout.cli.render_gates import report

FOUND = {
    "verdict": "fail",
    "to": "production",
    "compared_with": "1.0.0",
    "findings": [
        {
            "gate": {"kind": "metric"},
            "checks": [
                {
                    "name": "accuracy at least 0.85",
                    "result": "fail",
                    "value": 0.8,
                    "limit": 0.85,
                    "reason": "accuracy is 0.8, not at least 0.85",
                }
            ],
        }
    ],
}


def test_a_report_can_be_read_on_a_narrow_terminal() -> None:
    console = Console(width=60)
    with console.capture() as capture:
        console.print(report("fraud-detection", "2.0.0", FOUND))

    lines = [line.rstrip() for line in capture.get().splitlines()]
    assert lines == [
        "fraud-detection 2.0.0 to production, compared with 1.0.0:",
        "fail",
        "result  check",
        "fail    accuracy at least 0.85",
        "        accuracy is 0.8, not at least 0.85",
    ]
