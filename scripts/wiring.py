"""What all training scripts share: exit codes, and the wiring of a run."""

import contextlib
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import arguments
import auto
import cli
import data_options
import early
import found
import groups
import installed
import remembered

Chosen = TypeVar("Chosen", bound=groups.TrainOptions)


@dataclass
class Job:
    """One training: what a script hands to ``run``.

    Attributes:
      held_out: Source that is evaluated along the way and at the end.
      draw: Function that gives pictures, of the trainer; None for the strategy's own.
      at_end: {part: source}, evaluated once, when the run is finished, as "part/metric".
      begin: Function that is told the trainer, when all is checked and nothing written yet.
      tell: Function that gives lines for people at the end, of the trainer and the metrics.
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


def make_net(options: groups.TrainOptions, **wanted: Any) -> Any:
    """The net of ``--net`` and ``--net-option``; of ``wanted``, what its class takes and what is not None."""
    import nets
    from engine import Invalid

    chosen = options.net or groups.Net()
    try:
        takes = nets.options_of(chosen.net)
        fitting = {name: value for name, value in wanted.items() if name in takes and value is not None}
        return nets.create(chosen.net, **{**fitting, **dict(chosen.net_option)})
    except (TypeError, ValueError) as error:
        raise Invalid(str(error)) from None


def cycles(options: groups.TrainOptions, dataset: Any) -> int:
    """The length of the run that ``--epochs`` or ``--cycles`` asks for, of one batch a cycle, without a trainer."""
    batches = dataset.size("train") // options.run.batch_size
    return options.run.cycles or math.ceil(options.run.epochs * batches - 1e-6)


def recorded(run_dir: Path, name: str) -> Any:
    """A value of the configuration of the run that is to be continued; None if there is none."""
    from engine.run.durable import read_json

    try:
        return read_json(run_dir / "config.json").get(name)
    except (OSError, ValueError):
        return None


def run(options: Chosen, make: Callable[[Chosen, Any], Job]) -> int:
    """Load the data, ``make`` the job, train it with all events. Returns the exit code (design, section 5)."""
    early.install()
    try:
        return _run(auto.settle(options), make)
    except KeyboardInterrupt:  # before the first update, or a second Ctrl-C
        print("interrupted: nothing was saved since the last checkpoint", file=sys.stderr)
        return 130


def _run(options: Chosen, make: Callable[[Chosen, Any], Job]) -> int:
    if sys.stderr.isatty():
        print(f"loading TensorFlow and {options.data.dataset}", file=sys.stderr)
    with quiet():
        import tensorflow as tf

        tf.config.list_physical_devices()
    from engine import BadUpdate, Interrupted, Invalid, Trainer, WorkerLost, prepare
    from engine.run.exit_codes import code_of
    from engine.run.failure import FAILURES, is_of_memory, one_line, rule_of
    from engine.workers.cluster import cluster
    from engine.workers.links import OutOfStep

    def say(text: str) -> None:
        if speaks and not (options.often.check and text.startswith("warning: ")):  # its report has them all
            print(text, file=sys.stderr)

    speaks = True
    try:
        members = cluster()
        speaks = members is None or members.rank == 0
        if not speaks:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the chief prints
        prepare(options.run.seed, options.run.precision, not options.run.not_deterministic)
        with arguments.of_smoke(options) as chosen:
            dataset = data_options.load_data(chosen.data, chosen.run.seed)
            chosen = chosen.resolved(dataset)
            job = make(chosen, dataset)
            _freeze(chosen, job, say)
            facts = {**arguments.config(chosen), **remembered.meaning(dataset, job)}
            trainer = Trainer(job.strategy, job.nets, job.updates, job.train, held_out=job.held_out, config=facts,
                              record=arguments.recording(chosen, job), say=say, **arguments.of_trainer(chosen))
            return _act(chosen, dataset, job, trainer, say)
    except Invalid as error:
        print(f"error: {cli.as_typed(error, options)}", file=sys.stderr)
        return 2
    except tf.errors.UnimplementedError as error:  # as XLA's gradient of max pooling that gives the same bits on a GPU
        print(f"error: `plan` ({options.run.plan}) must be one that can compute this, such as graph: "
              f"{one_line(error)}", file=sys.stderr)
        return 2
    except FAILURES as error:  # before the first update: later ones are told by the trainer
        place = (f"--batch-size` ({options.run.batch_size}" if is_of_memory(error) else
                 f"--dataset` ({options.data.dataset}")
        print(f"error: `{place}) must be {rule_of(error, 'take a smaller one, or a smaller net')}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error}{_intact(options.run.run_dir)}", file=sys.stderr)
        return 2
    except BadUpdate as error:
        print(f"error: {error}", file=sys.stderr)
        print(trainer.autopsy() if options.watch.autopsy else "the same command with --autopsy names the operation, "
              "the layer and the examples that went wrong first", file=sys.stderr)
        return 3
    except WorkerLost as error:
        again = "; the same command on all workers continues from the last checkpoint"
        print(f"error: {error}{again * (not isinstance(error, OutOfStep))}", file=sys.stderr)
        return code_of(error)
    except Interrupted as stop:
        with contextlib.suppress(OSError):  # the terminal may be closed
            print(stop, file=sys.stderr)
        return 128 + stop.signum


def _act(options: groups.TrainOptions, dataset: Any, job: Job, trainer: Any, say: Callable[[str], None]) -> int:
    """What is asked for: a check, the speed, or a training."""
    from engine import warm_start
    from engine.reporting.progress import coloured

    if options.often.check:
        return _check(options, trainer)
    if options.run.measure:
        print(trainer.measure(**arguments.length(options)))
        return 0
    say(found.block(dataset, job, trainer, options.run.run_dir, options.run.plan, coloured(sys.stderr)))
    if options.net and options.net.init and not trainer.continued:
        say(f"init      {options.net.init}: {warm_start(trainer, options.net.init)}")
    return _train(options, job, trainer)


def _freeze(options: groups.TrainOptions, job: Job, say: Callable[[str], None]) -> None:
    from engine import freeze

    if options.net and options.net.freeze:
        say(f"frozen    {', '.join(freeze(job.nets, options.net.freeze))}")


def _train(options: groups.TrainOptions, job: Job, trainer: Any) -> int:
    if trainer.workers.is_chief:
        job.begin(trainer)  # before the run's own folder: kfold and compare_nets make the one around it
    metrics = trainer.train(**arguments.length(options)).metrics
    for line in job.tell(trainer, metrics):
        print(line)
    print("  ".join(f"{name} {value:.4f}" for name, value in metrics.items()))
    print("smoke passed: nothing was kept" if options.often.smoke else options.run.run_dir / "report.html")
    return 0


def _check(options: groups.TrainOptions, trainer: Any) -> int:
    """Print the preflight's report, and write a picture of one batch where ``--check`` names a file."""
    from engine.errors import require

    wanted = None if options.often.check is True else options.often.check
    if wanted:
        require(wanted.suffix == ".png", "--check", wanted, "a file name that ends in .png")
    report = trainer.check(**arguments.length(options))
    print(report)
    if wanted:
        from engine.reporting.pictures import grid, save

        require(report.pictures, "--check", wanted, "without a file: the batches hold no pictures")
        save(grid(report.pictures[0], captions=report.pictures[1]), wanted)
    require(not report.faults, "--check", f"faults: {len(report.faults)}",
            "passed: training cannot begin, see its report")
    print(f"check passed: {f'the first batch is in {wanted}' if wanted else 'nothing was written'}")
    return 0


def _intact(run_dir: Path) -> str:
    """What the disk's refusal has left."""
    from engine.run import checkpoint

    saved = checkpoint.listed(run_dir / "checkpoints")
    return f"; the checkpoint {saved[-1]} is as it was: the same command continues" if saved else ""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hold back what TensorFlow's libraries print on standard error while they load; shown if they fail."""
    installed.require()
    from engine.quiet import quiet as held_back

    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of retracing where several nets are trained
    with held_back():
        yield
