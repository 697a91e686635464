"""One process of part 1: cases of one precision and plan, one after the other; a line of JSON for each.

  python -m gpu.works_worker '{"device": ..., "precision": ..., "plan": ..., "cases": ..., ...}'
"""

import contextlib
import importlib
import io
import json
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import cli
import reopen
import wiring

from gpu.works import terms_of

Point = dict[str, Any]


def main(point: Point) -> int:
    """All cases of ``point``; see ``works.run``."""
    runs: dict[str, Path] = {}
    for name, command in point["cases"].items():
        runs[name] = Path(point["folder"]) / name.replace(" ", "-")
        line = {"case": name, **{key: point[key] for key in ("device", "precision", "plan")}, "error": ""}
        began = time.monotonic()
        try:
            line |= _case(command, runs[name], point)
        except Exception as error:  # one case's failure is its own line
            traceback.print_exc()
            line["error"] = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:300]}"
        if line["error"] == "" and name in {case for case, _ in point["tools"].values()}:
            line["tools"] = {
                tool: _tool(tool, [each.format(run=runs[name], folder=point["folder"]) for each in options])
                for tool, (case, options) in point["tools"].items() if case == name}
        print(json.dumps({**line, "seconds": time.monotonic() - began, "memory_growth": _memory_growth()}), flush=True)
    return 0


def _case(command: list[str], folder: Path, point: Point) -> Point:
    """Train, and train on: the terms of the first cycle and of the last."""
    script, *options = command
    options += ["--precision", point["precision"], "--plan", point["plan"], "--log-every", "1", "--run-dir",
                str(folder)]
    for cycles in (point["trained"], point["continued"]):
        said = _called(script, [*options, "--cycles", str(cycles)])
        if said.code:
            return {"error": f"exit code {said.code}: {said.last}"}
        rows = terms_of(folder / "metrics.csv")
        if len(rows) < cycles:
            return {"error": f"{len(rows)} rows in metrics.csv after {cycles} cycles"}
    if f"at cycle {point['trained']} of {point['continued']}" not in said.text:
        return {"error": f"was not continued: {said.last}"}
    if not rows[-1]:  # earlier ones may be in float16, whose first updates are passed over until the loss scale fits
        return {"error": "the last row holds nothing finite"}
    return {"first": rows[0], "last": rows[-1]}


class _Said:
    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, text

    @property
    def last(self) -> str:
        """The last line."""
        return ([line for line in self.text.splitlines() if line.strip()] or ["no message"])[-1][:300]


def _called(script: str, options: list[str]) -> _Said:
    """A script within this process, as a person would type it."""
    import keras

    module, text = importlib.import_module(script), io.StringIO()
    sys.argv = [f"{script}.py", *options]
    keras.backend.clear_session()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        chosen = cli.Command(module.Options(), None).parse(options)
        code = wiring.run(chosen, module.job) if hasattr(module, "job") else reopen.answer(lambda: module.main(chosen))
    sys.stderr.write(text.getvalue())
    return _Said(code, text.getvalue())


def _tool(script: str, options: list[str]) -> str:
    """What is wrong with a tool; "": nothing."""
    try:
        said = _called(script, options)
    except Exception as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {error}"[:300]
    return f"exit code {said.code}: {said.last}" if said.code else ""


def _memory_growth() -> bool | None:
    """Whether TensorFlow takes the GPU's memory as it needs it; None without a GPU."""
    import tensorflow as tf

    found = [tf.config.experimental.get_memory_growth(gpu) for gpu in tf.config.list_physical_devices("GPU")]
    return all(found) if found else None


if __name__ == "__main__":
    raise SystemExit(main(json.loads(sys.argv[1])))
