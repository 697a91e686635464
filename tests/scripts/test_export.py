"""A net of a run in other programs' formats: the outputs of Run.predict, where neither we nor the data are."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from engine import open_run
from tests.scripts.running import ENVIRONMENT, ROOT, run, run_process

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 12, 12, 1)).astype(np.uint8)
INTERPRETER = ("from ai_edge_litert.interpreter import Interpreter" if importlib.util.find_spec("ai_edge_litert") else
               "import tensorflow as tf; Interpreter = tf.lite.Interpreter")
# Programs that are handed the exported path and inputs.npy, and write outputs.npy.
READERS = {
    "savedmodel": "import tensorflow as tf; m = tf.saved_model.load(path); y = m.serve(tf.constant(x))",
    "onnx": "import onnxruntime as o; s = o.InferenceSession(path); y = s.run(None, {s.get_inputs()[0].name: x})[0]",
    "litert": f"{INTERPRETER}; i = Interpreter(path); d, = i.get_input_details(); "
              "i.resize_tensor_input(d['index'], x.shape); i.allocate_tensors(); i.set_tensor(d['index'], x); "
              "i.invoke(); y = i.get_tensor(i.get_output_details()[0]['index'])",
    "keras": "import keras, nets; y = keras.models.load_model(path)(x.astype('float32') / 255, training=False)",
    "weights": "import nets; n = nets.create('mlp', classes=2, hidden=[8]); v = x.astype('float32') / 255; n(v); "
               "n.load_weights(path); y = n(v)",
}
NEEDS = {"onnx": ("onnxruntime", "tf2onnx", "onnx")}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    place = tmp_path_factory.mktemp("trained")
    np.savez(place / "data.npz", x_train=IMAGES, y_train=np.arange(12) % 2, x_test=IMAGES, y_test=np.arange(12) % 2)
    done = run("train_classifier.py", "--net", "mlp", "--net-option", "hidden=[8]", "--dataset", "npz", "--data-dir",
               place / "data.npz", "--cycles", "6", "--batch-size", "4", "--plan", "graph", "--average", "0.5",
               "--run-dir", place / "run", cwd=place)
    assert done.returncode == 0, done.stderr
    (place / "data.npz").unlink()
    return place / "run"


@pytest.mark.parametrize("kind", READERS)
def test_outputs_are_those_of_predict(trained, kind, tmp_path):
    missing = [name for name in NEEDS.get(kind, ()) if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"without {', '.join(missing)}")
    done = run_process("export.py", trained, "--format", kind, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    path = tmp_path / done.stdout.partition(":")[0]
    assert done.stdout == f"{path.name}: classifier (MLP) at cycle 6\n" and path.exists()
    np.save(tmp_path / "inputs.npy", IMAGES)
    ours = {"PYTHONPATH": str(ROOT)} if kind in ("keras", "weights") else {}
    code = (f"import sys; import numpy as np; path = {str(path)!r}; x = np.load('inputs.npy'); {READERS[kind]}; "
            "np.save('outputs.npy', np.asarray(y)); import json; "
            "print(json.dumps([m for m in ('engine', 'losses', 'nets') if m in sys.modules]))")
    read = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env={**ENVIRONMENT, **ours}, text=True,
                          capture_output=True, check=False)
    assert read.returncode == 0, read.stderr
    assert json.loads(read.stdout.splitlines()[-1]) == (["nets"] if ours else [])
    wanted = open_run(trained).predict(IMAGES)
    assert wanted.std() > 0.01
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options, text", [
    (["--format", "keras", "--net", "critic"], "error: `--net` (critic) must be one of classifier"),
    (["--format", "keras", "--output", "x.h5"], "error: `--output` (x.h5) must be a path that ends in .keras"),
    (["--format", "pickle"], "`--format` (pickle) must be one of keras, weights, "),
    (["--format", "keras", "--checkpoint", "5"], 'error: `checkpoint` (5) must be "newest", "best", or one of')])
def test_bad_options_are_one_line(trained, options, text, tmp_path):
    done = run("export.py", trained, *options, cwd=tmp_path)
    assert done.returncode == 2 and text in done.stderr and "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_nothing_that_is_there_is_overwritten(trained, tmp_path):
    (tmp_path / "classifier.keras").write_text("mine")
    done = run("export.py", trained, "--format", "keras", cwd=tmp_path)
    assert done.returncode == 2 and "must be a path where nothing is yet" in done.stderr
    assert (tmp_path / "classifier.keras").read_text() == "mine"


# nets of the user's own

OWN = '''
import keras

print("the module ran")


class Wide(keras.Model):
    def __init__(self, classes=2, width=4):
        super().__init__()
        self.layer = keras.layers.Dense(width, "relu")
        self.logits = keras.layers.Dense(classes)

    def call(self, images, training=False):
        return self.logits(self.layer(keras.ops.reshape(images, [-1, 144])))


class Told(Wide):
    def __init__(self, classes=2, width=4):
        super().__init__(classes, width)
        self.arguments = {"classes": classes, "width": width}

    def get_config(self):
        return self.arguments
'''
OWN_READERS = {**READERS, "keras": "import keras, my_nets; y = keras.models.load_model(path, custom_objects={'Told': "
               "my_nets.Told})(x.astype('float32') / 255, training=False)",
               "weights": "import my_nets; n = my_nets.Wide(2, 6); v = x.astype('float32') / 255; n(v); "
               "n.load_weights(path); y = n(v)"}


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder with my_nets.py, and a run of each of its classes."""
    place = tmp_path_factory.mktemp("own")
    (place / "my_nets.py").write_text(OWN)
    np.savez(place / "data.npz", x_train=IMAGES, y_train=np.arange(12) % 2, x_test=IMAGES, y_test=np.arange(12) % 2)
    for net in ("Wide", "Told"):
        done = by_hand(place, "train_classifier.py", "--net", f"my_nets:{net}", "--net-option", "width=6", "--dataset",
                       "npz", "--data-dir", "data.npz", "--cycles", "6", "--batch-size", "4", "--plan", "graph",
                       "--run-dir", net)
        assert done.returncode == 0, done.stderr
    (place / "data.npz").unlink()
    return place


def by_hand(place, script, *options):
    """A script where ``place`` is on Python's path."""
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, options)]
    return subprocess.run(command, cwd=place, env={**ENVIRONMENT, "PYTHONPATH": f"{ROOT}:{place}"}, text=True,
                          capture_output=True, check=False)


@pytest.mark.parametrize("kind", OWN_READERS)
def test_a_net_of_ones_own_is_exported_when_it_is_named(own, kind, tmp_path):
    missing = [name for name in NEEDS.get(kind, ()) if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"without {', '.join(missing)}")
    net = "Told" if kind == "keras" else "Wide"
    path = tmp_path / f"exported{'.weights.h5' if kind == 'weights' else f'.{kind}'}".replace(
        ".savedmodel", "").replace(".litert", ".tflite")
    done = by_hand(own, "export.py", net, "--net", f"my_nets:{net}", "--format", kind, "--output", path)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()[1:]  # after what the module prints
    load = ("load it with: import my_nets; "
            f"keras.models.load_model({str(path)!r}, custom_objects={{'Told': my_nets.Told}})")
    assert told == [f"{path}: classifier ({net}) at cycle 6", *([load] if kind == "keras" else [])]
    np.save(tmp_path / "inputs.npy", IMAGES)
    code = (f"import sys; import numpy as np; path = {str(path)!r}; x = np.load('inputs.npy'); {OWN_READERS[kind]}; "
            "np.save('outputs.npy', np.asarray(y)); assert not {'engine', 'losses', 'nets'} & {*sys.modules}")
    variables = {"PYTHONPATH": str(own)} if kind in ("keras", "weights") else {}
    read = subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, env={**ENVIRONMENT, "PYTHONPATH": "",
                          **variables}, text=True, capture_output=True, check=False)
    assert read.returncode == 0, read.stderr
    code = f"""import my_nets, numpy as np; from engine import open_run
run = open_run({net!r}, nets={{"classifier": my_nets.{net}(2, 6)}})
np.save({str(tmp_path / 'wanted.npy')!r}, run.predict(np.load({str(tmp_path / 'inputs.npy')!r})))"""
    subprocess.run([sys.executable, "-c", code], cwd=own, env={**ENVIRONMENT, "PYTHONPATH": f"{ROOT}:{own}"},
                   capture_output=True, check=True)
    wanted = np.load(tmp_path / "wanted.npy")
    assert wanted.std() > 0.01
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("options, text", [
    (["Wide"], "error: `--net` (not given) must be my_nets:Wide, as in training: opening the run runs its code\n"),
    (["Told"], "error: `--net` (not given) must be my_nets:Told, as in training: opening the run runs its code\n"),
    (["Wide", "--net", "my_nets:Told"], "error: `--net` (my_nets:Told) must be my_nets:Wide, as in training"),
    (["Wide", "--net", "my_nets:Wide", "--net", "critic"], "error: `--net` (critic) must be one of classifier\n")])
def test_code_that_only_the_run_names_is_not_run(own, options, text, tmp_path):
    done = by_hand(own, "export.py", *options, "--format", "savedmodel", "--output", tmp_path / "x")
    assert done.returncode == 2 and text in done.stderr and "Traceback" not in done.stderr
    assert "the module ran" not in done.stdout or "critic" in options
    assert not list(tmp_path.iterdir())


def test_a_keras_file_that_nobody_could_load_is_not_written(own, tmp_path):
    done = by_hand(own, "export.py", "Wide", "--net", "my_nets:Wide", "--format", "keras", "--output",
                   tmp_path / "x.keras")
    assert done.returncode == 2 and done.stderr == (
        "error: `--format` (keras) must be another one, as weights: the net has my_nets:Wide, which has no get_config: "
        "Keras's own does not know a model's arguments\n")
    assert not list(tmp_path.iterdir())


def test_of_a_run_in_python_whose_net_is_named(own, tmp_path):
    code = """import my_nets, keras, numpy as np
from engine import ArraySource, Trainer
from engine.data.augment import scale
from losses.strategies import Supervised
x = ArraySource({"image": np.zeros([8, 12, 12, 1], np.uint8), "label": np.zeros([8], np.int32)}, 4, transform=scale)
t = Trainer(Supervised(), {"classifier": my_nets.Told(2, 6)}, keras.optimizers.SGD(0.1), x, held_out=x, plan="graph",
            run_dir="python")
t.train(cycles=2)"""
    subprocess.run([sys.executable, "-c", code], cwd=own, env={**ENVIRONMENT, "PYTHONPATH": f"{ROOT}:{own}"},
                   capture_output=True, check=True)
    options = ["export.py", "python", "--format", "savedmodel", "--output", tmp_path / "x"]
    done = by_hand(own, *options)
    assert done.returncode == 2 and done.stderr == (
        "error: `--net` (not given) must be module:Class of your net, if it is in a module, or in Python open_run("
        "'python', nets={'classifier': ...}): the run has Told of the module my_nets, which is not imported here\n")
    done = by_hand(own, *options, "--net", "my_net:Told")
    assert done.returncode == 2 and "`net` (my_net:Told) must be in a module that can be imported" in done.stderr
    done = by_hand(own, *options, "--net", "my_nets:Told")
    assert done.returncode == 0 and f"{tmp_path / 'x'}: classifier (Told) at cycle 2" in done.stdout, done.stderr


# runs of other scripts

def test_a_net_of_texts_is_a_saved_model_and_litert_says_that_it_cannot(text_run, tmp_path):
    done = run("export.py", text_run, "--format", "savedmodel", "--output", "saved", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    opened = open_run(text_run)
    _, form = opened.served("classifier")
    tokens = np.random.default_rng(0).integers(0, 5, (3, *form.shape[1:])).astype(np.int32)
    saved = tf.saved_model.load(tmp_path / "saved")  # it holds its variables
    found = saved.serve(tf.constant(tokens)).numpy()
    np.testing.assert_allclose(found, opened.predict(tokens), rtol=1e-5, atol=1e-5)
    done = run("export.py", text_run, "--format", "litert", "--output", "x.tflite", cwd=tmp_path)
    assert done.returncode == 2 and "error: `--format` (litert) must be another one: " in done.stderr
    assert "Traceback" not in done.stderr and not (tmp_path / "x.tflite").exists()


def test_a_run_of_a_table_is_opened_and_exported(tmp_path):
    (tmp_path / "t.csv").write_text("rooms,price\n" + "".join(f"{i},{10 * i}\n" for i in range(1, 21)))
    done = run("train_regression.py", "--dataset", "csv", "--data-dir", "t.csv", "--target", "price", "--batch-size", 4,
               "--cycles", 4, "--plan", "graph", "--run-dir", "run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = run("export.py", "run", "--format", "savedmodel", "--output", "saved", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = np.array([[-1.0], [0.5]], np.float32)
    saved = tf.saved_model.load(tmp_path / "saved")  # it holds its variables
    found = saved.serve(tf.constant(rows)).numpy()
    np.testing.assert_allclose(found, open_run(tmp_path / "run").predict(rows), rtol=1e-5, atol=1e-5)
