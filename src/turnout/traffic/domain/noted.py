"""What the audit log keeps of a split and of overrides."""

from collections import Counter
from typing import Any

from turnout.quantities import percent
from turnout.traffic.domain.overrides import Overrides
from turnout.traffic.domain.split import Split


def noted(split: Split) -> dict[str, Any]:
    return {
        "split_id": split.id,
        "strategy": split.strategy,
        "owner": {"kind": split.owner.kind, "id": split.owner.id},
        "variants": [
            {
                "name": variant.name,
                "version": variant.version,
                "weight": percent(variant.weight),
                "shadow": variant.shadow,
            }
            for variant in split.variants
        ],
    }


def counted(overrides: Overrides) -> dict[str, Any]:
    """Pins may be thousands: the audit log keeps how many lead to each version."""
    return {
        "pins": dict(Counter(pin.version for pin in overrides.pins)),
        "rules": [
            {"attribute": rule.attribute, "values": list(rule.values), "version": rule.version}
            for rule in overrides.rules
        ],
    }
