"""Write a net of a run for others to use: without phaseloop, without the training data.

  python scripts/export.py runs/classifier --format onnx               classifier.onnx
  python scripts/export.py runs/vae --format savedmodel --output served
  python scripts/export.py runs/wgan-gp --format keras --net generator --checkpoint best
  python scripts/export.py runs/own --format onnx --net my_nets:Wide    a net of your own: its code is run

savedmodel, onnx and litert hold evaluation's transform as well: they take data as stored (pictures uint8, 0 to 255)
and give what ``engine.open_run(RUN).predict(data)`` gives. keras and weights hold the net alone, with the weights that
evaluation uses: load them beside our package ``nets`` (``keras.models.load_model``), and hand them what the transform
makes, pictures as float32 in [0, 1]. onnx needs ``pip install 'phaseloop[export]'``.
"""

import dataclasses
import warnings
from collections.abc import Sequence
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
    net: tuple[str, ...] = option((), "which one of the run's nets (default: its only one); of a net of your own its "
                                  "module:Class, as in training: its code is run. May be repeated", nargs="append",
                                  metavar="NAME")
    checkpoint: Any = option("newest", "whose weights; best is that of the run's --goal", rules.checkpoint,
                             metavar="newest|best|CYCLE")
    output: Path | None = option(None, "(default: the net's name and the format's ending, in this folder)", Path)


def main(chosen: Options) -> int:
    from engine.errors import require

    named = [each for each in chosen.net if ":" not in each]
    run = _opened(chosen, [each for each in chosen.net if ":" in each])
    require(len(named) == 1 or (not named and len(run.nets) == 1), "--net", ", ".join(named) or "none",
            f"one of {', '.join(run.nets)}")
    name = named[0] if named else next(iter(run.nets))
    require(name in run.nets, "--net", name, f"one of {', '.join(run.nets)}")
    ending = FORMATS[chosen.format]
    output = chosen.output or Path(f"{name}{ending or '_savedmodel'}")
    require(output.name.endswith(ending), "--output", output, f"a path that ends in {ending}")
    require(not output.exists(), "--output", output, "a path where nothing is yet")
    classes = _own(run.nets[name]) if chosen.format == "keras" else []
    if chosen.format in ("keras", "weights"):
        _save(run.nets[name], chosen.format, output)
    else:
        _export(run, name, chosen.format, output)
    print(f"{output}: {name} ({type(run.nets[name]).__name__}) at cycle {run.cycle}")
    if classes:
        print(_loader(output, classes))
    return 0


def _opened(chosen: Options, classes: Sequence[str]) -> Any:
    """The run; ``classes`` of the user's own, module:Class, may be imported."""
    import nets
    from engine import Invalid, open_run, recorded

    config = recorded.read(chosen.run_dir, "config.json")
    if ":" in str(config.get("net", "")):  # of a train script
        which = reopen.Which(chosen.run_dir, chosen.checkpoint, classes[0] if classes else None)
        return reopen.reopen(which, data=False).run
    for each in classes:
        try:
            nets.own_net(each)
        except ValueError as error:
            raise Invalid(str(error)) from None
    try:
        return open_run(chosen.run_dir, chosen.checkpoint)
    except Invalid as error:
        command = "`--net` (not given) must be module:Class of your net, if it is in a module, or in Python "
        raise Invalid(str(error).replace("`nets` (not given) must be given, ", command)) from None


def _save(net: Any, kind: str, output: Path) -> None:
    """The net alone, in Keras's own files."""
    output.parent.mkdir(parents=True, exist_ok=True)
    net.save(output) if kind == "keras" else net.save_weights(output)


def _own(net: Any) -> list[str]:
    """The classes, module:Class, that a .keras file of the net needs beside Keras and our nets. Raises ``Invalid``."""
    from engine import Invalid
    from engine.run.described import NotDescribed, description

    try:
        classes: list[str] = description(net)["classes"]
    except NotDescribed as reason:
        raise Invalid(f"`--format` (keras) must be another one, as weights: the net has {reason}") from None
    return [each for each in classes if each.partition(".")[0] != "nets"]


def _loader(output: Path, classes: Sequence[str]) -> str:
    """The line that loads a .keras file of the user's own classes."""
    modules = ", ".join(dict.fromkeys(each.partition(":")[0] for each in classes))
    objects = ", ".join(f"{each.partition(':')[2]!r}: {each.replace(':', '.')}" for each in classes)
    return f"load it with: import {modules}; keras.models.load_model({str(output)!r}, custom_objects={{{objects}}})"


def _export(run: Any, name: str, kind: str, output: Path) -> None:
    """Transform and net as one, by Keras's exporters."""
    import importlib.util

    from engine import Invalid
    from engine.errors import require
    from engine.run.failure import one_line

    there = kind != "onnx" or all(map(importlib.util.find_spec, ("tf2onnx", "onnx")))
    require(there, "--format", kind, "another one, or after: pip install 'phaseloop[export]'")
    served, spec = run.served(name)
    output.parent.mkdir(parents=True, exist_ok=True)
    if kind == "savedmodel":
        _saved_model(served, spec, output)
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of tf2onnx, about NumPy
            served.export(str(output), format=kind, input_signature=[spec], verbose=False)
    except Exception as error:  # the converters have none of their own in common
        net = type(run.nets[name]).__name__
        raise Invalid(f"`--format` ({kind}) must be another one: {net} cannot be converted ({one_line(error)})"
                      ) from error


def _saved_model(served: Any, spec: Any, output: Path) -> None:
    """As Keras's exporter does, but without the gradients of custom gradients, which a net of TensorFlow's loops, as
    an LSTM, cannot save.
    """
    import keras
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track_and_add_endpoint("serve", served, [spec])
    archive.write_out(str(output), tf.saved_model.SaveOptions(experimental_custom_gradients=False), verbose=False)


if __name__ == "__main__":
    chosen = cli.Command(Options(), __doc__).parse()
    raise SystemExit(reopen.answer(lambda: main(chosen)))
