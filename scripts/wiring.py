"""What all training scripts share: options, exit codes, and the wiring of a run."""

import argparse
import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

# Options that say how long, how often or where, and not what is trained: a run may be continued with others.
FREE = {"run_dir", "data_dir", "epochs", "cycles", "log_every", "checkpoint_every", "evaluate_every", "check", "smoke"}


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` whose errors are one line in the house's words."""

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument (\S+): \(", r"`\1` (", message)
        message = re.sub(r"^argument (\S+): invalid choice: '?(.*?)'? \(choose from (.*)\)$",
                         r"`\1` (\2) must be one of \3", message)
        print(f"error: {message} (see --help)", file=sys.stderr)
        raise SystemExit(2)


def number(kind: Callable[[str], Any], rule: str, holds: Callable[[Any], bool]) -> Callable[[str], Any]:
    """A type for ``add_argument``: ``kind`` under a rule."""
    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not holds(value):
            raise argparse.ArgumentTypeError(f"({text}) must be {rule}")
        return value
    return parse


whole = number(int, "an integer of at least 1", lambda value: value >= 1)
natural = number(int, "an integer of at least 0", lambda value: value >= 0)
positive = number(float, "a number above 0", lambda value: 0 < value < float("inf"))
share = number(float, "a number of at least 0 and below 1", lambda value: 0 <= value < 1)
weight = number(float, "a number of at least 0", lambda value: 0 <= value < float("inf"))


def parser(description: str, *, run_dir: str, epochs: float, batch_size: int, learning_rate: float, plan: str,
           checkpoint_every: float = 60.0) -> Parser:
    """The options that all training scripts share, with one script's defaults."""
    made = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    data = made.add_argument_group("data")
    data.add_argument("--dataset", default="fashion-mnist-10k", help="fashion-mnist-10k (shipped; 9000 + 1000 images) "
                      "or fashion-mnist (60000 + 10000; found or downloaded) (default: %(default)s)")
    data.add_argument("--data-dir", type=Path, default=None, help="folder that holds the data set's files "
                      "(default: the usual places)")
    data.add_argument("--batch-size", type=whole, default=batch_size, help="examples per batch (default: %(default)s)")
    run = made.add_argument_group("run")
    length = run.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=positive, default=None, help="passes over the training data, counted from "
                        f"the start of the run (default: {epochs:g})")
    length.add_argument("--cycles", type=whole, default=None, help="length in cycles instead of epochs; a cycle is "
                        "every phase once")
    run.add_argument("--seed", type=natural, default=0, help="of weights, data order and all draws (default: "
                     "%(default)s)")
    run.add_argument("--run-dir", type=Path, default=Path(run_dir), help="folder of the run; one that holds the same "
                     "run is continued (default: %(default)s)")
    run.add_argument("--plan", choices=("eager", "graph", "xla"), default=plan, help="how the cycle is compiled; eager "
                     "for print and breakpoints in a loss (default: %(default)s)")
    run.add_argument("--precision", choices=("float32", "bfloat16", "float16"), default="float32",
                     help="compute dtype; variables and losses stay float32 (default: %(default)s)")
    run.add_argument("--learning-rate", type=positive, default=learning_rate, help="of Adam, per update (default: "
                     "%(default)s)")
    run.add_argument("--on-bad-update", choices=("stop", "skip"), default="stop", help="what to do when a term or "
                     "gradient is not finite (default: %(default)s, with exit code 3)")
    often = made.add_argument_group("how often")
    often.add_argument("--log-every", type=whole, default=100, help="cycles per row of metrics.csv (default: "
                       "%(default)s)")
    often.add_argument("--evaluate-every", type=positive, default=1.0, help="epochs between evaluations with pictures "
                       "(default: %(default)s)")
    often.add_argument("--checkpoint-every", type=positive, default=checkpoint_every, help="seconds between "
                       "checkpoints (default: %(default)s)")
    often.add_argument("--check", action="store_true", help="run the preflight alone: say what would run, write "
                       "nothing")
    often.add_argument("--smoke", action="store_true", help="two cycles of batches of 8 through every event, in a "
                       "temporary folder")
    made.set_defaults(default_epochs=epochs)
    return made


@dataclass
class Job:
    """One training: what a script hands to ``run``. ``draw`` gives pictures; None for the strategy's own."""

    strategy: Any
    nets: dict[str, Any]
    updates: Any
    train: Any
    held_out: Any
    draw: Any = None


def run(options: argparse.Namespace, make: Callable[[argparse.Namespace, Any], Job]) -> int:
    """Load the data, ``make`` the job, train it with all events. Returns the exit code (design, section 5)."""
    try:
        return _run(options, make)
    except KeyboardInterrupt:  # before the first update, or a second Ctrl-C
        print("interrupted: nothing was saved since the last checkpoint", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace, make: Callable[[argparse.Namespace, Any], Job]) -> int:
    with quiet():
        import tensorflow as tf

        tf.config.list_physical_devices()
    from engine import BadUpdate, Every, Interrupted, Invalid, Trainer, prepare
    from engine.data.catalog import load

    try:
        prepare(options.seed, options.precision)
        with _smoke(options):
            job = make(options, load(options.dataset, options.data_dir))
            trainer = Trainer(job.strategy, job.nets, job.updates, job.train, seed=options.seed,
                              run_dir=options.run_dir, config=_config(options), plan=options.plan,
                              precision=options.precision, on_bad_update=options.on_bad_update)
            if options.check:
                print("\n".join([*trainer.describe(), "preflight passed: nothing was written"]))
                return 0
            return _train(options, job, trainer, Every)
    except (Invalid, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BadUpdate as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    except Interrupted as stop:
        print(f"{stop}: a checkpoint was saved; continue with: {' '.join(_command())}", file=sys.stderr)
        return 128 + stop.signum


def _train(options: argparse.Namespace, job: Job, trainer: Any, every: Any) -> int:
    from engine.reporting.recorder import Recorder, strategy_pictures

    length = {"cycles": options.cycles} if options.cycles else {"epochs": options.epochs or options.default_epochs}
    target = trainer.cycles_of(**length)
    recorder = Recorder(trainer, job.held_out, job.draw or strategy_pictures(job.held_out), target)
    trainer.events = recorder.events(every(cycles=options.log_every), every(epochs=options.evaluate_every),
                                     every(seconds=options.checkpoint_every))
    if trainer.continued:
        trainer.say(f"continues {options.run_dir} at cycle {trainer.counters.cycles} of {target}")
    finished = False
    try:
        trainer.train(cycles=target)
        finished = True
    finally:
        recorder.close(finished)
    figures = "  ".join(f"{name} {value:.4f}" for name, value in recorder.metrics.items())
    print(f"{figures}\n{'smoke passed: nothing was kept' if options.smoke else options.run_dir / 'report.html'}")
    return 0


def _config(options: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in sorted(vars(options).items()) if name not in FREE | {"default_epochs"}}


def _command() -> Sequence[str]:
    return ["python", *sys.argv]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what TensorFlow's libraries print on standard error while they load; shown if they fail."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextlib.contextmanager
def _smoke(options: argparse.Namespace) -> Iterator[None]:
    if not options.smoke:
        yield
        return
    options.batch_size, options.cycles, options.epochs, options.log_every = 8, 2, None, 1
    with tempfile.TemporaryDirectory() as folder:
        options.run_dir = Path(folder) / "smoke"
        yield
