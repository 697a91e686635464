"""Event files read back as TensorBoard reads them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.core.util import event_pb2

from engine.errors import Invalid
from engine.reporting.tensorboard import EventFile, TensorBoard
from engine.reporting.writer import Start, Timestamp


def at(cycle):
    """A time in a run of 10 cycles an epoch."""
    return Timestamp(cycle, cycle, cycle / 10, 0.0)


def values(folder: Path) -> dict[tuple[str, int], Any]:
    """{(tag, step): tensor} of all event files."""
    found = {}
    for path in sorted(folder.iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = event_pb2.Event.FromString(record.numpy())
            found |= {(value.tag, event.step): tf.make_ndarray(value.tensor) for value in event.summary.value}
    return found


def test_nothing_is_written_before_the_first_value(tmp_path: Path) -> None:
    board = EventFile(tmp_path / "tensorboard")
    board.scalars(1, {})
    board.images(1, {})
    board.close()
    assert not list(tmp_path.iterdir())


def test_scalars_are_there_at_once_with_their_cycle(tmp_path: Path) -> None:
    board = EventFile(tmp_path)
    board.scalars(100, {"elbo/kl": 16.5, "eval/accuracy": np.float32(0.25)})
    board.scalars(200, {"elbo/kl": 8.5})
    assert values(tmp_path) == {("elbo/kl", 100): 16.5, ("eval/accuracy", 100): 0.25, ("elbo/kl", 200): 8.5}
    board.close()
    board.scalars(300, {"elbo/kl": 4.0})
    board.close()
    assert values(tmp_path)["elbo/kl", 300] == 4.0


def test_images_keep_their_pixels(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    board = EventFile(tmp_path)
    board.images(7, {"samples": picture})
    board.close()
    width, height, png = values(tmp_path)["samples", 7]
    assert (width, height) == (b"7", b"5")
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), picture)


@pytest.mark.parametrize("picture", [
    np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 1), np.uint8)])
def test_another_shape_or_type_is_refused(tmp_path: Path, picture: np.ndarray) -> None:
    with pytest.raises(Invalid, match=r"`samples` \(.*\) must be a picture, uint8 \[h, w, 3\]"):
        EventFile(tmp_path).images(1, {"samples": picture})
    assert not list(tmp_path.iterdir())


def test_a_rewound_run_tells_tensorboard_to_forget(tmp_path):
    """A START event, read between the old file and the new one: what came before it from its step on is void."""
    board = EventFile(tmp_path)
    board.rewind(3)
    assert not list(tmp_path.iterdir())  # there is nothing to forget
    for cycle in (3, 4):
        board.scalars(cycle, {"fit/loss": float(cycle)})
    board.close()
    (file,) = tmp_path.iterdir()
    file.rename(tmp_path / ".".join([*file.name.split(".")[:3], "1700000000", *file.name.split(".")[4:]]))  # of old
    board.rewind(3)
    board.scalars(4, {"fit/loss": 40.0})
    board.close()
    records = [event_pb2.Event.FromString(record.numpy()) for path in sorted(map(str, tmp_path.iterdir()))
               for record in tf.data.TFRecordDataset(path)]
    starts = [event.session_log.status == event_pb2.SessionLog.START for event in records]
    assert [(event.step, start) for event, start in zip(records, starts, strict=True) if event.step] == [
        (3, False), (4, False), (4, True), (4, False)]


def test_entries_are_those_of_tensorflows_own_writer(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    board = EventFile(tmp_path / "ours")
    board.scalars(3, {"loss": 0.5})
    board.images(3, {"samples": picture})
    writer = tf.summary.create_file_writer(str(tmp_path / "theirs"))
    with writer.as_default(step=3):
        tf.summary.scalar("loss", 0.5)
        tf.summary.image("samples", picture[None])
    writer.close()

    def described(folder: Path) -> list[Any]:
        events = [event_pb2.Event.FromString(record.numpy()) for path in folder.iterdir()
                  for record in tf.data.TFRecordDataset(str(path))]
        return [(events[0].file_version, value.tag, value.metadata.plugin_data.plugin_name, value.metadata.data_class,
                 value.tensor.dtype, len(value.tensor.tensor_shape.dim)) for event in events[1:]
                for value in event.summary.value]

    assert described(tmp_path / "ours") == described(tmp_path / "theirs") != []


def test_a_folder_that_was_removed_is_not_made_anew(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    board = EventFile(tmp_path / "run" / "tensorboard")
    board.scalars(1, {"loss": 0.5})
    (tmp_path / "run").rename(tmp_path / "elsewhere")
    board.scalars(2, {"loss": 0.25})
    board.close()
    assert not (tmp_path / "run").exists()
    assert values(tmp_path / "elsewhere" / "tensorboard") == {("loss", 1): 0.5, ("loss", 2): 0.25}


def test_a_full_disk_is_an_error_of_the_folder_and_a_later_value_goes_to_another_file(tmp_path, monkeypatch):
    board = EventFile(tmp_path / "tensorboard")
    board.scalars(1, {"a": 1.0})

    class Full:
        def write(self, event):
            raise tf.errors.ResourceExhaustedError(None, None, "/x/events.out; No space left on device")

        def close(self):
            raise tf.errors.ResourceExhaustedError(None, None, "/x/events.out; No space left on device")

    for act in (lambda: board.scalars(2, {"a": 2.0}), board.close):
        board._file = Full()
        with pytest.raises(OSError, match=r"No space left on device.*tensorboard"):
            act()
    board.scalars(3, {"a": 3.0})
    board.close()
    assert len(list((tmp_path / "tensorboard").iterdir())) == 2


def test_a_metric_and_its_term_are_one_card(tmp_path):
    board = TensorBoard()
    names = ("elbo/kl", "elbo/objective", "eval/kl", "eval/accuracy")
    board.open(Start(tmp_path, names, {"seed": 3}, 0, 9, 1.0, print))
    board.scalars(at(5), {"elbo/kl": 2.0})
    board.scalars(at(5), {"eval/kl": 3.0, "eval/accuracy": 0.5})
    board.close()
    told = values(tmp_path / "tensorboard" / "training")
    assert told.pop(("configuration", 0)).tolist() == [b"| option | value |\n| --- | --- |\n| seed | 3 |"]
    assert told == {("elbo/kl", 5): 2.0}
    assert values(tmp_path / "tensorboard" / "evaluation") == {("elbo/kl", 5): 3.0, ("eval/accuracy", 5): 0.5}


def test_a_run_without_a_folder_needs_one(tmp_path):
    with pytest.raises(Invalid, match=r"`TensorBoard folder` \(not given\) must be given for a run without a run_dir"):
        TensorBoard().open(Start(None, (), {}, 0, 9, 1.0, print))
    board = TensorBoard(tmp_path / "board")
    board.open(Start(None, ("a/b",), {}, 0, 9, 1.0, print))
    board.scalars(at(1), {"a/b": 1.0})
    assert ("a/b", 1) in values(tmp_path / "board" / "training")
