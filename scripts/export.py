"""Write a net of a run for others to use: without phaseloop, without the training data.

  python scripts/export.py runs/classifier --format onnx               classifier.onnx
  python scripts/export.py runs/vae --format savedmodel --output served
  python scripts/export.py runs/wgan-gp --format keras --net generator --checkpoint best

savedmodel, onnx and litert hold evaluation's transform as well: they take data as stored (pictures uint8, 0 to 255)
and give what ``engine.open_run(RUN).predict(data)`` gives. keras and weights hold the net alone, with the weights that
evaluation uses: load them beside our package ``nets`` (``keras.models.load_model``), and hand them what the transform
makes, pictures as float32 in [0, 1]. onnx needs ``pip install tf2onnx onnx``.
"""

import dataclasses
from pathlib import Path
from typing import Any

import cli
import fields
import reopen
import rules
from fields import option

FORMATS = {"keras": ".keras", "weights": ".weights.h5", "savedmodel": "", "onnx": ".onnx", "litert": ".tflite"}


@dataclasses.dataclass(frozen=True)
class Options:
    """Of this script."""

    run_dir: Path = option(fields.REQUIRED, "folder of a run", Path, positional=True, metavar="RUN_DIR")
    format: str = option(fields.REQUIRED, "of the file; savedmodel is a folder", rules.Choice(*FORMATS))
    net: str | None = option(None, "which one of the run's nets (default: its only one)", metavar="NAME")
    checkpoint: Any = option("newest", "whose weights; best is that of the run's --goal", rules.checkpoint,
                             metavar="newest|best|CYCLE")
    output: Path | None = option(None, "(default: the net's name and the format's ending, in this folder)", Path)


def main(chosen: Options) -> int:
    from engine import open_run
    from engine.errors import require

    run = open_run(chosen.run_dir, chosen.checkpoint)
    require(chosen.net or len(run.nets) == 1, "--net", "none", f"one of {', '.join(run.nets)}")
    name = chosen.net or next(iter(run.nets))
    require(name in run.nets, "--net", name, f"one of {', '.join(run.nets)}")
    ending = FORMATS[chosen.format]
    output = chosen.output or Path(f"{name}{ending or '_savedmodel'}")
    require(output.name.endswith(ending), "--output", output, f"a path that ends in {ending}")
    require(not output.exists(), "--output", output, "a path where nothing is yet")
    if chosen.format in ("keras", "weights"):
        _save(run.nets[name], chosen.format, output)
    else:
        _export(run, name, chosen.format, output)
    print(f"{output}: {name} ({type(run.nets[name]).__name__}) at cycle {run.cycle}")
    return 0


def _save(net: Any, kind: str, output: Path) -> None:
    """The net alone, in Keras's own files."""
    output.parent.mkdir(parents=True, exist_ok=True)
    net.save(output) if kind == "keras" else net.save_weights(output)


def _export(run: Any, name: str, kind: str, output: Path) -> None:
    """Transform and net as one, by Keras's exporters."""
    import importlib.util

    from engine.errors import require

    missing = [each for each in ("tf2onnx", "onnx") if kind == "onnx" and not importlib.util.find_spec(each)]
    require(not missing, "--format", kind, f"another one, or after: pip install {' '.join(missing)}")
    served, spec = run.served(name)
    output.parent.mkdir(parents=True, exist_ok=True)
    kinds = {"savedmodel": "tf_saved_model", "onnx": "onnx", "litert": "litert"}
    served.export(str(output), format=kinds[kind], input_signature=[spec], verbose=False)


if __name__ == "__main__":
    chosen = cli.Command(Options(), __doc__).parse()
    raise SystemExit(reopen.answer(lambda: main(chosen)))
