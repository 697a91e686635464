"""The options of sweep.py."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import fields
import search_space
from fields import option
from rules import Choice, natural, one_of, positive, two_or_more, whole

HERE = Path(__file__).parent


def scripts() -> list[str]:
    """Names of the train scripts, as commands."""
    return sorted(path.stem.replace("_", "-") for path in HERE.glob("train_*.py"))


def script(text: str) -> str:
    """A rule: a train script, as a command or as its file."""
    return str(one_of(scripts())(text.replace("_", "-")))


@dataclasses.dataclass(frozen=True)
class What:
    """What is searched."""

    TITLE: ClassVar[str] = "what is searched"
    search: str = option("random", "every combination; draws; the best 1/eta of the draws trained on, and so on; or "
                         "several such brackets, after Li et al. 2018",
                         Choice("grid", "random", "halving", "hyperband"))
    vary: tuple[Any, ...] = option(fields.REQUIRED, "an option of the script and its values: a list, 8,16,32 (of a "
                                   "flag on,off); a range, 0.5..0.9, of whole numbers if both are; a range even over "
                                   "the logarithm, log:1e-4..1e-2; :5 after a range are 5 even steps. NAME may be "
                                   "net-option.width. May be repeated", search_space.vary, nargs="append",
                                   metavar="NAME=VALUES")
    goal: str = option(fields.REQUIRED, "a column of metrics.csv, as eval/accuracy: its best value decides; that "
                       "checkpoint is kept", metavar="METRIC")
    better: str | None = option(None, "values of --goal (default: what the metric says of itself)",
                                Choice("lower", "higher"))
    trials: int | None = option(None, "draws (default: 20, or all there are; of halving as many as leave one)", whole)
    seed: int = option(0, "of the draws; that of the training comes after --", natural)


@dataclasses.dataclass(frozen=True)
class Length:
    """How long is trained."""

    TITLE: ClassVar[str] = "how long"
    max_epochs: float | None = option(None, "of a trial, or of those that go on to the end", positive, exclusive="most")
    max_cycles: int | None = option(None, "the same in cycles", whole, exclusive="most")
    min_epochs: float | None = option(None, "of the first rung, which all trials of halving reach (default: 1)",
                                      positive)
    min_cycles: int | None = option(None, "the same in cycles", whole)
    eta: int = option(3, "one of so many trials goes on, for so many times as long", two_or_more)


@dataclasses.dataclass(frozen=True)
class Run:
    """Where it goes, and what is done about errors."""

    TITLE: ClassVar[str] = "run"
    run_dir: Path | None = option(None, "folder of the sweep; one that holds the same sweep is continued (default: "
                                  "runs/sweep-SCRIPT)", Path)
    on_error: str = option("stop", "when a trial ends with an error, as of memory: end, and try it again next time; or "
                           "count it as failed", Choice("stop", "skip"))
    check: bool = option(False, "let the script check every trial (its --check), and train nothing", bool)


@dataclasses.dataclass(frozen=True)
class Options:
    """Of this script."""

    script: str = option(fields.REQUIRED, "the train script", script, positional=True, metavar="SCRIPT")
    what: What = What()
    length: Length = Length()
    run: Run = Run()
