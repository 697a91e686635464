"""Columns of a table as numbers for a net: standardised, or one-hot. What that takes is kept with a run, as JSON."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.delimited import Row
from engine.errors import Invalid, require

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
NONE = {"", "na", "n/a", "nan", "null", "none", "?", "-"}  # missing in a column of numbers, in small letters
MOST = 100  # categories of a column; more are names or texts


@dataclass(frozen=True)
class Number:
    """A column of numbers; ``mean`` and ``standard_deviation`` are of the part to train on."""

    name: str
    mean: float
    standard_deviation: float

    def encode(self, values: Sequence[str]) -> np.ndarray:
        """[N, 1]: mean 0 and standard deviation 1 in training. Raises ``Invalid`` for what is no number."""
        bad = next((value for value in values if not NUMBER.fullmatch(value)), None)
        require(bad is None, f"column {self.name}", bad, "a number")
        return ((np.array(values, np.float64) - self.mean) / self.standard_deviation)[:, None]


@dataclass(frozen=True)
class Category:
    """A column of texts out of a few."""

    name: str
    categories: tuple[str, ...]

    def encode(self, values: Sequence[str]) -> np.ndarray:
        """One-hot [N, categories]. Raises ``Invalid`` for an unknown one."""
        bad = next((value for value in values if value not in self.categories), None)
        require(bad is None, f"column {self.name}", bad, f"one of {', '.join(self.categories[:10])}"
                f"{', ...' if len(self.categories) > 10 else ''}, as in training")
        return np.eye(len(self.categories))[[self.categories.index(value) for value in values]]


@dataclass(frozen=True)
class Columns:
    """What is predicted, and the columns that it is predicted from, in the order of the features."""

    target: str
    features: tuple[Number | Category, ...]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        features = [{**asdict(each), **({"categories": list(each.categories)} if isinstance(each, Category) else {})}
                    for each in self.features]
        return {"target": self.target, "features": features}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Columns":
        """What ``to_json`` gave. Raises ``Invalid`` for anything else."""
        try:
            return cls(str(values["target"]), tuple(
                Category(each["name"], tuple(each["categories"])) if "categories" in each else
                Number(each["name"], float(each["mean"]), float(each["standard_deviation"]))
                for each in values["features"]))
        except (KeyError, TypeError, ValueError) as fault:
            raise Invalid(f"`columns` of a run ({fault}) must be what the run wrote") from None

    @property
    def names(self) -> list[str]:
        """Of each feature, as the net gets them."""
        return [name for each in self.features for name in (
            [each.name] if isinstance(each, Number) else [f"{each.name}={value}" for value in each.categories])]

    def check(self, header: Sequence[str], path: Path, target: bool = True) -> None:
        """Raises ``Invalid`` for columns that a table lacks, or has twice."""
        wanted = [each.name for each in self.features] + [self.target] * target
        missing = [name for name in wanted if header.count(name) != 1]
        require(not missing, "columns", ", ".join(missing), f"there once each, but those of {path} are "
                f"{', '.join(header)}")

    def encode(self, header: Sequence[str], rows: Sequence[Row]) -> np.ndarray:
        """Features of the rows, float32 [N, d]. Raises ``Invalid``, with the line, for a value that does not fit."""
        found = [_located(each.encode, each.name, header, rows) for each in self.features]
        return np.concatenate(found, axis=1).astype(np.float32)

    def targets(self, header: Sequence[str], rows: Sequence[Row]) -> np.ndarray:
        """What is predicted, as it is in the table: float32 [N, 1]."""
        return _located(Number(self.target, 0.0, 1.0).encode, self.target, header, rows).astype(np.float32)


def columns_of(header: Sequence[str], rows: Sequence[Row], train: np.ndarray, target: str,
        without: Collection[str] = (), categorical: Collection[str] = ()) -> Columns:
    """Columns for ``rows``: means of the rows ``train``, categories of all.

    A column of which every value is a number is a number, unless it is ``categorical``; one of which none is, is a
    category; one of both is refused, and so are numbers in other forms, and dates.

    Raises:
      Invalid: A target that is no number, a column of numbers and texts, of one value alone or of more than
        ``MOST`` texts; or no column at all.
    """
    features: list[Number | Category] = []
    for at, name in enumerate(header):
        if name == target or name in without:
            continue
        values = [fields[at].strip() for _, fields in rows]
        numbers = [NUMBER.fullmatch(value) is not None for value in values]
        if all(numbers) and name not in categorical:
            trained = np.array(values, np.float64)[train]
            require(np.ptp(trained) > 0, f"column {name}", f"{trained[0]:g} in every row to train on",
                    f"of several values: leave it out (--without {name})")
            features.append(Number(name, float(trained.mean()), float(trained.std())))
            continue
        if name not in categorical:
            _check_texts(name, rows, values, numbers)
        categories = tuple(sorted(set(values)))
        require(1 < len(categories) <= MOST, f"column {name}", f"{len(categories)} different texts",
                f"of 2 to {MOST} categories: leave it out (--without {name})")
        features.append(Category(name, categories))
    require(features, "columns", ", ".join(header), f"at least one beside {target} and those left out")
    return Columns(target, tuple(features))


def missing(header: Sequence[str], rows: Sequence[Row], names: Collection[str], categorical: Collection[str] = ()
            ) -> list[tuple[int, str]]:
    """(row, column) of each missing value in the columns ``names``: an empty one, or NA and the like among numbers."""
    found = []
    for at, name in enumerate(header):
        if name not in names:
            continue
        values = [fields[at].strip() for _, fields in rows]
        numbers = name not in categorical and all(
            NUMBER.fullmatch(value) or value.lower() in NONE for value in values)
        none = NONE if numbers else {""}
        found += [(row, name) for row, value in enumerate(values) if value.lower() in none]
    return sorted(found)


def _check_texts(name: str, rows: Sequence[Row], values: Sequence[str], numbers: Sequence[bool]) -> None:
    """Raises ``Invalid`` if some are numbers, or all are such in another form (3,5 or 1 000 or 12% or 2020-01-31)."""
    if any(numbers):
        one, other = numbers.index(True), numbers.index(False)
        raise Invalid(f"`column {name}` ({values[one]} in line {rows[one][0]}, {values[other]} in line "
                      f"{rows[other][0]}) must be of numbers or of texts (--categorical {name} takes all as texts)")
    numerals = all(any(map(str.isdigit, value)) and not any(map(str.isalpha, value)) for value in values)
    require(not numerals, f"column {name}", f"{values[0]} in line {rows[0][0]}", "of numbers as 1234.5, of texts, or "
            f"left out (--without {name}); --categorical {name} takes it as texts")


def _located(encode: Callable[[Sequence[str]], np.ndarray], name: str, header: Sequence[str], rows: Sequence[Row]
             ) -> np.ndarray:
    """A column's encoding; a fault is told with the line."""
    at = list(header).index(name)
    try:
        return encode([fields[at].strip() for _, fields in rows])
    except Invalid:
        for line, fields in rows:
            try:
                encode([fields[at].strip()])
            except Invalid as fault:
                raise Invalid(f"{fault} (line {line})") from None
        raise
