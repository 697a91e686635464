"""Search for the options of a train script: a grid, random draws, successive halving or Hyperband.

  python scripts/sweep.py train-regression --search grid --vary learning-rate=0.01,0.02,0.05 --vary momentum=0,0.9 \\
      --goal eval/squared_error --max-epochs 3
  python scripts/sweep.py train-vae --trials 20 --vary learning-rate=log:1e-4..1e-2 --vary latent-dim=8,16,32 \\
      --goal eval/negative_elbo --max-epochs 9 -- --validation 0.1 --beta 1
  python scripts/sweep.py train-vae --search hyperband --vary learning-rate=log:1e-4..1e-2 --vary latent-dim=4..64 \\
      --goal eval/negative_elbo --max-epochs 27 -- --validation 0.1 --plan xla

What follows -- are options of the train script, the same in all trials. Each trial is a run in a folder of its own,
trial-001, trial-002, ...; the same command again goes on after a kill or Ctrl-C, and trains nothing twice. With more
--trials, or a larger --max-epochs, the sweep goes on from what is there (not so Hyperband, whose numbers of trials
follow from its length).

Halving and Hyperband train many trials for a short time and the best ones on, in the same folder: they end with the
bits of one run that is as long. So options whose effect hangs on the length or the clock are refused there.

A trial that the health watch stops (exit code 3) is a result, the worst. The folder then holds results.json,
summary.json and sweep.html: all trials by their goal, their curves, the goal over each option, and which went on.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import cli
import early
import reopen
import search_space
import sweep_run
import trials
from sweep_checks import sweep_of
from sweep_plan import Sweep, scripts


class Parser(cli.Parser):
    """Leaves what follows -- to the train script."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As of ``argparse``; the namespace's ``rest`` is what follows."""
        words = list(sys.argv[1:] if args is None else args)
        at = words.index("--") if "--" in words else len(words)
        chosen, unknown = super().parse_known_args(words[:at], namespace)
        if unknown:
            self.error(f"`{unknown[0]}` must be an option of sweep.py, or stand after -- as one of the train script")
        chosen.rest = words[at + 1:]
        return chosen, unknown


def options() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False,
                    usage="sweep.py SCRIPT --vary NAME=VALUES --goal METRIC --max-epochs N [options] [-- options of "
                          "SCRIPT]")
    parser.add_argument("script", type=lambda text: cli.one_of(scripts())(text.replace("_", "-")), metavar="SCRIPT",
                        help=f"one of {', '.join(scripts())}")
    add = parser.add_argument_group("what is searched").add_argument
    add("--search", choices=("grid", "random", "halving", "hyperband"), default="random", help="every combination; "
        "draws; the best 1/eta of the draws trained on, and so on; or several such brackets, after Li et al. 2018 "
        "(default: %(default)s)")
    add("--vary", action="append", type=search_space.vary, required=True, metavar="NAME=VALUES", help="an option "
        "of the script and its values: a list, 8,16,32 (of a flag on,off); a range, 0.5..0.9, of whole numbers if both "
        "are; a range even over the logarithm, log:1e-4..1e-2; :5 after a range are 5 even steps. NAME may be "
        "net-option.width. May be repeated")
    add("--goal", required=True, metavar="METRIC", help="a column of metrics.csv, as eval/accuracy: its best value "
        "decides; that checkpoint is kept")
    add("--better", choices=("lower", "higher"), help="values of --goal (default: what the metric says of itself)")
    add("--trials", type=cli.whole, help="draws (default: 20, or all there are; of halving as many as leave one)")
    add("--seed", type=cli.natural, default=0, help="of the draws; that of the training comes after -- (default: "
        "%(default)s)")
    add = parser.add_argument_group("how long").add_argument
    most = parser.add_mutually_exclusive_group(required=True)
    most.add_argument("--max-epochs", type=cli.positive, help="of a trial, or of those that go on to the end")
    most.add_argument("--max-cycles", type=cli.whole, help="the same in cycles")
    add("--min-epochs", type=cli.positive, help="of the first rung, which all trials of halving reach "
        "(default: 1)")
    add("--min-cycles", type=cli.whole, help="the same in cycles")
    add("--eta", type=cli.number(int, "an integer of at least 2", lambda value: value >= 2), default=3,
        help="one of so many trials goes on, for so many times as long (default: %(default)s)")
    add = parser.add_argument_group("run").add_argument
    add("--run-dir", type=Path, help="folder of the sweep; one that holds the same sweep is continued (default: "
        "runs/sweep-SCRIPT)")
    add("--on-error", choices=("stop", "skip"), default="stop", help="when a trial ends with an error, as of memory: "
        "end, and try it again next time; or count it as failed (default: %(default)s)")
    add("--check", action="store_true", help="let the script check every trial (its --check), and train nothing")
    return parser


def main(parser: Parser) -> int:
    early.install()
    chosen = parser.parse_args()
    chosen.run_dir = chosen.run_dir or Path(f"runs/sweep-{chosen.script.removeprefix('train-')}")
    sweep = sweep_of(chosen, parser.error)
    return _check(sweep) if chosen.check else reopen.answer(lambda: sweep_run.run(sweep))


def _check(sweep: Sweep) -> int:
    """The script's own check of every trial. Returns the exit code."""
    for bracket in sweep.brackets:
        for trial in bracket:
            command = [*sweep.command(trial, bracket.rungs[-1][1]), "--check"]
            code, word, signum = trials.train(command, Path("/dev/null"), lambda line: None)
            print(f"{sweep.run_dir(trial).name}  {sweep_run.typed(sweep, trial)}  {word}", flush=True)
            if code:
                return 128 + signum if signum else code
    return 0


if __name__ == "__main__":
    raise SystemExit(main(options()))
