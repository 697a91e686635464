"""A run rebuilt from its folder, to look at and not to train: what evaluate, predict and sample share."""

import argparse
import dataclasses
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cli
import remembered
import wiring

# In config.json beside the options.
FACTS = {"repeats", "every", "buckets", "script", "examples", "accumulate", "classes", "inputs", "updates", "weights",
         "strategy", "columns"}
HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Reopened:
    """A run of a script, and its data where they were asked for."""

    folder: Path
    script: str
    options: argparse.Namespace
    dataset: Any
    job: wiring.Job
    run: Any


def answer(act: Callable[[], int]) -> int:
    """The exit code of ``act``: 2, with one line, for a bad option, folder or file; 130 for Ctrl-C."""
    with wiring.quiet():
        import tensorflow as tf

        tf.config.list_physical_devices()
    from engine import Invalid
    from engine.run.failure import FAILURES, rule_of

    try:
        return act()
    except FAILURES as error:
        print(f"error: `data` must be {rule_of(error, 'smaller, or fewer at a time')}", file=sys.stderr)
        return 2
    except (Invalid, OSError) as error:
        print(f"error: {cli.printable(str(error)).replace('`data_dir`', '`--data-dir`')}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def add_run(parser: argparse.ArgumentParser) -> None:
    """Which run, and leave to run its net's code."""
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="folder of a run")
    parser.add_argument("--checkpoint", type=checkpoint, default="newest", metavar="newest|best|CYCLE", help="which "
                        "one is read; best is that of the run's --goal (default: %(default)s)")
    parser.add_argument("--net", metavar="MODULE:CLASS", help="of a run with a net of your own, its name again: its "
                        "code is run")


def checkpoint(text: str) -> str | int:
    """A type for ``add_argument``."""
    if text in ("newest", "best") or text.isdecimal():
        return int(text) if text.isdecimal() else text
    raise argparse.ArgumentTypeError(f"({text}) must be newest, best, or a cycle")


def reopen(chosen: argparse.Namespace, part: str | None = None, data: bool = True, **overrides: Any) -> Reopened:
    """The run that ``add_run``'s options name. Nothing in its folder is changed.

    Args:
      chosen: Namespace with the options of ``add_run``. A net of the user's own must be named again: no code is run
        that only a file names.
      data: Whether its data are needed: else zeros of their form stand for them.
      part: "train" or "test": hold out this part of the data, and not what the run evaluates on, which under
        --validation or --fold is a fraction of the part to train on.
      overrides: Options in place of the recorded ones, None for none: above all ``data_dir`` and ``cache``, which
        a run does not record. With ``dataset`` the run is rebuilt on another data set of the same shapes.

    Raises:
      Invalid: One line, if there is no such folder, config.json, script, checkpoint or data set, or if the data
        set is not the one that the run was trained on.
    """
    from engine import open_run, prepare
    from engine.errors import require

    run_dir, net = chosen.run_dir, chosen.net
    recorded = _recorded(run_dir)
    module = _script(run_dir, recorded)
    own = str(recorded.get("net", ""))
    require(":" not in own or own == net, "--net", net or "not given",
            f"{own}, as in training: opening the run runs its code")
    given = {name: value for name, value in overrides.items() if value is not None}
    options = _options(module, run_dir, recorded, given)
    prepare(options.seed, options.precision)
    if data:
        dataset = remembered.named_as(recorded, _held_out(options, cli.load_data(options), part),
                                      lambda line: print(f"warning: {line}", file=sys.stderr))
        if "dataset" in given:
            options.batch_size = min(options.batch_size, dataset.size("train"))  # of no effect: nothing is trained
    else:
        dataset = remembered.stand_in(recorded, options)
    job = module.job(options, dataset)
    if data:
        remembered.check_inputs(recorded, job)
        require("dataset" in given or job.train.size == recorded["examples"], "--data-dir", options.data_dir,
                f"the data that the run was trained on, {recorded['examples']} examples, but has {job.train.size}")
    run = open_run(run_dir, chosen.checkpoint, strategy=job.strategy, nets=job.nets,
                   transform=job.held_out.transform)
    return Reopened(run_dir, recorded["script"], options, dataset, job, run)


def _recorded(run_dir: Path) -> dict[str, Any]:
    """What config.json says."""
    from engine.errors import require
    from engine.run.durable import read_json

    file = run_dir / "config.json"
    require(run_dir.is_dir(), "run_dir", run_dir, "the folder of a run: there is no such folder")
    require(file.is_file(), "run_dir", run_dir, "the folder of a run: it has no config.json")
    try:
        recorded = read_json(file)
    except ValueError:
        recorded = {}
    require("examples" in recorded, "run_dir", run_dir,
            "the folder of a run: its config.json is not what a run writes (of several runs, name the folder of one)")
    require("inputs" in recorded, "run_dir", run_dir, "a run that records what its labels and inputs are: this one is "
            "of an older version")
    return recorded


def _script(run_dir: Path, recorded: Mapping[str, Any]) -> Any:
    """The module of the script that made the run."""
    from engine.errors import require

    name, known = recorded.get("script"), sorted(path.stem for path in HERE.glob("train_*.py"))
    require(name in known, "run_dir", run_dir, f"a run of one of {', '.join(known)}, but is of {name}")
    return importlib.import_module(str(name))


def _options(module: Any, run_dir: Path, recorded: Mapping[str, Any], given: Mapping[str, Any]) -> argparse.Namespace:
    """The run's options: the script's defaults, what was recorded, and what is given now."""
    from engine.data.catalog import options_of
    from engine.data.vocabulary import Vocabulary
    from engine.errors import require

    options = module.options().parse_args([])
    options.run_dir = run_dir
    old = {name: value for name, value in recorded.items() if name not in FACTS}
    for name in old:
        require(hasattr(options, name), "run_dir", run_dir,
                f"of options that {recorded['script']} has today, but has {name}")
    if "dataset" in given:  # another one is read with its loader's defaults, and has a test part of its own
        takes = options_of(given["dataset"])
        old = {name: value for name, value in old.items() if name not in cli.KEYWORDS or cli.KEYWORDS[name] in takes}
        old.update(validation=0.0, fold=None)
        options.whole = True if "whole" in takes else None
    for name, value in {**old, **given}.items():
        setattr(options, name, value)
    options.columns = recorded.get("columns")  # rows of a table are read as in training
    if hasattr(options, "words"):  # texts, whatever data set they are of, are read as in training
        options.vocabulary = Vocabulary.load(run_dir / "vocabulary.txt")
    return options


def _held_out(options: argparse.Namespace, dataset: Any, part: str | None) -> Any:
    """``dataset`` with ``part`` in the place of what is held out; what is trained on stays."""
    from engine.data.catalog import options_of

    if part is None:
        return dataset
    inside = "validation" in options_of(options.dataset)  # the loader keeps the test part beside it, or has no other
    plain = {"fold": None} if inside else {"fold": None, "validation": 0.0}
    changed = any(getattr(options, name, value) != value for name, value in plain.items())
    whole = cli.load_data(argparse.Namespace(**{**vars(options), **plain})) if part == "test" and changed else dataset
    if hasattr(dataset, "parts"):  # of files
        return dataclasses.replace(dataset, parts={**dataset.parts, "test": whole.parts[part]})
    kept = {"validation": None} if hasattr(dataset, "validation") else {}
    return dataclasses.replace(dataset, test=getattr(whole, part), **kept)


def add_data(parser: argparse.ArgumentParser, other: bool = False) -> None:
    """The options that say where the run's data are; with ``other``, those that name another data set too."""
    data = parser.add_argument_group("data")
    data.add_argument("--data-dir", type=Path, help="where the run's data set is, as given in training: a run does not "
                      "record it (default: the usual places)")
    data.add_argument("--cache", type=Path, help="a file where image-folder keeps its decoded pictures")
    if other:
        data.add_argument("--dataset", help="another one, of the same shapes and classes (default: the run's)")
        data.add_argument("--image-size", type=cli.whole, help="of another image-folder, pixels (default: as the run)")
        data.add_argument("--channels", type=int, choices=(1, 3), help="of another image-folder (default: as the run)")
        data.add_argument("--text-column", help="of another text-csv (default: as the run)")
        data.add_argument("--label-column", help="of another text-csv (default: as the run)")


def data_options(chosen: argparse.Namespace) -> dict[str, Any]:
    """What was given of the options of ``add_data``, for ``reopen``."""
    names = ("data_dir", "cache", "dataset", "image_size", "channels", "text_column", "label_column")
    return {name: getattr(chosen, name, None) for name in names}
