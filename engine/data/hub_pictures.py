"""The pictures of a hub's set as one array."""

from typing import Any

import numpy as np
from PIL import Image

from engine.data.hub_set import Hub
from engine.data.image_file import Form, in_form
from engine.errors import require

ROOM = 2**32  # bytes of pictures


class Pictures:
    """Brings all pictures of a set to one form: that of the first, where none is given."""

    def __init__(self, name: str, size: int | None, channels: int | None, fit: str) -> None:
        self.name, self._size, self._channels, self._fit = name, size, channels, fit
        self._form: Form | None = None

    def arrays(self, hub: Hub, split: str) -> dict[str, Any]:
        """The pictures of a split, uint8 [N, h, w, c], and its labels as they are."""
        pictures, size = np.zeros([0], np.uint8), hub.sizes[split]
        labels: list[Any] = []
        for value, label in hub.splits[split]:
            picture = value if isinstance(value, Image.Image) else Image.fromarray(np.squeeze(value))
            form = self._form = self._form or self._of_all(picture, sum(hub.sizes.values()))
            pictures = np.zeros([size, *form.shape], np.uint8) if not labels else pictures
            require(len(labels) < size, "dataset", self.name, f"of {size} examples in {split}, but has more")
            pictures[len(labels)] = in_form(self._checked(picture, form), form)
            labels.append(label)
        require(labels and len(labels) == size, "dataset", self.name,
                f"of {max(1, size)} examples in {split}, but has {len(labels)}")
        return {"image": pictures, "label": labels}

    def _of_all(self, picture: Image.Image, count: int) -> Form:
        size = (self._size, self._size) if self._size else (picture.height, picture.width)
        form = Form(size, self._channels or _channels(picture), self._fit)
        require(count * np.prod(form.shape) <= ROOM, "dataset", self.name, f"of at most {ROOM >> 30} GiB of pictures, "
                f"but has {count} of {list(form.shape)}: give a smaller size, or use them as files (image-folder)")
        return form

    def _checked(self, picture: Image.Image, form: Form) -> Image.Image:
        size = (picture.height, picture.width)
        require(self._size or size == form.size, "image_size", f"pictures of {list(form.size)} and {list(size)} pixels",
                "given: one that all are brought to")
        require(self._channels or _channels(picture) == form.channels, "channels", "grey and colour pictures",
                "given: 1 or 3")
        return picture


def _channels(picture: Image.Image) -> int:
    return 1 if picture.mode in ("1", "L") or picture.mode.startswith("I") else 3
