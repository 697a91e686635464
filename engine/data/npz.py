"""Pictures of one's own as arrays: an .npz file, or a folder of .npy files. Nothing is unpickled.

The arrays are x_train, y_train, x_test and y_test, as in Keras's mnist.npz; or image and label, which are parted by
the array split where there is one, else by ``holdout``. The array classes may name the labels.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engine.data.dataset import Dataset, Split
from engine.data.folds import holdout
from engine.errors import Invalid, require

PARTED = ("x_train", "y_train", "x_test", "y_test")
WHOLE = ("image", "label")
FAULTS = (ValueError, OSError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error)


def load(data_dir: str | Path | None = None, *, held_out: float = 0.2, seed: int = 0) -> Dataset:
    """The arrays of an .npz file, or of a folder's .npy files or its only .npz file.

    Pictures are uint8 [N, h, w] or [N, h, w, c] with c = 1 or 3; labels are integers [N] or [N, 1], from 0; split is
    0 or "train", 1 or "test" [N]; classes is text [K].

    Args:
      data_dir: The file or the folder.
      held_out: Fraction of image and label to test with where there is no split, even over the classes.
      seed: Seed of that choice.

    Raises:
      Invalid: One line, for arrays that are missing, damaged, pickled, or of another shape or type.
    """
    arrays = _read(data_dir)
    if all(name in arrays for name in PARTED):
        train = _split("x_train", "y_train", arrays)
        test = _split("x_test", "y_test", arrays)
        shapes = [split["image"].shape[1:] for split in (train, test)]
        require(shapes[0] == shapes[1], "x_test", f"pictures of {shapes[1]}", f"of x_train's shape, {shapes[0]}")
    else:
        both = all(name in arrays for name in WHOLE)
        require(both, "data_dir", data_dir, f"of the arrays {', '.join(PARTED)}, or {' and '.join(WHOLE)}, "
                f"but has {', '.join(arrays) or 'none of them'}")
        whole = _split("image", "label", arrays)
        parts = _parts(arrays["split"], len(whole["label"])) if "split" in arrays else holdout(
            whole["label"], held_out, seed)
        train, test = ({name: array[part] for name, array in whole.items()} for part in parts)
    return Dataset("npz", train, test, _classes(arrays.get("classes"), train["label"], test["label"]),
                   str(data_dir))


def _read(data_dir: str | Path | None) -> dict[str, np.ndarray]:
    require(data_dir is not None and Path(data_dir).exists(), "data_dir", data_dir,
            "an .npz file, or a folder of .npy files, that exists")
    path = Path(str(data_dir))
    packed = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    names = (*PARTED, *WHOLE, "split", "classes")
    if path.is_dir() and any((path / f"{name}.npy").is_file() for name in names):
        packed = []
    require(len(packed) <= 1, "data_dir", data_dir, f"a folder of one .npz file, but has {len(packed)}")
    try:
        return dict(_unpacked(packed[0], names) if packed else _unpacked_files(path, names))
    except Invalid:
        raise
    except FAULTS as fault:
        reason = " ".join(str(fault).split())
        raise Invalid(f"`data_dir` ({data_dir}) must be of intact arrays, free of pickles: {reason}") from None


def _unpacked(path: Path, names: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    require(zipfile.is_zipfile(path), "data_dir", path, "an .npz file that is whole")
    with np.load(path, allow_pickle=False) as file:
        for name in names:
            if name in file.files:
                yield name, file[name]


def _unpacked_files(folder: Path, names: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    for name in names:
        if (folder / f"{name}.npy").is_file():
            yield name, np.load(folder / f"{name}.npy", allow_pickle=False)


def _split(pictures: str, labels: str, arrays: dict[str, np.ndarray]) -> Split:
    image, label = arrays[pictures], arrays[labels]
    image = image[..., None] if image.ndim == 3 else image
    fits = image.dtype == np.uint8 and image.ndim == 4 and min(image.shape) >= 1 and image.shape[3] in (1, 3)
    require(fits, pictures, f"{image.dtype} {list(arrays[pictures].shape)}",
            "uint8 [N, h, w] or [N, h, w, c] with 1 or 3 channels")
    fits = np.issubdtype(label.dtype, np.integer) and label.shape in ((len(image),), (len(image), 1))
    require(fits, labels, f"{label.dtype} {list(label.shape)}", f"integers [{len(image)}], one for each picture")
    require(label.min() >= 0, labels, int(label.min()), "at least 0")
    require(label.max() < 2**31, labels, int(label.max()), "below 2^31")
    return {"image": image, "label": label.reshape(-1).astype(np.int32)}


def _parts(split: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    require(split.shape == (size,), "split", list(split.shape), f"[{size}], one for each picture")
    train, test = (("train", "test") if split.dtype.kind == "U" else (0, 1))
    require(split.dtype.kind in "Ubiu" and np.isin(split, (train, test)).all(), "split", np.unique(split)[:5].tolist(),
            "of 0 and 1, or of train and test")
    parts = np.flatnonzero(split == train), np.flatnonzero(split == test)
    require(len(parts[0]) and len(parts[1]), "split", f"{len(parts[0])} to train on, {len(parts[1])} to test",
            "of at least one of each")
    return parts


def _classes(names: np.ndarray | None, train: np.ndarray, test: np.ndarray) -> tuple[str, ...]:
    largest = int(max(train.max(), test.max()))
    if names is None:  # a false label must not make millions of classes
        require(largest < len(train), "label", largest, f"below the number of pictures to train on, {len(train)}")
        return tuple(str(label) for label in range(largest + 1))
    require(names.ndim == 1 and names.dtype.kind == "U", "classes", f"{names.dtype} {list(names.shape)}", "text [K]")
    require(largest < len(names), "label", largest, f"in 0..{len(names) - 1}, as there are {len(names)} classes")
    return tuple(names.tolist())
