"""The search for a published data set: in the folders where it may lie, then at the addresses that have it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from engine.errors import Invalid

Found = TypeVar("Found")


class Lacking(LookupError):
    """What a folder lacks, in words."""


def search(name: str, look: Callable[[Path], Found], fetch: Callable[[str, Path], Found], remedy: str, *,
           mine: Sequence[Path], shared: Sequence[Path], target: Path, urls: Sequence[str]) -> Found:
    """What ``look`` finds in the first folder that has it, or ``fetch`` at the first address that does.

    Args:
      name: Name of the data set.
      look: ``look(folder)``; raises ``Lacking``, or ``Invalid`` for a wrong file.
      fetch: ``fetch(url, folder)`` downloads to ``folder``; raises ``Invalid``.
      remedy: What to do where nothing is found.
      mine: Folders that the user named: the only ones then, and a wrong file there is an error.
      shared: Folders of others.
      target: Folder to download to; looked into after ``shared``.
      urls: Addresses, tried in order.

    Raises:
      Invalid: A wrong file in ``mine``, or, in one line with all that was tried, if nothing is found.
    """
    tried = []
    for folder in mine or [*shared, target]:
        try:
            return look(folder)
        except Lacking as lacking:
            tried.append(f"{folder} ({lacking})")
        except Invalid as fault:
            if folder in mine:
                raise
            tried.append(str(fault))
    for url in urls:
        try:
            return fetch(url, target)
        except Invalid as fault:
            tried.append(str(fault))
    raise Invalid(f"`dataset` ({name}) must be found or downloadable: {remedy}. Tried: {'; '.join(tried)}")
