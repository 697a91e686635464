"""Labelled texts as arrays: split, with the vocabulary of what is trained on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.data.dataset import Dataset, Split
from engine.data.folds import holdout
from engine.data.imdb import find, imdb_npz
from engine.data.text import Corpus, Part, text_csv, text_folder
from engine.data.vocabulary import Vocabulary
from engine.errors import require

HELD_OUT = 0.2  # fraction of the texts, where no test part was published and no fraction is given


@dataclass(frozen=True, kw_only=True)
class TextDataset(Dataset):
    """Labelled texts in memory, as ids; the vocabulary knows nothing of ``validation`` and ``test``.

    Each part is "tokens": int32 [N, T], padding at the end, and "label": int32 [N], from 0.
    """

    vocabulary: Vocabulary  # to be saved with the run: prediction encodes with it
    validation: Split | None = None  # held out, to choose by; the test is then used once, at the end
    unknown: float = 0.0  # fraction of the words held out that the vocabulary does not know


def text_dataset(corpus: Corpus, *, size: int = 20_000, minimum: int = 1, length: int = 256,
                 held_out: float | None = None, validation: float = 0.0, seed: int = 0,
                 vocabulary: Vocabulary | None = None, place: str = "") -> TextDataset:
    """Splits a corpus, builds the vocabulary from the part to train on, and encodes every part with it.

    Args:
      corpus: What ``text_csv``, ``text_folder`` or ``imdb_npz`` gave.
      size: Words of the vocabulary at most, without the two special ids.
      minimum: How often a word must be in the part to train on.
      length: Words kept of each text, T.
      held_out: The fraction of the texts to test with, even over the classes. Left out: the published test part, or
        0.2 where there is none.
      validation: The fraction to validate with, even over the classes, of what the test leaves; 0 for none.
      seed: Seed of both splits.
      vocabulary: Vocabulary of a run, to encode with, in place of one from the part to train on.
      place: File or folder where the texts lie.

    Raises:
      Invalid: A fraction to test with where a test part is published, fractions that are not in (0, 1) or leave a
        class out of a part, or a size, minimum or length below 1.
    """
    train, test = corpus.train, corpus.test
    require(held_out is None or test is None, "held_out", held_out, "left out for texts with a published test part")
    if test is None:
        train, test = split(train, HELD_OUT if held_out is None else held_out, seed, corpus.classes)
    train, chosen = split(train, validation, seed, corpus.classes) if validation else (train, corpus.validation)
    vocabulary = vocabulary or Vocabulary.build(train.texts, size, minimum)
    return TextDataset(corpus.name, _encoded(train, vocabulary, length), _encoded(test, vocabulary, length),
                       corpus.classes, place, vocabulary=vocabulary,
                       validation=_encoded(chosen, vocabulary, length) if chosen else None,
                       unknown=1.0 - vocabulary.coverage((chosen or test).texts))


def split(part: Part, fraction: float, seed: int, classes: Sequence[str] = ()) -> tuple[Part, Part]:
    """Two parts without a common text, the second with ``fraction`` of each class.

    Reviews are often there twice: a text that is held out too is not trained on.
    """
    kept, held = holdout(part.labels, fraction, seed, classes)
    tested = {part.texts[place] for place in held}
    kept = np.array([place for place in kept if part.texts[place] not in tested], np.int64)
    return _chosen(part, kept), _chosen(part, held)


def _chosen(part: Part, places: np.ndarray) -> Part:
    return Part([part.texts[place] for place in places], part.labels[places])


def _encoded(part: Part, vocabulary: Vocabulary, length: int) -> Split:
    return {"tokens": vocabulary.encode(part.texts, length), "label": part.labels}


def imdb(data_dir: str | Path | None = None, *, size: int = 20_000, minimum: int = 1, length: int = 256,
         validation: float = 0.0, seed: int = 0, vocabulary: Vocabulary | None = None) -> TextDataset:
    """Keras's IMDB reviews, of a folder with imdb.npz or of Keras's cache. Options and errors: ``text_dataset``."""
    path = find(data_dir)
    return text_dataset(imdb_npz(path), place=str(path), size=size, minimum=minimum, length=length,
                        validation=validation, seed=seed, vocabulary=vocabulary)


def csv_file(data_dir: str | Path | None = None, *, text: str = "text", label: str = "label",
             where: str | None = None, size: int = 20_000, minimum: int = 1, length: int = 256,
             held_out: float = HELD_OUT, validation: float = 0.0, seed: int = 0,
             vocabulary: Vocabulary | None = None) -> TextDataset:
    """The CSV file ``data_dir``. Options and errors: ``text_csv`` and ``text_dataset``."""
    require(data_dir is not None, "data_dir", data_dir, "a CSV file with texts and labels")
    return text_dataset(text_csv(str(data_dir), text, label, where), place=str(data_dir), size=size, minimum=minimum,
                        length=length, held_out=held_out, validation=validation, seed=seed,
                        vocabulary=vocabulary)


def folder(data_dir: str | Path | None = None, *, size: int = 20_000, minimum: int = 1, length: int = 256,
           held_out: float | None = None, validation: float = 0.0, seed: int = 0,
           vocabulary: Vocabulary | None = None) -> TextDataset:
    """The folder ``data_dir`` with one folder of .txt files per class. Options and errors: ``text_dataset``."""
    require(data_dir is not None, "data_dir", data_dir, "a folder with one folder of .txt files per class")
    return text_dataset(text_folder(str(data_dir)), place=str(data_dir), size=size, minimum=minimum, length=length,
                        held_out=held_out, validation=validation, seed=seed, vocabulary=vocabulary)
