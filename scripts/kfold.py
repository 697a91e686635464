"""Train k times, each time with another k-th held out: mean and standard deviation of every metric.

  python scripts/kfold.py classifier --folds 5 --net mlp --epochs 4
  python scripts/kfold.py regression --folds 5 --dataset polynomial --degree 3 --epochs 400 --evaluate-every 100

The folds are disjoint, and even over the classes; the test part is left alone. The options are those of
train_classifier.py and train_regression.py. Each fold is a run of such a script in a folder of its own, fold-1,
fold-2, ...; the same command again continues where it stopped, and does not train a finished fold again. At the end
the folder holds summary.json, with the mean and the sample's standard deviation (of n - 1) of each metric, and
index.html, with the curves of all folds.
"""

import argparse
import statistics
from pathlib import Path
from typing import Any

import cli
import several
import train_classifier
import train_regression

SCRIPTS: dict[str, Any] = {"classifier": train_classifier, "regression": train_regression}
OWN = {"what", "folds"}  # options that the single runs do not have


def options() -> cli.Parser:
    style = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    parser = cli.Parser(description=__doc__, **style)
    kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT", help=f"{' or '.join(SCRIPTS)}; "
                                  "with --help: its options")
    for what, script in SCRIPTS.items():
        one = kinds.add_parser(what, parents=[script.options()], conflict_handler="resolve", description=__doc__,
                               **style)
        one.add_argument("--folds", type=cli.number(int, "an integer of at least 2", lambda value: value >= 2),
                         default=5, help="how many, k (default: %(default)s)")
        one.set_defaults(run_dir=Path(f"runs/kfold-{what}"))
    return parser


def main(parser: cli.Parser) -> int:
    chosen = parser.parse_args()
    for name in ("fold", "validation"):
        if getattr(chosen, name):
            parser.error(f"`--{name}` ({getattr(chosen, name)}) must be left out: each fold is held out once")
    script = SCRIPTS[chosen.what]
    runs = {f"fold-{number}": several.like(chosen, f"train_{chosen.what}", OWN, fold=f"{number}/{chosen.folds}")
            for number in range(1, chosen.folds + 1)}
    code = several.train(chosen, dict(list(runs.items())[:1]) if chosen.check else runs, script.job, free=set())
    if not (code or chosen.check or chosen.smoke):
        return several.guarded(lambda: _summarise(chosen.run_dir, list(runs)))
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
    raise SystemExit(main(options()))
