"""A run rebuilt from its folder, to look at and not to train: what evaluate, predict and sample share."""

import dataclasses
import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import cli
import data_options
import fields
import groups
import remembered
import rules
import wiring
from fields import option

# In config.json beside the options.
FACTS = {"repeats", "every", "buckets", "script", "examples", "accumulate", "classes", "inputs", "updates", "weights",
         "strategy", "columns"}
HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Reopened:
    """A run of a script, and its data where they were asked for.

    Attributes:
      kept: What the run keeps of how its data were read: ``columns`` of a table, ``vocabulary`` of texts.
    """

    folder: Path
    script: str
    options: groups.TrainOptions
    kept: Mapping[str, Any]
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


@dataclasses.dataclass(frozen=True)
class Which:
    """Which run, and leave to run its net's code."""

    run_dir: Path = option(fields.REQUIRED, "folder of a run", Path, positional=True, metavar="RUN_DIR")
    checkpoint: Any = option("newest", "which one is read; best is that of the run's --goal", rules.checkpoint,
                             metavar="newest|best|CYCLE")
    net: str | None = option(None, "of a run with a net of your own, its name again: its code is run",
                             metavar="MODULE:CLASS")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the run's data are."""

    TITLE: ClassVar[str] = "data"
    data_dir: Path | None = option(None, "where the run's data set is, as given in training: a run does not record it "
                                   "(default: the usual places)", Path)
    cache: Path | None = option(None, "a file where image-folder keeps its decoded pictures", Path)


@dataclasses.dataclass(frozen=True)
class Other(Place):
    """The run's data, or others."""

    dataset: str | None = option(None, "another one, of the same shapes and classes (default: the run's)",
                                 metavar="NAME")
    image_size: int | None = option(None, "of another image-folder, pixels (default: as the run)", rules.whole)
    channels: int | None = option(None, "of another image-folder (default: as the run)", rules.Choice(1, 3))
    text_column: str | None = option(None, "of another text-csv (default: as the run)", metavar="NAME")
    label_column: str | None = option(None, "of another text-csv (default: as the run)", metavar="NAME")


def reopen(chosen: Which, part: str | None = None, data: bool = True, place: Place | None = None) -> Reopened:
    """The run that ``chosen`` names. Nothing in its folder is changed.

    Args:
      chosen: The run to open. A net of the user's own must be named again: no code is run that only a file names.
      part: "train" or "test": hold out this part of the data, and not what the run evaluates on, which under
        --validation or --fold is a fraction of the part to train on.
      data: Whether its data are needed: else zeros of their form stand for them.
      place: Place of the data, which a run does not record. With a ``dataset`` the run is rebuilt on another data
        set of the same shapes.

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
    given = {leaf.name: leaf.value for leaf in fields.leaves(place or Place()) if leaf.given}
    options, kept = _options(module, run_dir, recorded, given)
    prepare(options.run.seed, options.run.precision)
    if data:
        dataset = remembered.named_as(recorded, _held_out(options, kept, part),
                                      lambda line: print(f"warning: {line}", file=sys.stderr))
        if "dataset" in given:  # of no effect: nothing is trained
            most = min(options.run.batch_size, dataset.size("train"))
            options = fields.replaced(options, {"batch_size": most})
    else:
        dataset = remembered.stand_in(recorded, options.run.batch_size, kept.get("vocabulary"))
    job = module.job(options, dataset)
    if data:
        remembered.check_inputs(recorded, job)
        require("dataset" in given or job.train.size == recorded["examples"], "--data-dir", options.data.data_dir,
                f"the data that the run was trained on, {recorded['examples']} examples, but has {job.train.size}")
    run = open_run(run_dir, chosen.checkpoint, strategy=job.strategy, nets=job.nets,
                   transform=job.held_out.transform)
    return Reopened(run_dir, recorded["script"], options, kept, dataset, job, run)


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
    require("script" in recorded, "run_dir", run_dir,
            "a run of a train script: one that was made in Python is opened by engine.open_run")
    require("inputs" in recorded, "run_dir", run_dir, "a run that records what its labels and inputs are: this one is "
            "of an older version")
    return recorded


def _script(run_dir: Path, recorded: Mapping[str, Any]) -> Any:
    """The module of the script that made the run."""
    from engine.errors import require

    name, known = recorded.get("script"), sorted(path.stem for path in HERE.glob("train_*.py"))
    require(name in known, "run_dir", run_dir, f"a run of one of {', '.join(known)}, but is of {name}")
    return importlib.import_module(str(name))


def _options(module: Any, run_dir: Path, recorded: Mapping[str, Any], given: Mapping[str, Any]
             ) -> tuple[groups.TrainOptions, dict[str, Any]]:
    """The run's options: the script's defaults, what was recorded, and what is given now; and what it keeps."""
    from engine.data.catalog import options_of
    from engine.data.vocabulary import Vocabulary
    from engine.errors import require

    defaults: groups.TrainOptions = module.Options()
    known = {leaf.name: leaf for leaf in fields.leaves(defaults)}
    old = {name: value for name, value in recorded.items() if name not in FACTS}
    for name in old:
        require(name in known, "run_dir", run_dir,
                f"of options that {recorded['script']} has today, but has {name}")
    for name, value in given.items():
        require(name in known, f"--{name.replace('_', '-')}", value, f"left out for {recorded['dataset']}")
    kept = {"columns": recorded.get("columns")}  # rows of a table are read as in training
    if "dataset" in given:  # another one is read with its loader's defaults, and has a test part of its own
        takes = options_of(given["dataset"])
        old = {name: value for name, value in old.items()
               if not known[name].option.keyword or known[name].option.keyword in takes}
        old.update(validation=0.0, fold=None)
        kept["whole"] = True if "whole" in takes else None
    if isinstance(defaults.data, data_options.Texts):  # texts, whatever data set they are of, are read as in training
        kept["vocabulary"] = Vocabulary.load(run_dir / "vocabulary.txt")
    return fields.replaced(defaults, {"run_dir": run_dir, **old, **given}), kept


def _held_out(options: groups.TrainOptions, kept: Mapping[str, Any], part: str | None) -> Any:
    """The data set with ``part`` in the place of what is held out; what is trained on stays."""
    from engine.data.catalog import options_of

    chosen, seed = options.data, options.run.seed
    dataset = data_options.load_data(chosen, seed, **kept)
    if part is None:
        return dataset
    inside = "validation" in options_of(chosen.dataset)  # the loader keeps the test part beside it, or has no other
    plain = fields.replaced(chosen, {"fold": None} if inside else {"fold": None, "validation": 0.0})
    whole = data_options.load_data(plain, seed, **kept) if part == "test" and plain != chosen else dataset
    if hasattr(dataset, "parts"):  # of files
        return dataclasses.replace(dataset, parts={**dataset.parts, "test": whole.parts[part]})
    without = {"validation": None} if hasattr(dataset, "validation") else {}
    return dataclasses.replace(dataset, test=getattr(whole, part), **without)
