"""Training in the cells of a real kernel: its bar, its pictures, its stop button."""

import importlib.util
import json

import pytest

from tests.notebooks.kernel import kernel

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("nbclient") is None or importlib.util.find_spec("ipykernel") is None,
                       reason="the extra `notebook` is not installed"),
    # of zmq and jupyter_client, not ours
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")]

BEGIN = """
import hashlib, time
import numpy as np
from engine import Event, Every, Trainer, prepare
from tests import toys

class Drawn(toys.TinyGAN):
    def metrics(self, nets, batch, noise):
        return {"score": nets["critic"](batch["x"])[:, 0]}

    def pictures(self, nets, batch, noise):
        return {"points": batch["x"][:, :, None, None] * 0.0 + 0.5}

def made(run_dir, **options):
    prepare(0)
    options = {"plan": "graph", "cycles_per_call": 5, **options}
    return Trainer(Drawn(), toys.gan_nets(), {"critic": toys.adam(), "generator": toys.adam()}, toys.points(8),
                   held_out=toys.points(50), run_dir=run_dir, **options)

def digest(trainer):
    return hashlib.sha256(b"".join(v.numpy().tobytes() for net in trainer.nets.values() for v in net.variables)
                          ).hexdigest()

def slowly(trainer, means):
    print("at", trainer.counters.cycles, flush=True)
    time.sleep(0.05)
"""
FILES = ("ipykernel", "site-packages", "engine/", "Traceback", ".py")


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A kernel with a whole run of 200 cycles in the variable ``whole``."""
    folder = tmp_path_factory.mktemp("notebook")
    with kernel(folder) as running:
        began = running.run(BEGIN)
        assert not began.error, began.text
        trained = running.run('whole = made("whole"); history = whole.train(cycles=200)')
        yield running, trained, folder


def test_the_bar_is_the_notebooks_widget_and_pictures_are_below_it(begun):
    _, trained, _ = begun
    assert not trained.error, trained.text
    assert "application/vnd.jupyter.widget-view+json" in trained.kinds
    assert trained.kinds.count("image/png") == 1 and trained.updates.count("image/png") > 1  # one, renewed
    assert "eval: score" in trained.text and "points, epoch" in trained.text
    assert trained.stderr == ""


def test_without_ipywidgets_there_is_a_line_and_no_warning(begun):
    running, _, _ = begun
    cell = running.run('import sys; sys.modules["ipywidgets"] = None\nmade("plain").train(cycles=60);'
                       'del sys.modules["ipywidgets"]')
    assert not cell.error and "widget" not in " ".join(cell.kinds)
    assert "\r" in cell.text and "100%|" in cell.text and "Warning" not in cell.text
    assert cell.stderr == ""


@pytest.mark.parametrize("run_dir, times", [("part", 1), ("again and again", 4), (None, 1)])
def test_the_stop_button_leaves_a_trainer_that_goes_on_with_the_same_bits(begun, run_dir, times):
    running, _, folder = begun
    cell = running.run(f"part = made({run_dir!r}, events=[Event(Every(cycles=5), slowly)]); part.train(cycles=200)",
                       lambda text: "at 30" in text, times)
    assert cell.error == "Interrupted" and running.is_alive
    told = [line for line in cell.text.splitlines() if line.startswith("SIGINT")]
    saved = "a checkpoint was saved" if run_dir else "the run has no folder, nothing was saved"
    assert told == [f"SIGINT: {saved}; train(...) of the same trainer goes on from here"]
    for name in FILES:
        assert name not in cell.text
    at = int(running.run("print(part.counters.cycles)").text)
    assert 30 <= at < 200
    if run_dir:
        assert (folder / run_dir / "checkpoints" / str(at)).is_dir()
    assert running.run("part.train(cycles=200); print(part.counters.cycles)").text.rstrip().endswith("200")
    assert running.run("print(digest(part) == digest(whole))").text == "True\n"


def test_a_new_trainer_goes_on_too_after_the_stop_button(begun):
    running, _, _ = begun
    running.run('part = made("left", events=[Event(Every(cycles=5), slowly)]); part.train(cycles=200)',
                lambda text: "at 30" in text)
    running.run('part.close(); part = made("left"); at = part.counters.cycles; part.train(cycles=200);')
    at, same = running.run("print(at, digest(part) == digest(whole))").text.split()
    assert 30 <= int(at) < 200 and same == "True"


def test_what_a_notebook_shows_of_history_trainer_and_run(begun):
    running, _, folder = begun
    for value in ("history", "whole", "__import__('engine').open_run('whole', strategy=Drawn(), nets=toys.gan_nets())"):
        cell = running.run(value)
        assert "text/html" in cell.kinds and not cell.error, cell.text
    assert running.run("whole").text.startswith("Trainer(Drawn of generator (Sequential), critic (Sequential): at "
                                                "cycle 200, epoch 40.00, in 'whole')")
    environment = json.loads((folder / "whole" / "environment.json").read_text())
    assert environment["command"] == "a notebook"
    assert "ipykernel" not in (folder / "whole" / "report.html").read_text()
