"""Compare runs on one page: their final metrics, their curves in common charts, and what differs in configuration.

  python scripts/compare_runs.py runs/mlp runs/convnet
  python scripts/compare_runs.py runs/kfold-classifier/fold-*            the folds of one run
  python scripts/compare_runs.py runs/a runs/b --out page.html

Reads the files of the runs alone: no net is built, no data are loaded, and nothing in a run's folder is changed. A run
that is still going, or was stopped, is shown as far as it is. The page is one file that opens in any browser, without
a network. Its curves are those of the columns of metrics.csv that two runs or more have, over epochs, cycles or
seconds; of each final metric the best value is marked, where it is known whether lower or higher is better. The same
table is printed. Exit code 2, with one line, for a folder that is no run or a file in it that is damaged.
"""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

import cli
import fields
import reopen
import several
from fields import option


@dataclasses.dataclass(frozen=True)
class Options:
    """Of this script."""

    runs: tuple[Path, ...] = option(fields.REQUIRED, "folder of a run, as --run-dir named it; two or more", Path,
                                    nargs="+", positional=True, metavar="RUN")
    out: Path | None = option(None, "the page, a file that ends in .html (default: comparison.html in the nearest "
                              "folder that holds all runs)", Path, metavar="FILE")
    title: str = option("Comparison of runs", "the page's heading")


def main(chosen: Options) -> int:
    from engine.errors import require
    from engine.reporting.comparison import Comparison

    places = [run.resolve() for run in chosen.runs]
    for run in chosen.runs:
        require(run.is_dir(), "RUN", run, "the folder of a run: there is no such folder")
        require((run / "config.json").is_file() or (run / "metrics.csv").is_file(), "RUN", run,
                "the folder of a run: it has neither config.json nor metrics.csv")
    require(len(set(places)) == len(places) >= 2, "RUN", " ".join(map(str, chosen.runs)), "two or more different runs")
    page = chosen.out or Path(os.path.commonpath([place.parent for place in places])) / "comparison.html"
    require(page.suffix == ".html", "--out", page, "a file that ends in .html")
    require(not page.is_dir(), "--out", page, "a file, but is a folder")
    comparison = Comparison.of(dict(zip(names(places), places, strict=True)))
    print(several.table([list(map(cli.printable, row)) for row in comparison.rows]))
    print(comparison.write(page, chosen.title))
    return 0


def names(places: Sequence[Path]) -> list[str]:
    """A name for each run: the last parts of its path, as many as tell all runs apart."""
    longest = max(len(place.parts) for place in places)
    for count in range(1, longest + 1):
        found = ["/".join(place.parts[-count:]) for place in places]
        if len(set(found)) == len(found):
            return found
    return list(map(str, places))


if __name__ == "__main__":
    chosen = cli.Command(Options(), __doc__).parse()
    raise SystemExit(reopen.answer(lambda: main(chosen)))
