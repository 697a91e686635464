"""Whether a checkpoint's facts are of the kinds that a run writes: its seal proves only that somebody made it."""

from collections.abc import Callable, Mapping
from typing import Any

MOST = 2**62  # of a counter
Test = Callable[[Any], bool]


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST


def _counts(value: Any) -> bool:
    return isinstance(value, dict) and all(map(_count, value.values()))


def _seconds(value: Any) -> bool:
    return _number(value) and 0 <= value <= MOST


def _number(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MOST)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _object(value: Any) -> bool:
    return isinstance(value, dict)


def _place(value: Any) -> bool:
    return (isinstance(value, dict) and set(value) == {"slot", "updates", "batches"} and _count(value["slot"])
            and _counts(value["updates"]) and _counts(value["batches"]))


def _best(value: Any) -> bool:
    return isinstance(value, dict) and (not value or (
        _count(value.get("cycle")) and isinstance(value.get("metric"), str) and _number(value.get("value"))
        and _seconds(value.get("epoch", 0.0)) and _seconds(value.get("seconds", 0.0))))


def _events(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, dict) and set(each) == {"totals", "pending"} and isinstance(each["pending"], bool)
        for each in value)


KINDS: dict[str, Test] = {
    "place": _place, "streak": _count, "rollbacks": _count, "seconds": _seconds, "rejected": _counts, "faults": _texts,
    "events": _events, "updates": _counts, "batches": _count,
    "plan": lambda value: isinstance(value, str), "trial": _object, "best": _best, "kept": _object,
    "surroundings": lambda value: isinstance(value, dict) and all(isinstance(each, str) for each in value.values()),
    "elsewhere": _texts, "config": _object}


def strange(manifest: Mapping[str, Any]) -> str | None:
    """The first fact that no run writes; None if there is none."""
    for name, fits in KINDS.items():
        if name in manifest and not fits(manifest[name]):
            return f"its {name} is not what a run writes"
    return None
