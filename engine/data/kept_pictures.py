"""Pictures that are kept in memory as they were decoded at the first look, where they have room there."""

import numpy as np

from engine.data.memory import aligned, zeros
from engine.data.picture_files import PictureFiles, survey

ROOM = 2**30  # bytes of decoded pictures: 87 000 of 64 x 64 x 3


def has_room(pictures: PictureFiles) -> bool:
    """Whether the decoded pictures may be kept."""
    return len(pictures) * int(np.prod(pictures.form.shape)) <= ROOM


class KeptPictures:
    """The pictures of a store, in memory.

    Attributes:
      bad: {number: reason} of the files that cannot be decoded.
      array: uint8 [N, h, w, c]; zeros for bad ones.

    Args:
      pictures: The store.
      strict: Whether the first bad picture file ends it.

    Raises:
      Invalid: Bad picture files: see ``picture_files.tolerate``.
    """

    def __init__(self, pictures: PictureFiles, strict: bool = False) -> None:
        held = zeros((len(pictures), *pictures.form.shape), np.uint8)
        places = iter(held)

        def take(picture: np.ndarray | None) -> None:
            place = next(places)
            if picture is not None:
                place[...] = picture

        self.bad = survey(pictures, strict, take)
        self.array = aligned(held)

    def read(self, numbers: np.ndarray) -> np.ndarray:
        """The pictures ``numbers``, uint8 [n, h, w, c]."""
        return self.array[numbers]
