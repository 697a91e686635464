"""The options that name a data set, for each kind of data, and the data set that they name."""

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import fields
from fields import option
from rules import Choice, fold, fraction, one_of, weight, whole

IMAGES = ("fashion-mnist-10k", "fashion-mnist", "mnist", "cifar10", "cifar100", "cifar100-coarse", "npz",
          "image-folder")
TEXTS = ("imdb", "text-csv", "text-folder")
TABLES = ("linear", "polynomial", "csv")
HUBS = ("tfds:", "hf:")


def _dataset(names: tuple[str, ...], hubs: tuple[str, ...] = ()) -> Any:
    """The field ``dataset``; the first of ``names`` is the default."""
    also = ", or of the hubs of TensorFlow (tfds:NAME) or Hugging Face (hf:NAME)" if hubs else ""
    return option(names[0], f"one of {', '.join(names)}{also}", one_of(names, prefixes=hubs), metavar="NAME")


def _fold() -> Any:
    """The field ``fold``; a text run has none: its vocabulary would know the fold."""
    return option(None, "evaluate on the I-th of K parts of the training part, even over the classes, and train on the "
                  "others", fold, metavar="I/K", exclusive="held out", speed=False)


@dataclasses.dataclass(frozen=True)
class Data:
    """Of any kind."""

    TITLE: ClassVar[str] = "data"
    KIND: ClassVar[str] = "images"
    dataset: str = ""
    data_dir: Path | None = option(None, "where the data set's files are: a folder, or a file for npz, csv and "
                                   "text-csv (default: the usual places)", Path, identity=False)
    validation: float = option(0.0, "fraction of the training part to evaluate on instead of the test part, even over "
                               "the classes (default: the test part)", fraction, exclusive="held out", speed=False)


@dataclasses.dataclass(frozen=True)
class Images(Data):
    """Pictures."""

    dataset: str = _dataset(IMAGES, HUBS)
    fold: str | None = _fold()
    image_size: int | None = option(None, "side that image-folder brings its pictures to, pixels (default: 64)", whole,
                                    keyword="size")
    channels: int | None = option(None, "that image-folder brings its pictures to (default: 3)", Choice(1, 3),
                                  keyword="channels")
    fit: str | None = option(None, "how image-folder makes pictures square (default: crop)", Choice("crop", "pad"),
                             keyword="fit")
    strict: bool | None = option(None, "stop at the first bad picture file instead of skipping up to 1 % of them", bool,
                                 keyword="strict")
    cache: Path | None = option(None, "a file where image-folder keeps its decoded pictures", Path, keyword="cache",
                                identity=False)


@dataclasses.dataclass(frozen=True)
class Texts(Data):
    """Texts."""

    KIND: ClassVar[str] = "text"
    dataset: str = _dataset(TEXTS, HUBS)
    words: int | None = option(None, "size of the vocabulary, built from the training part (default: 20000)", whole,
                               keyword="size")
    length: int | None = option(None, "words kept of each text (default: 256)", whole, keyword="length")
    text_column: str | None = option(None, "of text-csv (default: text)", keyword="text", metavar="NAME")
    label_column: str | None = option(None, "of text-csv (default: label)", keyword="label", metavar="NAME")
    where: str | None = option(None, "only the rows of text-csv with this value in this column", keyword="where",
                               metavar="COLUMN=VALUE")


@dataclasses.dataclass(frozen=True)
class Table(Data):
    """Features and a target."""

    dataset: str = _dataset(TABLES)
    fold: str | None = _fold()
    target_column: str | None = option(None, "of csv: what is predicted from the other columns", flag="--target",
                                       keyword="target", metavar="COLUMN")
    without: tuple[str, ...] = option((), "of csv: left out; may be repeated", nargs="append", keyword="without",
                                      metavar="COLUMN")
    categorical: tuple[str, ...] = option((), "of csv: of numbers that stand for categories; may be repeated",
                                          nargs="append", keyword="categorical", metavar="COLUMN")
    skip_missing: bool | None = option(None, "leave out rows of csv with a missing value instead of refusing them",
                                       bool, keyword="skip_missing")
    degree: int | None = option(None, "highest power that polynomial gives as a feature (default: 20)", whole,
                                keyword="degree")
    # config.json's "examples" is what the run found, after --validation
    training_examples: int | None = option(None, "to train on (default: 1000 of linear, 100 of polynomial)", whole,
                                           flag="--examples", keyword="examples", metavar="N")
    noise: float | None = option(None, "standard deviation of the targets' noise (default: 0.01 of linear, 0.1 of "
                                 "polynomial)", weight, keyword="noise")


def load_data(chosen: Data, seed: int, **kept: Any) -> Any:
    """The data set that the options name; ``kept`` are further keywords of its loader. Raises ``Invalid``."""
    from engine.data import catalog
    from engine.errors import require

    takes, given = catalog.options_of(chosen.dataset), {}
    for leaf in fields.leaves(chosen):
        if leaf.option.keyword and leaf.given:
            require(leaf.option.keyword in takes, leaf.flag, fields.shown(leaf.value), f"left out for {chosen.dataset}")
            given[leaf.option.keyword] = list(leaf.value) if isinstance(leaf.value, tuple) else leaf.value
    given |= {name: value for name, value in kept.items() if value is not None}
    given |= {name: value for name, value in (("kind", chosen.KIND), ("seed", seed)) if name in takes}
    if chosen.validation and "validation" in takes:
        return catalog.load(chosen.dataset, chosen.data_dir, **given, validation=chosen.validation)
    dataset: Any = catalog.load(chosen.dataset, chosen.data_dir, **given)
    if number := fold_of(chosen):
        return dataset.fold(*map(int, number.split("/")), seed)
    return dataset.with_validation(chosen.validation, seed) if chosen.validation else dataset


def fold_of(chosen: Data) -> str | None:
    """The fold that is held out; None if none is."""
    return getattr(chosen, "fold", None)
