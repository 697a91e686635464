"""Train k times, each time with another k-th held out: mean and standard deviation of every metric.

  python scripts/kfold.py classifier --folds 5 --net mlp --epochs 4
  python scripts/kfold.py regression --folds 5 --dataset polynomial --degree 3 --epochs 400 --evaluate-every 100

The folds are disjoint, and even over the classes; the test part is left alone. The options are those of
train_classifier.py and train_regression.py. Each fold is a run of such a script in a folder of its own, fold-1,
fold-2, ...; the same command again continues where it stopped, and does not train a finished fold again. At the end
the folder holds summary.json, with the mean and the sample's standard deviation (of n - 1) of each metric, and
index.html, with the curves of all folds.
"""

import dataclasses
import statistics
from pathlib import Path
from typing import Any, ClassVar

import cli
import data_options
import fields
import groups
import several
import train_classifier
import train_regression
from fields import option
from rules import two_or_more

SCRIPTS: dict[str, Any] = {"classifier": train_classifier, "regression": train_regression}


@dataclasses.dataclass(frozen=True)
class Folds:
    """How many."""

    TITLE: ClassVar[str] = "folds"
    folds: int = option(5, "how many, k", two_or_more)


@dataclasses.dataclass(frozen=True)
class Options:
    """Those of the folds, and of each run."""

    kfold: Folds
    train: groups.TrainOptions


def parse() -> tuple[str, Options]:
    """What is trained, and the options."""
    parser = cli.Parser(description=cli.fitted(__doc__))
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT",
                                  help=f"{' or '.join(SCRIPTS)}; with --help: its options")
    commands = {}
    for what, script in SCRIPTS.items():
        options = Options(Folds(), fields.replaced(script.Options(), {"run_dir": Path(f"runs/kfold-{what}")}))
        commands[what] = cli.Command(options, __doc__, files=True, parser=kinds.add_parser(what))
    given = vars(parser.parse_args())
    return given["what"], commands[given["what"]].resolved(given)


def main(what: str, options: Options) -> int:
    chosen = options.train
    for name, value in (("fold", data_options.fold_of(chosen.data)), ("validation", chosen.data.validation)):
        if value:
            cli.refuse(f"`--{name}` ({value}) must be left out: each fold is held out once (see --help)")
    runs = {f"fold-{number}": fields.replaced(chosen, {"fold": f"{number}/{options.kfold.folds}"})
            for number in range(1, options.kfold.folds + 1)}
    config = {"script": "kfold", "what": what, **fields.identity(options)}
    code = several.train(chosen.run.run_dir, config, dict(list(runs.items())[:1]) if chosen.often.check else runs,
                         SCRIPTS[what].job)
    if not (code or chosen.often.check or chosen.often.smoke):
        return several.guarded(lambda: _summarise(chosen.run.run_dir, list(runs)))
    return code


def _summarise(folder: Path, folds: list[str]) -> None:
    """Mean and standard deviation of every metric, on screen, in summary.json and above the folds' curves."""
    from engine.reporting.comparison import Comparison

    found = [several.summary(folder / fold)["metrics"] for fold in folds]
    metrics = {name: {"mean": statistics.fmean(each), "standard_deviation": statistics.stdev(each), "folds": each}
               for name in found[0] for each in [[one[name] for one in found]]}
    several.write_summary(folder, {"folds": len(folds), "metrics": metrics})
    comparison = Comparison.of({fold: folder / fold for fold in folds}, summed=True)
    print(several.table(comparison.rows))
    print(comparison.write(folder / "index.html", f"{len(folds)} folds"))


if __name__ == "__main__":
    raise SystemExit(main(*parse()))
