"""Picture files for tests: every one is written here, in its true format."""

import numpy as np
from PIL import Image


def noise(seed, height=12, width=10, channels=3):
    """uint8 [h, w, c] of random numbers."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels)).astype(np.uint8)


def save(path, pixels, **options):
    """Writes uint8 [h, w, c] or [h, w] to ``path``, in the format of its ending."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels).save(path, **options)
    return path


def class_folder(root, sizes, height=12, width=10):
    """A folder per class, of PNGs of noise: ``sizes`` is {class name: number of pictures}."""
    for number, (name, size) in enumerate(sizes.items()):
        for i in range(size):
            save(root / name / f"{i:03}.png", noise(1000 * number + i, height, width))
    return root


def cut(path, fraction=0.5):
    """Keeps the first ``fraction`` of a file's bytes."""
    content = path.read_bytes()
    path.write_bytes(content[:int(len(content) * fraction)])
    return path
