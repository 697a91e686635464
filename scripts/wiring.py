"""What all training scripts share: exit codes, and the wiring of a run."""

import argparse
import contextlib
import math
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import auto
import cli
import early
import found
import installed
import remembered


@dataclass
class Job:
    """One training: what a script hands to ``run``.

    Attributes:
      held_out: Evaluated along the way and at the end.
      draw: Gives pictures, of the trainer; None for the strategy's own.
      at_end: {part: source}, evaluated once, when the run is finished, as "part/metric".
      begin: Told the trainer, when all is checked and nothing written yet.
      tell: Gives lines for people at the end, of the trainer and the metrics.
    """

    strategy: Any
    nets: dict[str, Any]
    updates: Any
    train: Any
    held_out: Any
    draw: Any = None
    at_end: dict[str, Any] = field(default_factory=dict)
    begin: Callable[[Any], None] = lambda trainer: None
    tell: Callable[[Any, dict[str, float]], Sequence[str]] = lambda trainer, metrics: ()


def make_net(options: argparse.Namespace, **wanted: Any) -> Any:
    """The net of ``--net`` and ``--net-option``; of ``wanted``, what its class takes and what is not None."""
    import nets
    from engine import Invalid

    try:
        takes = nets.options_of(options.net)
        fitting = {name: value for name, value in wanted.items() if name in takes and value is not None}
        return nets.create(options.net, **{**fitting, **dict(options.net_option or [])})
    except (TypeError, ValueError) as error:
        raise Invalid(str(error)) from None


def cycles(options: argparse.Namespace, source: Any, batches_per_cycle: int = 1) -> int:
    """The length of the run that ``--epochs`` or ``--cycles`` asks for, before there is a trainer."""
    epochs = options.epochs or options.default_epochs
    return options.cycles or math.ceil(epochs * source.batches_per_epoch / batches_per_cycle - 1e-6)


def recorded(run_dir: Path, name: str) -> Any:
    """A value of the configuration of the run that is to be continued; None if there is none."""
    from engine.run.durable import read_json

    try:
        return read_json(run_dir / "config.json").get(name)
    except (OSError, ValueError):
        return None


def run(options: argparse.Namespace, make: Callable[[argparse.Namespace, Any], Job]) -> int:
    """Load the data, ``make`` the job, train it with all events. Returns the exit code (design, section 5)."""
    early.install()
    try:
        return _run(options, make)
    except KeyboardInterrupt:  # before the first update, or a second Ctrl-C
        print("interrupted: nothing was saved since the last checkpoint", file=sys.stderr)
        return 130


def _run(options: argparse.Namespace, make: Callable[[argparse.Namespace, Any], Job]) -> int:
    auto.settle(options)
    if sys.stderr.isatty():
        print(f"loading TensorFlow and {options.dataset}", file=sys.stderr)
    with quiet():
        import tensorflow as tf

        tf.config.list_physical_devices()
    from engine import BadUpdate, Interrupted, Invalid, Trainer, prepare, warm_start
    from engine.run.failure import FAILURES, is_of_memory, one_line, rule_of

    def say(text: str) -> None:
        if not (options.check and text.startswith("warning: ")):  # its report has them all
            print(text, file=sys.stderr)

    try:
        prepare(options.seed, options.precision, not options.not_deterministic)
        with _smoke(options):
            dataset = cli.load_data(options)
            job = make(options, dataset)
            _freeze(options, job, say)
            facts = {**config(options), **remembered.meaning(dataset, job)}
            trainer = Trainer(job.strategy, job.nets, job.updates, job.train, seed=options.seed, held_out=job.held_out,
                              record=_recording(options, job), config=facts,
                              run_dir=None if options.measure else options.run_dir,
                              plan=options.plan, precision=options.precision,
                              on_bad_update=options.on_bad_update, say=say, keep=options.keep, **_watches(options))
            if options.check:
                return _check(options, trainer)
            if options.measure:
                print(trainer.measure(**_length(options)))
                return 0
            say(found.block(dataset, job, trainer, options.run_dir))
            if getattr(options, "init", None) and not trainer.continued:
                say(f"init      {options.init}: {warm_start(trainer, options.init)}")
            return _train(options, job, trainer)
    except Invalid as error:
        print(f"error: {cli.as_typed(error, options)}", file=sys.stderr)
        return 2
    except tf.errors.UnimplementedError as error:  # as XLA's gradient of max pooling that gives the same bits on a GPU
        print(f"error: `plan` ({options.plan}) must be one that can compute this, such as graph: "
              f"{one_line(error)}", file=sys.stderr)
        return 2
    except FAILURES as error:  # before the first update: later ones are told by the trainer
        place = f"--batch-size` ({options.batch_size}" if is_of_memory(error) else f"--dataset` ({options.dataset}"
        print(f"error: `{place}) must be {rule_of(error, 'take a smaller one, or a smaller net')}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}{_intact(options.run_dir)}", file=sys.stderr)
        return 2
    except BadUpdate as error:
        print(f"error: {error}", file=sys.stderr)
        print(trainer.autopsy() if options.autopsy else "the same command with --autopsy names the operation, the "
              "layer and the examples that went wrong first", file=sys.stderr)
        return 3
    except Interrupted as stop:
        with contextlib.suppress(OSError):  # the terminal may be closed
            print(stop, file=sys.stderr)
        return 128 + stop.signum


def _freeze(options: argparse.Namespace, job: Job, say: Callable[[str], None]) -> None:
    from engine import freeze

    if patterns := getattr(options, "freeze", None):
        say(f"frozen    {', '.join(freeze(job.nets, patterns))}")


def _train(options: argparse.Namespace, job: Job, trainer: Any) -> int:
    job.begin(trainer)  # before the run's own folder: kfold and compare_nets make the one around it
    metrics = trainer.train(**_length(options)).metrics
    for line in job.tell(trainer, metrics):
        print(line)
    print("  ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
    print("smoke passed: nothing was kept" if options.smoke else options.run_dir / "report.html")
    return 0


def _recording(options: argparse.Namespace, job: Job) -> Any:
    """What is recorded, and when."""
    from engine import Every, Recording

    log = Every(cycles=options.log_every) if options.log_every else None
    return Recording(log, Every(epochs=options.evaluate_every), Every(seconds=options.checkpoint_every), job.draw,
                     job.at_end, options.histograms, options.profile)


def _watches(options: argparse.Namespace) -> dict[str, Any]:
    """The Trainer's ``spike``, ``goal`` and ``deterministic``."""
    from engine import Every, Goal, Spike
    from engine.errors import require

    require(options.goal or not options.patience, "--patience", options.patience, "left out without --goal")
    spike = Spike(deviations=options.spike_deviations) if options.spike_deviations else None
    patience = Every(epochs=options.patience) if options.patience else None
    goal = Goal(options.goal, options.better, patience) if options.goal else None
    return {"spike": spike, "goal": goal, "deterministic": not options.not_deterministic}


def _length(options: argparse.Namespace) -> dict[str, Any]:
    return {"cycles": options.cycles} if options.cycles else {"epochs": options.epochs or options.default_epochs}


def _check(options: argparse.Namespace, trainer: Any) -> int:
    """Print the preflight's report, and write a picture of one batch where ``--check`` names a file."""
    from engine.errors import require

    wanted = None if options.check is True else options.check
    if wanted:
        require(wanted.suffix == ".png", "--check", wanted, "a file name that ends in .png")
    report = trainer.check(**_length(options))
    print(report)
    if wanted:
        from engine.reporting.pictures import grid, save

        require(report.pictures, "--check", wanted, "without a file: the batches hold no pictures")
        save(grid(*report.pictures[:1], captions=report.pictures[1]), wanted)
    require(not report.faults, "--check", f"faults: {len(report.faults)}",
            "passed: training cannot begin, see its report")
    print(f"check passed: {f'the first batch is in {wanted}' if wanted else 'nothing was written'}")
    return 0


def config(options: argparse.Namespace) -> dict[str, Any]:
    """What makes two runs the same run: the script and its options, those left out aside."""
    chosen = {name: value for name, value in sorted(vars(options).items())
              if value is not None and name not in cli.FREE | {"default_epochs"}}
    return {"script": Path(sys.argv[0]).stem, **chosen}


def _intact(run_dir: Path) -> str:
    """What the disk's refusal has left."""
    from engine.run import checkpoint

    saved = checkpoint.listed(run_dir / "checkpoints")
    return f"; the checkpoint {saved[-1]} is as it was: the same command continues" if saved else ""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what TensorFlow's libraries print on standard error while they load; shown if they fail."""
    installed.require()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = early.STDERR = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            early.STDERR = 2
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
