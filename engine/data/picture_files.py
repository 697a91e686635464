"""Many picture files as one store of pictures: all are read once at the start, so that the good ones are known."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from engine.data.image_file import Form, decode
from engine.errors import Invalid, require

MOST_BAD = 0.01  # fraction of files that may be skipped
LISTED = 20  # bad files that a message names
AT_ONCE = 256  # files in flight
CHUNK = 8  # files that a thread is given at once


class PictureFiles:
    """Pictures by number, decoded on every core. (Pillow decodes without Python's global lock.)

    Args:
      files: Paths; a picture's number is its file's position.
      form: What each picture is brought to.
    """

    def __init__(self, files: Sequence[Path], form: Form) -> None:
        self.files, self.form = list(files), form
        self._pool = ThreadPoolExecutor(os.cpu_count(), "pictures")

    def __len__(self) -> int:
        return len(self.files)

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """The pictures ``numbers``, uint8 [n, h, w, c].

        Raises:
          Invalid: A file that has become unreadable.
        """
        found = np.empty((len(numbers), *self.form.shape), np.uint8)

        def fill(start: int) -> None:
            for place, number in enumerate(numbers[start:start + CHUNK], start):
                found[place] = decode(self.files[number], self.form)

        list(self._pool.map(fill, range(0, len(numbers), CHUNK)))
        return found

    def each(self, numbers: Sequence[int]) -> Iterator[np.ndarray | Invalid]:
        """The pictures ``numbers`` one after the other; the fault in the place of a bad one. Shows its progress."""
        with tqdm(total=len(numbers), desc="reading pictures", unit="file", delay=1, disable=None, leave=False) as bar:
            for start in range(0, len(numbers), AT_ONCE):
                flight = numbers[start:start + AT_ONCE]
                chunks = [flight[first:first + CHUNK] for first in range(0, len(flight), CHUNK)]
                for chunk in self._pool.map(self._attempts, chunks):
                    for found in chunk:
                        bar.update()
                        yield found

    def _attempts(self, numbers: Sequence[int]) -> list[np.ndarray | Invalid]:
        return [self._attempt(number) for number in numbers]

    def _attempt(self, number: int) -> np.ndarray | Invalid:
        try:
            return decode(self.files[number], self.form)
        except Invalid as fault:
            return fault


def survey(pictures: PictureFiles, strict: bool, take: Callable[[np.ndarray | None], None] = lambda picture: None
           ) -> dict[int, str]:
    """Reads every picture once. Returns {number: reason} of the bad ones.

    Args:
      strict: Whether the first bad one ends it.
      take: Function that is handed each picture in turn, and None for a bad one.

    Raises:
      Invalid: The same as ``tolerate``.
    """
    bad: dict[int, str] = {}
    for number, found in enumerate(pictures.each(range(len(pictures)))):
        if isinstance(found, Invalid):
            bad[number] = str(found)
            if strict:
                break
        take(None if isinstance(found, Invalid) else found)
    tolerate(bad, len(pictures), strict)
    return bad


def tolerate(bad: dict[int, str], size: int, strict: bool) -> None:
    """Accepts few bad files.

    Raises:
      Invalid: The first reason, if there is one and ``strict``; the list, if more than 1 % are bad.
    """
    reasons = [bad[number] for number in sorted(bad)]
    if strict and reasons:
        raise Invalid(reasons[0])
    more = f"; and {len(bad) - LISTED} more" if len(bad) > LISTED else ""
    require(len(bad) <= MOST_BAD * size, "pictures", f"{len(bad)} of {size} are bad",
            f"good to 99 % at least: {'; '.join(reasons[:LISTED])}{more}")


def report(bad: dict[int, str]) -> None:
    """One line on standard error for each skipped file."""
    for number in sorted(bad):
        print(f"skipped: {bad[number]}", file=sys.stderr)
