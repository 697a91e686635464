"""The metrics of a run on its held-out data, or on other data.

  python scripts/evaluate.py runs/classifier              what the run itself last said, to the bit
  python scripts/evaluate.py runs/classifier --part train
  python scripts/evaluate.py runs/photos --data-dir photos        data that is not found by itself is named again
  python scripts/evaluate.py runs/photos --dataset image-folder --data-dir others --image-size 64

Takes some seconds, of which most is TensorFlow's start. The newest good checkpoint is read, with averaged weights
where the run has them; the run's folder stays as it is.
"""

import argparse
import json

import cli
import reopen


def options() -> cli.Parser:
    parser = cli.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    reopen.add_run(parser)
    parser.add_argument("--part", choices=("train", "test"), default=None, help="of the data (default: what the run "
                        "evaluates on, which is the test part, or under --validation a fraction of the other)")
    reopen.add_data(parser, other=True)
    parser.add_argument("--json", action="store_true", help="print one line of JSON, with all digits")
    return parser


def main(chosen: argparse.Namespace) -> int:
    run = reopen.reopen(chosen, chosen.part, **reopen.data_options(chosen))
    metrics = run.run.evaluate(run.job.held_out)
    for name, source in ({} if chosen.part else run.job.at_end).items():
        metrics |= {f"{name}/{metric}": value for metric, value in run.run.evaluate(source).items()}
    apart = run.options.validation or getattr(run.options, "fold", None)
    part = chosen.part or ("validation" if apart else "test")
    facts = {"run": str(run.folder), "cycles": run.run.cycle, "dataset": run.options.dataset,
             "part": part, "examples": run.job.held_out.size}
    if chosen.json:
        print(json.dumps({**facts, "metrics": metrics}))
        return 0
    print("{run} at cycle {cycles}, {dataset}, {part} part, {examples} examples".format(**facts))
    for name, value in metrics.items():
        print(f"{name} {value:.4f}")
    return 0


if __name__ == "__main__":
    chosen = options().parse_args()
    raise SystemExit(reopen.answer(lambda: main(chosen)))
