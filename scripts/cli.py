"""The options of the training scripts, and the data sets that they name."""

import argparse
import codecs
import difflib
import io
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

# Kind of data -> its data sets (the first is the default).
DATASETS = {
    "images": ("fashion-mnist-10k", "fashion-mnist", "mnist", "cifar10", "cifar100", "cifar100-coarse", "npz",
               "image-folder"),
    "text": ("imdb", "text-csv", "text-folder"),
    "regression": ("linear", "polynomial", "csv"),
}
# Option -> keyword of the data sets' loaders. One that is not given is left to the loader.
KEYWORDS = {"image_size": "size", "channels": "channels", "fit": "fit", "strict": "strict", "cache": "cache",
            "words": "size", "length": "length", "text_column": "text", "label_column": "label", "where": "where",
            "vocabulary": "vocabulary", "target_column": "target", "without": "without", "categorical": "categorical",
            "skip_missing": "skip_missing", "columns": "columns", "whole": "whole", "degree": "degree",
            "training_examples": "examples", "noise": "noise"}
# Options that say how long, how often or where, and not what is trained: a run may be continued with others.
FREE = {"run_dir", "data_dir", "cache", "epochs", "cycles", "log_every", "checkpoint_every", "evaluate_every", "check",
        "smoke", "keep", "goal", "better", "patience", "measure", "autopsy", "profile", "histograms"}


def _as_stored(error: UnicodeError) -> tuple[bytes | str, int]:
    """For text that a stream cannot print: a byte of a file's name that is no UTF-8 as it is, else an escape."""
    assert isinstance(error, UnicodeEncodeError)
    code = ord(error.object[error.start])
    if 0xDC80 <= code <= 0xDCFF:
        return bytes([code - 0xDC00]), error.start + 1
    one = UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    return codecs.backslashreplace_errors(one)


def printable(text: str) -> str:
    """``text`` with escapes for control characters, which files may hold and a terminal would obey."""
    return "".join(each if each.isprintable() or each in "\n\t" or "\udc80" <= each <= "\udcff"
                   else each.encode("unicode_escape").decode() for each in text)


AS_STORED = "as stored"
codecs.register_error(AS_STORED, _as_stored)


class Parser(argparse.ArgumentParser):
    """An ``ArgumentParser`` whose errors are one line in the house's words."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # of all ways to parse
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors=AS_STORED)  # or a name that the terminal lacks ends the script
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument (\S+): \(", r"`\1` (", message)
        message = re.sub(r"^argument (\S+): invalid choice: '?(.*?)'? \(choose from (.*)\)$",
                         r"`\1` (\2) must be one of \3", message)
        unknown = re.match(r"^unrecognized arguments: (--[\w-]+)", message)
        if unknown:
            meant = OFTEN_MEANT.get(unknown[1], "") or nearest(unknown[1], self._option_string_actions, cutoff=0.6)
            known = meant if meant in self._option_string_actions else ""
            message = f"`{unknown[1]}` must be an option of this script" + (f"; nearest: {known}" if known else "")
        print(f"error: {message} (see --help)", file=sys.stderr)
        raise SystemExit(2)


# What other projects call options of ours.
OFTEN_MEANT = {"--lr": "--learning-rate", "--bs": "--batch-size", "--batch": "--batch-size", "--model": "--net",
               "--arch": "--net", "--steps": "--cycles", "--iterations": "--cycles", "--max-steps": "--cycles",
               "--max-epochs": "--epochs", "--num-epochs": "--epochs", "--out": "--run-dir", "--output": "--run-dir",
               "--output-dir": "--run-dir", "--logdir": "--run-dir", "--save-dir": "--run-dir",
               "--data": "--data-dir", "--root": "--data-dir", "--dtype": "--precision", "--amp": "--precision"}


def nearest(word: str, words: Iterable[str], cutoff: float = 0.0) -> str:
    """The most similar of ``words``; none if no two letters in ``cutoff`` of all agree."""
    return next(iter(difflib.get_close_matches(word, list(words), n=1, cutoff=cutoff)), "")


def one_of(names: Sequence[str], or_class: bool = False, prefixes: tuple[str, ...] = ()) -> Callable[[str], str]:
    """A type for ``add_argument``: one of ``names``; with ``or_class`` also module:Class; or begins so."""
    def known(text: str) -> str:
        if text in names or (or_class and ":" in text) or (text.startswith(prefixes) and text not in prefixes):
            return text
        also = ", or module:Class" if or_class else ""
        raise argparse.ArgumentTypeError(
            f"({text}) must be one of {', '.join(names)}{also}; nearest: {nearest(text, names)}")
    return known


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


def as_typed(error: Exception, options: argparse.Namespace) -> str:
    """A message that begins with the name of an option's value, with the option as a person types it."""
    def option(found: re.Match[str]) -> str:
        return f"`--{found[1].replace('_', '-')}`" if hasattr(options, found[1]) else found[0]

    return re.sub(r"^`(\w+)`", option, printable(str(error)))


COMPILED = ("graph", "halves", "xla")  # plans of the engine, which would import TensorFlow here

whole = number(int, "an integer of at least 1", lambda value: value >= 1)
natural = number(int, "an integer of at least 0", lambda value: value >= 0)
positive = number(float, "a number above 0", lambda value: 0 < value < float("inf"))
share = number(float, "a number of at least 0 and below 1", lambda value: 0 <= value < 1)
weight = number(float, "a number of at least 0", lambda value: 0 <= value < float("inf"))


def plan(text: str) -> str:
    """A type for ``add_argument``: a way of compiling."""
    each = rf"\S+=({'|'.join(COMPILED)})"
    if text not in ("auto", "eager", *COMPILED) and not re.fullmatch(rf"{each}( {each})*", text):
        raise argparse.ArgumentTypeError(f'({text}) must be one of auto, {", ".join(COMPILED)}, eager, or as '
                                         '"critic=graph generator=xla"')
    return text


def threads(text: str) -> Any:
    """A type for ``add_argument``: a number of threads, or who is to choose it."""
    return text if text in ("auto", "default") else number(
        int, "an integer of at least 1, auto or default", lambda value: value >= 1)(text)


def fold(text: str) -> str:
    """A type for ``add_argument``: I/K, fold I of K."""
    number, _, count = text.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count) and int(count) >= 2):
        raise argparse.ArgumentTypeError(f"({text}) must be I/K: fold I of K, K at least 2")
    return text


def parser(description: str, *, run_dir: str, epochs: float, batch_size: int, learning_rate: float,
           data: str = "images", checkpoint_every: float = 60.0) -> Parser:
    """The options that all training scripts share, with one script's defaults. ``data``: a key of ``DATASETS``."""
    made = Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    add_data(made, data)
    made.add_argument("--batch-size", type=whole, default=batch_size, help="examples per batch (default: %(default)s)")
    _add_run(made.add_argument_group("run"), run_dir, epochs, learning_rate)
    often = made.add_argument_group("how often")
    often.add_argument("--log-every", type=whole, default=None, help="cycles per row of metrics.csv (default: 100, or "
                       "an epoch where that is shorter)")
    often.add_argument("--evaluate-every", type=positive, default=1.0, help="epochs between evaluations with pictures "
                       "(default: %(default)s)")
    often.add_argument("--checkpoint-every", type=positive, default=checkpoint_every, help="seconds between "
                       "checkpoints (default: %(default)s)")
    often.add_argument("--profile", type=whole, default=0, metavar="CYCLES", help="cycles that TensorFlow's profiler "
                       "traces, after the first 10: a table of where their time went, and files for Perfetto and "
                       "TensorBoard in the folder profile/ of the run")
    often.add_argument("--histograms", action="store_true", help="weights and gradients as histograms into "
                       "TensorBoard, at each evaluation")
    often.add_argument("--check", nargs="?", const=True, default=False, type=Path, metavar="PICTURE", help="try "
                       "every update without applying it, and report on nets, losses, data, memory, time and problems; "
                       "nothing is written but PICTURE, a PNG file of the first batch, if it is named")
    often.add_argument("--smoke", action="store_true", help="two cycles of batches of 8 through every event, in a "
                       "temporary folder")
    _add_watch(made.add_argument_group("watch"))
    made.set_defaults(default_epochs=epochs)
    return made


def _add_run(run: Any, run_dir: str, epochs: float, learning_rate: float) -> None:
    length = run.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=positive, default=None, help="passes over the training data, counted from "
                        f"the start of the run (default: {epochs:g})")
    length.add_argument("--cycles", type=whole, default=None, help="length in cycles instead of epochs; a cycle is "
                        "every phase once")
    run.add_argument("--seed", type=natural, default=0, help="of weights, data order and all draws (default: "
                     "%(default)s)")
    run.add_argument("--run-dir", type=Path, default=Path(run_dir), help="folder of the run; one that holds the same "
                     "run is continued (default: %(default)s)")
    run.add_argument("--plan", type=plan, default="auto", help="how the cycle is compiled: graph, halves (the "
                     "graph of two halves of each batch, side by side), xla, one of them for each phase as "
                     '"critic=graph generator=xla", auto for the fastest in a trial before the first update, or eager '
                     "for print and breakpoints in a loss (default: %(default)s)")
    run.add_argument("--precision", choices=("float32", "bfloat16", "float16", "auto"), default="float32",
                     help="compute dtype; variables and losses stay float32; auto: bfloat16 where the CPU computes in "
                     "it and it is measured to be faster (default: %(default)s)")
    run.add_argument("--threads", type=threads, default="default", help="inside one operation: a number, default for "
                     "TensorFlow's own choice, or auto for the faster of that and 1, which is measured once per "
                     "machine, net and batch size (default: %(default)s)")
    run.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)  # for auto.py: print the speed alone
    run.add_argument("--learning-rate", type=positive, default=learning_rate, help="of the optimizer, per update "
                     "(default: %(default)s)")
    run.add_argument("--not-deterministic", action="store_true", help="let TensorFlow add in whatever order is "
                     "ready first: the same run then gives other bits each time")


def _add_watch(watch: Any) -> None:
    watch.add_argument("--on-bad-update", choices=("stop", "skip", "rollback"), default="stop", help="when a term or "
                       "gradient is not finite: stop with exit code 3; skip the update, and stop after 10 in a row; go "
                       "back to the last checkpoint and on behind the batches read so far, with other draws, at most 3 "
                       "times (default: %(default)s)")
    watch.add_argument("--autopsy", action="store_true", help="when a bad update ends the training: compute it again, "
                       "and name the operation, layer and examples that went wrong first; a run that was stopped is "
                       "continued to the same update")
    watch.add_argument("--spike-deviations", type=weight, default=0.0, help="an update is bad too when its objective "
                       "is so many deviations above the median of the last 100, 0 for never; 20 is a start (default: "
                       "%(default)s)")
    watch.add_argument("--goal", metavar="METRIC", help="a column of metrics.csv, as eval/accuracy: the checkpoint "
                       "where it was best is kept")
    watch.add_argument("--better", choices=("lower", "higher"), help="values of --goal (default: what the metric says "
                       "of itself)")
    watch.add_argument("--patience", type=positive, help="epochs after which training ends if --goal got no better")
    watch.add_argument("--keep", type=number(int, "an integer of at least 2", lambda value: value >= 2), default=3,
                       help="newest checkpoints to keep (default: %(default)s)")


def add_data(made: argparse.ArgumentParser, kind: str) -> None:
    """The options of one kind of data."""
    data, names = made.add_argument_group("data"), DATASETS[kind]
    hubs = ("tfds:", "hf:") if kind in ("images", "text") else ()
    also = ", or of the hubs of TensorFlow (tfds:NAME) or Hugging Face (hf:NAME)" if hubs else ""
    data.add_argument("--dataset", type=one_of(names, prefixes=hubs), default=names[0],
                      help=f"one of {', '.join(names)}{also} (default: %(default)s)")
    data.add_argument("--data-dir", type=Path, default=None, help="where the data set's files are: a folder, or a file "
                      "for npz, csv and text-csv (default: the usual places)")
    if kind == "images":
        data.add_argument("--image-size", type=whole, help="side that image-folder brings its pictures to, pixels "
                          "(default: 64)")
        data.add_argument("--channels", type=int, choices=(1, 3), help="that image-folder brings its pictures to "
                          "(default: 3)")
        data.add_argument("--fit", choices=("crop", "pad"), help="how image-folder makes pictures square (default: "
                          "crop)")
        data.add_argument("--strict", action="store_true", default=None, help="stop at the first bad picture file "
                          "instead of skipping up to 1 %% of them")
        data.add_argument("--cache", type=Path, help="a file where image-folder keeps its decoded pictures")
    if kind == "text":
        data.add_argument("--words", type=whole, help="size of the vocabulary, built from the training part (default: "
                          "20000)")
        data.add_argument("--length", type=whole, help="words kept of each text (default: 256)")
        data.add_argument("--text-column", help="of text-csv (default: text)")
        data.add_argument("--label-column", help="of text-csv (default: label)")
        data.add_argument("--where", metavar="COLUMN=VALUE", help="only the rows of text-csv with this value in this "
                          "column")
    if kind == "regression":
        data.add_argument("--target", dest="target_column", metavar="COLUMN", help="of csv: what is predicted from the "
                          "other columns")
        data.add_argument("--without", action="append", metavar="COLUMN", help="of csv: left out; may be repeated")
        data.add_argument("--categorical", action="append", metavar="COLUMN", help="of csv: of numbers that stand for "
                          "categories; may be repeated")
        data.add_argument("--skip-missing", action="store_true", default=None, help="leave out rows of csv with a "
                          "missing value instead of refusing them")
        data.add_argument("--degree", type=whole, help="highest power that polynomial gives as a feature (default: 20)")
        # config.json's "examples" is what the run found, after --validation
        data.add_argument("--examples", type=whole, dest="training_examples", metavar="N",
                          help="to train on (default: 1000 of linear, 100 of polynomial)")
        data.add_argument("--noise", type=weight, help="deviation of the targets' noise (default: 0.01 of linear, 0.1 "
                          "of polynomial)")
    held_out = data.add_mutually_exclusive_group()
    held_out.add_argument("--validation", type=share, default=0.0, help="share of the training part to evaluate on "
                          "instead of the test part, even over the classes (default: the test part)")
    if kind != "text":  # its vocabulary would know the fold
        held_out.add_argument("--fold", type=fold, metavar="I/K", help="evaluate on the I-th of K parts of the "
                              "training part, even over the classes, and train on the others")


def add_net(made: argparse.ArgumentParser, names: Sequence[str]) -> None:
    """Which net; the first of ``names`` is the default."""
    model = made.add_argument_group("net")
    model.add_argument("--net", type=one_of(names, or_class=True), default=names[0], metavar="NAME",
                       help=f"{', '.join(names)}, or a Keras model of yours, module:Class (default: %(default)s)")
    model.add_argument("--init", metavar="RUN|FILE", help="begin with the weights of another run, or of a "
                       "file that ends in .weights.h5; what has another shape keeps its own, and is told")
    model.add_argument("--freeze", action="append", metavar="PATTERN", help="leave layers as they are, by their place "
                       "in the net, as classifier.blocks.*; may be repeated")
    model.add_argument("--net-option", action="append", type=net_option, default=None, metavar="NAME=VALUE",
                       help="an argument of the net's class, as width=32 or blocks=[2,2]; may be repeated")


def net_option(text: str) -> tuple[str, Any]:
    """A type for ``add_argument``: NAME=VALUE, the value in JSON, or a text."""
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"({text}) must be NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def load_data(chosen: argparse.Namespace) -> Any:
    """The data set that the options name. Raises ``Invalid``."""
    from engine.data import catalog
    from engine.errors import require

    takes, given = catalog.options_of(chosen.dataset), {}
    for name, value in vars(chosen).items():
        if name in KEYWORDS and value is not None:
            require(KEYWORDS[name] in takes, f"--{name.replace('_', '-')}", value, f"left out for {chosen.dataset}")
            given[KEYWORDS[name]] = value
    if "kind" in takes:
        given["kind"] = "text" if hasattr(chosen, "words") else "images"
    if "seed" in takes:
        given["seed"] = chosen.seed
    if chosen.validation and "validation" in takes:
        given["validation"] = chosen.validation
        return catalog.load(chosen.dataset, chosen.data_dir, **given)
    dataset = catalog.load(chosen.dataset, chosen.data_dir, **given)
    if getattr(chosen, "fold", None):
        return dataset.fold(*map(int, chosen.fold.split("/")), chosen.seed)
    return dataset.with_validation(chosen.validation, chosen.seed) if chosen.validation else dataset
