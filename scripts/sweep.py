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

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import cli
import early
import fields
import reopen
import sweep_run
import trials
from sweep_checks import sweep_of
from sweep_options import Options
from sweep_plan import Sweep


class Parser(cli.Parser):
    """Says of an option that it does not know that it may be one of the train script."""

    def error(self, message: str) -> NoReturn:
        if message.startswith("unrecognized arguments: --"):
            cli.refuse(f"`{message.split()[2]}` must be an option of sweep.py, or stand after -- as one of the train "
                       "script (see --help)")
        super().error(message)


def parse(words: Sequence[str] | None = None) -> Sweep:
    """The sweep that a command line says; what follows -- are options of the train script."""
    words = list(sys.argv[1:] if words is None else words)
    at = words.index("--") if "--" in words else len(words)
    parser = Parser(usage="sweep.py SCRIPT --vary NAME=VALUES --goal METRIC --max-epochs N [OPTIONS] [-- OPTIONS of "
                          "SCRIPT]")
    chosen = cli.Command(Options(), __doc__, parser=parser).parse(words[:at])
    if not chosen.run.run_dir:
        folder = Path(f"runs/sweep-{chosen.script.removeprefix('train-')}")
        chosen = fields.replaced(chosen, {"run_dir": folder})
    return sweep_of(chosen, words[at + 1:])


def main() -> int:
    early.install()
    sweep = parse()
    return _check(sweep) if sweep.chosen.run.check else reopen.answer(lambda: sweep_run.run(sweep))


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
    raise SystemExit(main())
