"""A new user's first steps: a plain ``pip install .`` into a fresh environment, and nothing of the clone at hand."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]


def program(page):
    """The snippets of a page."""
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


def ran(*command, cwd, **variables):
    """The finished process; its environment has no trace of the clone's."""
    kept = {name: value for name, value in os.environ.items()
            if name not in ("PYTHONPATH", "KERAS_BACKEND", "VIRTUAL_ENV", "TF_CPP_MIN_LOG_LEVEL")}
    return subprocess.run([str(each) for each in command], cwd=cwd, env={**kept, **variables}, capture_output=True,
                          text=True, check=False, timeout=900)


@pytest.fixture(scope="module")
def venv(tmp_path_factory):
    """The programs of an environment into which a copy of the clone was installed; the copy is gone."""
    place = tmp_path_factory.mktemp("newcomer")
    unwanted = shutil.ignore_patterns(".git", ".venv", "runs", "build", "site", "*.egg-info", "__pycache__", ".*_cache")
    shutil.copytree(ROOT, place / "clone", ignore=unwanted)
    subprocess.run([sys.executable, "-m", "venv", place / "venv"], check=True)
    done = ran(place / "venv/bin/python", "-m", "pip", "install", "--quiet", "-c", "constraints.txt", ".",
               cwd=place / "clone")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(place / "clone")
    return place / "venv" / "bin"


def test_data_markers_and_version_are_installed(venv, tmp_path):
    done = ran(venv / "python", "-c", "import engine, losses, nets; from pathlib import Path\n"
               "print(engine.__version__)\n"
               "print(*(Path(each.__file__).with_name('py.typed').exists() for each in (engine, losses, nets)))\n"
               "from engine.data.catalog import load; print(load('fashion-mnist-10k').size('train'))", cwd=tmp_path)
    assert done.stdout.split() == ["0.1.0", "True", "True", "True", "9000"], done.stderr


def test_the_readmes_example_runs_and_runs_on(venv, tmp_path):
    (tmp_path / "first.py").write_text(program("README.md")[0])
    first = ran(venv / "python", "first.py", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    found = float(re.search(r"'negative_elbo': (\d+\.\d+)", first.stdout)[1])
    assert 250 < found < 300
    assert not re.search(r"oneDNN|absl|cuda|^[IWE]\d{4} ", first.stderr, re.MULTILINE)
    again = ran(venv / "python", "first.py", cwd=tmp_path)  # nothing left to do
    assert again.stdout == first.stdout


def test_the_command_trains_looks_and_samples(venv, tmp_path):
    assert "train-vae" in ran(venv / "phaseloop", "--help", cwd=tmp_path).stdout
    done = ran(venv / "phaseloop", "train-vae", "--cycles", "20", "--run-dir", "run", "--plan", "graph", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").exists()
    for command in (["evaluate", "run"], ["inspect-run", "run"], ["sample", "run", "--output", "samples.png"]):
        done = ran(venv / "phaseloop", *command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "samples.png").exists()


def test_the_tutorials_own_method_trains_and_continues(venv, tmp_path):
    text = "\n".join(program("docs/tutorial.md"))
    text = text.replace("print(history.metrics,", "print(trainer.counters.cycles, history.metrics,")
    for epochs, cycles in ((0.2, 14), (0.3, 21)):  # of 70 cycles each
        (tmp_path / "conditional.py").write_text(text.replace("epochs=60", f"epochs={epochs}"))
        done = ran(venv / "python", "conditional.py", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{cycles} {{'reconstruction'"), done.stdout
    assert (tmp_path / "runs" / "conditional" / "samples.png").exists()


def test_a_run_that_was_killed_is_continued_to_its_end(venv, tmp_path):
    command = [venv / "phaseloop", "train-vae", "--run-dir", "run", "--plan", "graph", "--checkpoint-every", "0.1"]
    with subprocess.Popen([*map(str, command), "--epochs", "500"], cwd=tmp_path, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as process:
        until = time.monotonic() + 300
        while not list(tmp_path.glob("run/checkpoints/[1-9]*/manifest.json")):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.05)
        process.kill()
    cycle = max(int(path.name) for path in tmp_path.glob("run/checkpoints/[0-9]*"))
    done = ran(*command, "--cycles", cycle + 20, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(rf"continues run at cycle \d+ of {cycle + 20}\n", done.stdout + done.stderr), done.stdout
    assert (tmp_path / "run" / "checkpoints" / str(cycle + 20)).is_dir()


def test_own_pictures_are_learned_predicted_without_them_and_exported(venv, tmp_path):
    draw = np.random.default_rng(0)
    for kind, level in (("day", 200), ("night", 30)):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for number in range(40):
            pixels = draw.integers(level - 30, level + 30, (20, 20, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / kind / f"{number}.png")
    done = ran(venv / "phaseloop", "train-classifier", "--net", "mlp", "--dataset", "image-folder", "--data-dir",
               "photos", "--image-size", "20", "--batch-size", "16", "--epochs", "40", "--plan", "graph", "--run-dir",
               "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shutil.copy(tmp_path / "photos" / "night" / "0.png", tmp_path / "dark.png")
    shutil.rmtree(tmp_path / "photos")
    done = ran(venv / "phaseloop", "predict", "run", "dark.png", cwd=tmp_path)
    assert done.stdout.startswith("file,label,probability\ndark.png,night,"), done.stderr
    for kind in ("keras", "weights", "savedmodel", "litert"):
        done = ran(venv / "phaseloop", "export", "run", "--format", kind, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    picture = "x = np.asarray(Image.open('dark.png'))[None]"
    without = ran(sys.executable, "-P", "-c", "import sys, numpy as np, tensorflow as tf; from PIL import Image\n"
                  f"{picture}; m = tf.saved_model.load('classifier_savedmodel')\n"
                  "print(int(np.argmax(m.serve(tf.constant(x)))), 'engine' in sys.modules)", cwd=tmp_path)
    assert without.stdout == "1 False\n", without.stderr


def test_a_net_of_ones_own_trains_by_the_command(venv, tmp_path):
    page = program("docs/own_net.md")[0]
    (tmp_path / "my_nets.py").write_text("import keras\n\n\n" + page[page.index("class Wide"):page.index("prepare(")])
    done = ran(venv / "phaseloop", "train-classifier", "--net", "my_nets:Wide", "--net-option", "width=128", "--cycles",
               "20", "--plan", "graph", "--run-dir", "run", cwd=tmp_path, PYTHONPATH=".")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").exists()


def test_a_users_own_losses_beside_the_script_are_named(venv, tmp_path):
    (tmp_path / "losses.py").write_text("MINE = 1\n")
    (tmp_path / "mine.py").write_text("from engine import Trainer\nfrom losses import MINE\nprint(MINE)\n")
    (tmp_path / "ours.py").write_text("from engine import Trainer\nfrom losses.strategies import VAE\n")
    assert ran(venv / "python", "mine.py", cwd=tmp_path).stdout == "1\n"
    done = ran(venv / "python", "ours.py", cwd=tmp_path)
    told = f"{tmp_path / 'losses.py'} takes the place of phaseloop's package `losses`: rename it"
    assert done.stderr.splitlines()[-1] == told


def test_onnx_and_litert_run_without_us_in_their_own_runtimes(venv, tmp_path):
    done = ran(venv / "phaseloop", "train-classifier", "--net", "mlp", "--cycles", "20", "--plan", "graph", "--run-dir",
               "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    export = [venv / "phaseloop", "export", "run", "--format", "onnx"]
    done = ran(*export, cwd=tmp_path)
    told = "error: `--format` (onnx) must be another one, or after: pip install 'phaseloop[export]'\n"
    assert (done.returncode, done.stderr) == (2, told)
    done = ran(venv / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt",
               "phaseloop[export,litert]", cwd=tmp_path)  # what is installed has the extras' lists
    assert done.returncode == 0, done.stderr
    for command in (export, [*export[:-1], "litert"]):
        done = ran(*command, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    done = ran(venv / "python", "-c", "import numpy as np; from engine import open_run\n"
               "from engine.data.catalog import load; x = load('fashion-mnist-10k').test['image'][:50]\n"
               "np.save('inputs.npy', x); np.save('wanted.npy', open_run('run').predict(x))", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    wanted = np.load(tmp_path / "wanted.npy")
    assert wanted.std() > 0.01
    for program in ("import onnxruntime; session = onnxruntime.InferenceSession('classifier.onnx')\n"
                    "y, = session.run(None, {session.get_inputs()[0].name: x})",
                    "from ai_edge_litert.interpreter import Interpreter; i = Interpreter('classifier.tflite')\n"
                    "given, = i.get_input_details(); i.resize_tensor_input(given['index'], x.shape)\n"
                    "i.allocate_tensors(); i.set_tensor(given['index'], x); i.invoke()\n"
                    "y = i.get_tensor(i.get_output_details()[0]['index'])"):
        done = ran(venv / "python", "-c", f"import sys, numpy as np; x = np.load('inputs.npy')\n{program}\n"
                   "np.save('outputs.npy', y); print(*{'engine', 'nets', 'tensorflow'} & {*sys.modules})", cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, "\n"), done.stderr
        np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), wanted, rtol=1e-5, atol=1e-5)
