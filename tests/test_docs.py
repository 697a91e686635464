"""The code on the page "write your own loss strategy" is the code that is tested."""

import ast
import importlib.util
import re
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

import losses
import nets
from engine import ArraySource, Trainer, average_of
from engine.data.augment import scale
from engine.testing import assert_resumes, try_phase
from losses import gradients

PAGE = (Path(__file__).parent.parent / "docs" / "write_your_own_strategy.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
VAE, WGANGP, EXAMPLE, SEVERAL, LENGTHS, QUEUE, LAZY, GRADIENTS, TEST = BLOCKS


def lines_of_code(source):
    """Lines that hold code: no blank lines, comments, docstrings or imports."""
    tree = ast.parse(source)
    skipped = set()
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_text or isinstance(node, ast.Import | ast.ImportFrom):
            skipped.update(range(node.lineno, node.end_lineno + 1))
    return sum(1 for number, line in enumerate(source.splitlines(), start=1)
               if line.strip() and not line.strip().startswith("#") and number not in skipped)


@pytest.fixture
def defined(tmp_path):
    """Makes a file of a piece of the page, with the page's words at hand, and imports it."""
    def define(source):
        words = f"import functools\nimport keras\nimport numpy as np\nimport tensorflow as tf\n" \
                f"from engine import LossStrategy, Phase, Ratio, Update\n" \
                f"from losses import {', '.join(losses.__all__)}\n" \
                f"from losses.gradients import {', '.join(gradients.__all__)}\n\n"
        (tmp_path / "page.py").write_text(words + source)
        spec = importlib.util.spec_from_file_location("page", tmp_path / "page.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    return define


def test_a_vae_takes_at_most_12_lines_and_a_wgan_gp_at_most_20():
    assert lines_of_code(VAE) <= 12
    assert lines_of_code(WGANGP) <= 20


@pytest.mark.parametrize("plan", ["graph", "xla"])
def test_the_pages_vae_trains(plan, defined):
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), dtype=np.uint8)
    trainer = Trainer(defined(VAE).VAE(), {"vae": nets.create("dense-vae")}, keras.optimizers.Adam(1e-3),
                      ArraySource({"image": images}, 16, transform=scale), plan=plan)
    first = trainer.engine.run(5).totals["elbo"]["objective"]
    last = trainer.engine.run(20).totals["elbo"]["objective"]
    assert last[0] / last[1] < first[0] / first[1]


def test_the_pages_wgan_gp_trains(defined):
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), dtype=np.uint8)
    made = {"generator": nets.create("generator28"), "critic": nets.create("critic28")}
    trainer = Trainer(defined(WGANGP).WGANGP(), made,
                      {name: keras.optimizers.Adam(1e-4) for name in ("critic", "generator")},
                      ArraySource({"image": images}, 8, transform=scale))
    trainer.train(cycles=2)
    assert trainer.counters.updates == {"critic": 10, "generator": 2}


def test_the_complete_example_runs_as_printed(tmp_path, defined):
    page = defined(EXAMPLE)
    metrics = page.main(epochs=2, folder=tmp_path / "run")
    assert 200 < metrics["restoration"] < 330
    with Image.open(tmp_path / "run" / "restored.png") as grid:
        assert grid.width > 400
    assert page.main(epochs=2, folder=tmp_path / "run") == metrics  # continued: nothing left to do
    images = np.random.default_rng(0).random((4, 28, 28, 1), dtype=np.float32)
    exec(TEST, {**vars(page), "images": images})
    assert try_phase(page.Denoising(), "restore", {"autoencoder": page.autoencoder()}, {"image": images}).gradients


def points(batch_size):
    x = np.random.default_rng(0).normal(size=(60, 6)).astype("float32")
    return ArraySource({"x": x, "y": x.sum(axis=1), "label": (x[:, 0] > 0).astype("int32")}, batch_size)


def dense(width):
    return keras.Sequential([keras.layers.Dense(8, activation="tanh"), keras.layers.Dense(width)])


@pytest.mark.parametrize("name", ["FixMatch", "MoCo", "LazyPenalty"])
def test_the_declarations_train_and_continue(defined, name):
    block, nets, data = {
        "FixMatch": (SEVERAL, lambda: {"net": dense(2)}, {"labelled": points(4), "unlabelled": points(12)}),
        "MoCo": (QUEUE, lambda: {"query": dense(4), "key": average_of("query", 0.99)}, points(8)),
        "LazyPenalty": (LAZY, lambda: {"net": dense(1)}, points(8))}[name]
    strategy = getattr(defined(block), name)

    def make(**options):
        keras.utils.set_random_seed(0)
        rate = keras.optimizers.Adam(1e-2)
        updates = {phase.name: rate for phase in strategy().phases()}
        return Trainer(strategy(), nets(), updates, data, say=lambda line: None, **options)

    assert_resumes(make, cycles=6, stop=3)


def test_the_pages_language_model_trains_on_sentences_of_several_lengths(defined):
    page, rng = defined(LENGTHS), np.random.default_rng(0)
    words = [(start + np.arange(length)) % 7 for start, length in enumerate([*[5, 12] * 8, *[17, 60] * 8, *[200] * 9])]

    def make(**options):
        keras.utils.set_random_seed(0)
        net = keras.Sequential([keras.layers.Embedding(7, 4), keras.layers.Dense(7)])
        net.build([None, None])
        return Trainer(page.LanguageModel(), {"net": net}, keras.optimizers.Adam(1e-1), page.sentences(words),
                       say=lambda line: None, **options)

    rng.shuffle(words)
    assert_resumes(make, cycles=6, stop=3)
    made = make(plan="graph")
    first, *_, last = [float(np.divide(*made.engine.run(5).totals["words"]["word"])) for _ in range(6)]
    assert last < 0.3 * first


@pytest.mark.parametrize("name", ["shipped", "own"])
def test_the_other_gradients_train_and_continue(defined, name):
    def make(**options):
        keras.utils.set_random_seed(0)
        page = defined(GRADIENTS)
        return Trainer(page.TwoTasks(), {"net": dense(1)}, getattr(page, name), points(8), say=lambda line: None,
                       **options)

    assert_resumes(make, cycles=6, stop=3)


def test_the_page_names_every_gradient():
    table = re.findall(r"^\| `(\w+)\(", PAGE, flags=re.MULTILINE)
    assert sorted(table) == gradients.__all__
