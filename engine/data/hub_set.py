"""A set of a hub as its library gives it, and what its readers share."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from engine.errors import Invalid, require

Made = TypeVar("Made")


class Hub(NamedTuple):
    """A set as its library gives it.

    Attributes:
      splits: {name: (picture or text, label) of each example}.
      sizes: {name: number of examples}.
      classes: Names of the labels 0, 1, ...; None where labels are names or numbers themselves.
      place: Path or address where it lies.
    """

    splits: Mapping[str, Iterable[tuple[Any, Any]]]
    sizes: Mapping[str, int]
    classes: tuple[str, ...] | None
    place: str


def attempt(name: str, act: Callable[[], Made]) -> Made:
    """What a hub's library gives. Raises ``Invalid`` for whatever it raises."""
    try:
        return act()
    except Exception as fault:  # of many types: no network, no such name, damaged files
        reason = " ".join(str(fault).split())[:300] or type(fault).__name__
        raise Invalid(f"`dataset` ({name}) must be loadable: {reason}") from None


def one_of(name: str, what: str, found: list[str], given: str | None, features: Iterable[str]) -> str:
    """The feature that is ``given``, or else the only one that could be."""
    if given is not None:
        require(given in found, f"{what} of {name}", given, f"one of {', '.join(found) or 'none'}")
        return given
    could = f"but of its {', '.join(sorted(features))} those could be: {', '.join(found) or 'none'}"
    require(len(found) == 1, "dataset", name, f"of one {what}, {could}")
    return found[0]
