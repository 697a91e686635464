"""One contestant of image_folder.py, timed. Frameworks are imported where they are used."""

import gc
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.worker import measure, peak_memory

SIDE = 64  # pixels
SUFFIXES = (".png", ".jpg", ".jpeg", ".gif", ".bmp")
BEGAN = time.monotonic()

Run = Callable[[int], int]  # reads so many batches, and says how many


def measured(point: dict[str, Any]) -> dict[str, Any]:
    """What a process of image_folder.py does: make pictures, or read them."""
    if "make" in point:
        return {"made": make(Path(point["make"]), point["count"])}
    with tempfile.TemporaryDirectory(prefix="phaseloop-cache-") as cache:
        run = prepared(point["side"], Path(point["folder"]), point["batch"], point["calls"], Path(cache, "cache"))
        run(1)
        setup = time.monotonic() - BEGAN
        rate, batches = measure(run, point["seconds"])
        del run
        gc.collect()  # Python that ends while tf.data waits for a Python function may wait for ever
    return {"side": point["side"], "images_per_second": rate * point["batch"], "setup_seconds": setup,
            "peak_memory_bytes": peak_memory(), "images": batches * point["batch"]}


def prepared(side: str, folder: Path, batch: int, calls: int, cache: Path) -> Run:
    """A contestant that is set up."""
    if side == "torch":
        return _torch(folder, batch)
    if side.startswith("ours"):
        return _ours(folder, batch, cache if side == "ours-cache" else None, side == "ours")
    return _tf_data(folder, batch, calls, side == "tf.data-smooth",
                    {"tf.data-cache": str(cache), "tf.data-memory": ""}.get(side))


def _ours(folder: Path, batch: int, cache: Path | None, kept: bool) -> Run:
    from engine.data.image_folder import image_folder

    pictures = image_folder(folder, (SIDE, SIDE), validation=0.0, cache=cache, in_memory=kept)
    source = pictures.source("train", batch)
    return _compiled(source.open(0), lambda reader, number: source.batch(number, reader)["image"])


def _tf_data(folder: Path, batch: int, calls: int, smooth: bool, cache: str | None) -> Run:
    import tensorflow as tf

    def read(path: Any) -> Any:
        image = tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)
        image = tf.image.resize(image, [SIDE, SIDE], antialias=smooth)  # float32
        return tf.cast(tf.round(image), tf.uint8) if cache is not None else image

    paths = _files(folder)
    dataset = tf.data.Dataset.from_tensor_slices(paths)
    if cache is not None:  # shuffled after it, or each epoch would have one order
        dataset = dataset.map(read, num_parallel_calls=calls).cache(cache)
        for _ in dataset.batch(batch):  # a cache is whole after a whole epoch
            pass
        dataset = dataset.shuffle(len(paths))
    else:
        dataset = dataset.shuffle(len(paths)).map(read, num_parallel_calls=calls, deterministic=False)
    endless = dataset.repeat().batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    return _compiled(iter(endless), lambda reader, number: next(reader))


def _compiled(iterator: Any, image: Callable[[Any, Any], Any]) -> Run:
    """Reads in a compiled loop, as a training does, and looks at one pixel of each batch."""
    import tensorflow as tf

    @tf.function(autograph=False)
    def loop(reader: Any, count: Any) -> Any:
        def one(number: Any, total: Any) -> Any:
            return number + 1, total + tf.cast(image(reader, number)[0, 0, 0, 0], tf.float32)

        return tf.while_loop(lambda number, _: number < count, one, [tf.constant(0), 0.0])[1]

    def run(batches: int) -> int:
        loop(iterator, tf.constant(batches)).numpy()
        return batches

    return run


def _torch(folder: Path, batch: int) -> Run:
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Files(Dataset):
        def __init__(self) -> None:
            self.paths = _files(folder)

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, number: int) -> Any:
            with Image.open(self.paths[number]) as image:
                image.draft("RGB", (2 * SIDE, 2 * SIDE))  # as ours: a large JPEG is decoded smaller
                resized = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
            return torch.from_numpy(np.array(resized))

    loader = DataLoader(Files(), batch, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True)
    endless = itertools.chain.from_iterable(itertools.repeat(loader))

    def run(batches: int) -> int:
        for _ in range(batches):
            next(endless)[0, 0, 0, 0].item()
        return batches

    return run


def _files(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.rglob("*")) if path.suffix.lower() in SUFFIXES]


def make(folder: Path, count: int, seed: int = 0) -> int:
    """Write ``count`` pictures: garments of Fashion-MNIST, tinted and resized, on smooth colours; PNG, JPEG, PNG ..."""
    from engine.data.fashion_mnist import load_10k

    garments, rng = load_10k()[0]["image"], np.random.default_rng(seed)
    for number in range(count):
        picture = _picture(garments, rng)
        if number % 2:
            picture.save(folder / f"{number:05}.jpg", quality=90)
        else:
            picture.save(folder / f"{number:05}.png")
    return count


def _picture(garments: np.ndarray, rng: np.random.Generator) -> Image.Image:
    width, height = (int(side) for side in rng.integers(100, 301, 2))
    corners = Image.fromarray(rng.integers(0, 256, (2, 2, 3), np.uint8))
    picture = corners.resize((width, height), Image.Resampling.BICUBIC)
    for garment in garments[rng.integers(0, len(garments), 3)]:
        side = int(rng.integers(40, min(width, height)))
        mask = Image.fromarray(garment[..., 0]).resize((side, side), Image.Resampling.BICUBIC)
        place = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
        picture.paste(tuple(int(value) for value in rng.integers(0, 256, 3)), place, mask)
    return picture
