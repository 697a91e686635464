"""The benchmark of picture files: its pictures, its rows, and one real contestant."""

import sys

import cli
import numpy as np
import pytest
from benchmarks import image_folder, pictures
from PIL import Image

from engine.data.image_folder import image_folder as read_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twelve pictures as the benchmark makes them."""
    made = tmp_path_factory.mktemp("made")
    assert pictures.make(made, 12) == 12
    return made


def test_the_pictures_vary_and_are_no_noise(folder):
    files = sorted(folder.iterdir())
    assert [file.suffix for file in files] == [".png", ".jpg"] * 6
    sizes = set()
    for file, kind in zip(files, ["PNG", "JPEG"] * 6, strict=True):
        with Image.open(file) as image:
            assert image.format == kind
            pixels = np.asarray(image, np.float64)
        sizes.add(pixels.shape)
        assert pixels.std() > 5 and abs(np.diff(pixels, axis=0)).mean() < pixels.std() / 2
    assert len(sizes) > 6 and all(100 <= side <= 300 for size in sizes for side in size[:2])


@pytest.mark.parametrize("side", ["ours", "ours-files", "ours-cache", "tf.data", "tf.data-smooth",
                                  "tf.data-memory", "tf.data-cache"])
def test_every_contestant_reads_so_many_batches(side, folder, tmp_path):
    run = pictures.prepared(side, folder, 4, 2, tmp_path / "cache")
    assert run(1) == 1 and run(5) == 5  # on into the next epoch
    assert bool(list(tmp_path.iterdir())) == side.endswith("-cache")


def test_smooth_tf_data_gives_the_pictures_that_ours_does(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(4):
        small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
        small.resize((160, 160), Image.Resampling.BICUBIC).save(tmp_path / f"{i}.png")
    ours = read_folder(tmp_path, (64, 64), validation=0.0).arrays("train")["image"]
    seen = []
    pictures._compiled, kept = (lambda iterator, image: seen.append(image(iterator, 0))), pictures._compiled
    try:
        pictures.prepared("tf.data-smooth", tmp_path, 4, 2, tmp_path / "none")
    finally:
        pictures._compiled = kept
    theirs = seen[0].numpy()
    nearest = [min(abs(each - other).mean() for other in ours.astype(float)) for each in theirs]
    assert max(nearest) < 1.0


def metrics(rate):
    """A process's line."""
    return {"images_per_second": rate, "setup_seconds": 2.0, "peak_memory_bytes": 2**20}


def test_pairs_alternate_torch_may_be_missing_and_the_faster_calls_are_taken(monkeypatch):
    asked = []

    def run(name, point, python):
        asked.append((point["side"], point["calls"]))
        return metrics({"ours": 30.0, "ours-files": 30.0, "ours-cache": 300.0}.get(point["side"], 15.0))

    def fake(name, point, python=sys.executable):
        assert set(point) == {"side", "calls", "folder", "batch", "seconds"}
        if point["side"] == "torch":
            raise image_folder.Failed("image_folder.py ended with 1: ModuleNotFoundError: No module named 'torch'")
        if point["seconds"] == 0.5:  # the trial
            return metrics({2: 20.0, -1: 10.0}[point["calls"]])
        return run(name, point, python)

    monkeypatch.setattr(image_folder.program, "run", fake)
    chosen = cli.Command(image_folder.Options(), None).parse(["--pairs", "2", "--seconds", "1"])
    rows, notes = image_folder.compare(chosen, "photos")
    assert asked[4:8] == [("ours-files", 2), ("tf.data", 2), ("tf.data", 2), ("ours-files", 2)]
    assert [row["ratio"]["median"] for row in rows] == [2.0, 2.0, 2.0, 20.0]
    assert notes == ["tf.data: num_parallel_calls=2", "torch: left out: No module named 'torch'"]
    lines = image_folder.table(rows).splitlines()
    assert len(lines) == 6 and "2.00 (2.00..2.00)" in lines[2]


def test_an_option_out_of_range_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.Command(image_folder.Options(), None).parse(["--pairs", "0"])
    assert ended.value.code == 2 and capsys.readouterr().err.count("\n") == 1
