"""The metrics of a run on its held-out data, or on other data.

  python scripts/evaluate.py runs/classifier              what the run itself last said, to the bit
  python scripts/evaluate.py runs/classifier --part train
  python scripts/evaluate.py runs/photos --data-dir photos        data that is not found by itself is named again
  python scripts/evaluate.py runs/photos --dataset image-folder --data-dir others --image-size 64

Takes some seconds, of which most is TensorFlow's start. The newest good checkpoint is read, with averaged weights
where the run has them; the run's folder stays as it is.
"""

import dataclasses
import json

import cli
import reopen
from data_options import fold_of
from fields import option
from rules import Choice


@dataclasses.dataclass(frozen=True)
class Options:
    """Of this script."""

    which: reopen.Which = reopen.Which()
    part: str | None = option(None, "of the data (default: what the run evaluates on, which is the test part, or under "
                              "--validation a fraction of the other)", Choice("train", "test"))
    json: bool = option(False, "print one line of JSON, with all digits", bool)
    data: reopen.Other = reopen.Other()


def main(chosen: Options) -> int:
    run = reopen.reopen(chosen.which, chosen.part, place=chosen.data)
    metrics = run.run.evaluate(run.job.held_out)
    for name, source in ({} if chosen.part else run.job.at_end).items():
        metrics |= {f"{name}/{metric}": value for metric, value in run.run.evaluate(source).items()}
    apart = run.options.data.validation or fold_of(run.options.data)
    part = chosen.part or ("validation" if apart else "test")
    facts = {"run": str(run.folder), "cycles": run.run.cycle, "dataset": run.options.data.dataset,
             "part": part, "examples": run.job.held_out.size}
    if chosen.json:
        print(json.dumps({**facts, "metrics": metrics}))
        return 0
    print("{run} at cycle {cycles}, {dataset}, {part} part, {examples} examples".format(**facts))
    for name, value in metrics.items():
        print(f"{name} {value:.4f}")
    return 0


if __name__ == "__main__":
    chosen = cli.Command(Options(), __doc__).parse()
    raise SystemExit(reopen.answer(lambda: main(chosen)))
