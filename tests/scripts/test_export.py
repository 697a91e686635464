"""A net of a run in other programs' formats: the outputs of Run.predict, where neither we nor the data are."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from engine import open_run
from tests.scripts.running import ENVIRONMENT, ROOT, run, run_process

IMAGES = np.random.default_rng(0).integers(0, 256, (12, 12, 12, 1)).astype(np.uint8)
# Programs that are handed the exported path and inputs.npy, and write outputs.npy.
READERS = {
    "savedmodel": "import tensorflow as tf; m = tf.saved_model.load(path); y = m.serve(tf.constant(x))",
    "onnx": "import onnxruntime as o; s = o.InferenceSession(path); y = s.run(None, {s.get_inputs()[0].name: x})[0]",
    "litert": "import tensorflow as tf; i = tf.lite.Interpreter(path); d, = i.get_input_details(); "
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
