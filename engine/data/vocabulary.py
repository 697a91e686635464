"""Words to numbers and back: the vocabulary of the most frequent words."""


from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from engine.data import tokeniser, utf8
from engine.data.tokeniser import is_word, tokenise
from engine.data.whole import whole
from engine.errors import Invalid, require

PADDING, UNKNOWN, FIRST = 0, 1, 2  # ids: after the last word, of a word outside the vocabulary, of the first word


@dataclass(frozen=True)
class Vocabulary:
    """Words and their ids: 0 is padding, 1 an unknown word, and ``words[i]`` has the id ``i + 2``.

    Raises:
      Invalid: No words, a word twice, or one that the tokeniser never gives.
    """

    words: tuple[str, ...]  # the most frequent first

    def __post_init__(self) -> None:
        require(self.words, "words", "none", "at least one word")
        repeated = [word for word, count in Counter(self.words).items() if count > 1]
        require(not repeated, "words", ", ".join(repeated[:3]), "each there once")
        strange = [word for word in self.words if not is_word(word)]
        require(not strange, "words", ", ".join(map(repr, strange[:3])), "words as the tokeniser gives them")

    @classmethod
    def build(cls, texts: Iterable[str], size: int = 20_000, minimum: int = 1) -> "Vocabulary":
        """The most frequent words of ``texts``, which are to be the training part alone.

        Of words of one count, those first in the alphabet (by code points) come first.

        Args:
          texts: What to count in.
          size: Words at most, without the two special ids.
          minimum: How often a word must be there.

        Raises:
          Invalid: A size or minimum below 1, or no word that is there so often.
        """
        _check_whole("size", size)
        _check_whole("minimum", minimum)
        counts = Counter(word for text in texts for word in tokenise(text))
        counts.pop(tokeniser.UNKNOWN, None)
        require(counts, "texts", "no words", "of at least one word")
        most = max(counts.values())
        require(minimum <= most, "minimum", minimum, f"at most {most}, the count of the most frequent word")
        kept = sorted((-count, word) for word, count in counts.items() if count >= minimum)
        return cls(tuple(word for _, word in kept[:size]))

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: id for id, word in enumerate(self.words, FIRST)}

    @property
    def ids(self) -> int:
        """How many ids there are, with the two special ones: the rows of an embedding."""
        return len(self.words) + FIRST

    def encode(self, texts: Sequence[str], length: int) -> np.ndarray:
        """Ids, int32 [N, length]: the first ``length`` words of each text, then padding.

        A text without words counts as one unknown word, so that no row is of padding alone.

        Raises:
          Invalid: A length below 1.
        """
        _check_whole("length", length)
        encoded = np.full((len(texts), length), PADDING, np.int32)
        for row, text in zip(encoded, texts, strict=True):
            ids = [self._ids.get(word, UNKNOWN) for word in tokenise(text)[:length]] or [UNKNOWN]
            row[:len(ids)] = ids
        return encoded

    def decode(self, ids: np.ndarray) -> list[str]:
        """The texts of ids [N, T], blanks between words: padding left out, an unknown word as ``[?]``.

        Raises:
          Invalid: Another shape, or an id that is none of this vocabulary's.
        """
        ids = np.asarray(ids)
        require(ids.ndim == 2 and ids.dtype.kind in "iu", "ids", f"{ids.dtype} {ids.shape}", "integers [N, T]")
        least, most = int(ids.min(initial=0)), int(ids.max(initial=0))
        require(least >= 0 and most < self.ids, "ids", f"{least} to {most}", f"in 0..{self.ids - 1}")
        shown = ("", tokeniser.UNKNOWN, *self.words)
        return [" ".join(shown[id] for id in row if id != PADDING) for row in ids.tolist()]

    def coverage(self, texts: Iterable[str]) -> float:
        """The fraction, in [0, 1], of the words of ``texts`` that have an id of their own; nan without words."""
        known = [word in self._ids for text in texts for word in tokenise(text)]
        return sum(known) / len(known) if known else float("nan")

    def save(self, path: str | Path) -> None:
        """Write the words to a text file, UTF-8, one a line: whole, or not at all.

        Raises:
          Invalid: A place that cannot be written.
        """
        path = Path(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole(path) as part:
                part.write_bytes("".join(f"{word}\n" for word in self.words).encode())
        except OSError as fault:
            raise Invalid(f"`vocabulary` ({path}) must be writable: {fault.strerror or fault}") from None

    @classmethod
    def load(cls, path: str | Path) -> "Vocabulary":
        """The vocabulary that ``save`` wrote.

        Raises:
          Invalid: A file that is no text, is empty, or has a line that is empty, is there twice, or is not a
            word of the tokeniser's; the line is named.
        """
        text = utf8.read(path)
        require(text, "vocabulary", path, "of at least one word, but is empty")
        lines: dict[str, int] = {}
        for number, word in enumerate(text.removesuffix("\n").split("\n"), 1):
            fault = ("is empty" if not word else f"({word}) is line {lines[word]} again" if word in lines else
                     "" if is_word(word) else f"({word!r}) is not")
            require(not fault, "vocabulary", path, f"of one word a line, but line {number} {fault}")
            lines[word] = number
        return cls(tuple(lines))


def _check_whole(name: str, value: object) -> None:
    require(isinstance(value, int | np.integer) and value >= 1, name, value, "an integer of at least 1")
