"""``--threads auto`` and ``--precision auto``: settled before TensorFlow starts, by a measurement that is kept.

Threads cannot be changed once TensorFlow runs, nor a net's precision once it is made, so the script itself is run for a
few seconds with each setting, in a process of its own. What was fastest is kept per machine, script, net, data and
batch size, in threads and precision alike.
"""

import dataclasses
import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import cli
import fields
import groups

HALF_PRECISION_FLAGS = {"amx_bf16", "avx512_bf16"}  # of a CPU that computes in bfloat16; others only imitate it
Settings = dict[str, Any]
Measure = Callable[[Settings], float]
Chosen = TypeVar("Chosen", bound=groups.TrainOptions)


def settle(options: Chosen, measure: Measure | None = None,
           say: Callable[[str], None] = lambda line: print(line, file=sys.stderr)) -> Chosen:
    """The options with a number or None for ``--threads``, and a precision for ``--precision``; tells TensorFlow.

    A run that is continued keeps its own. Call it before TensorFlow is imported.
    """
    chosen = options.run
    open_names = [name for name in ("threads", "precision") if getattr(chosen, name) == "auto"]
    if open_names and os.environ.get("TF_CONFIG"):
        cli.refuse(f"`--{open_names[0]}` (auto) must be named on several workers: each would measure its own")
    if open_names:
        found = _recorded(chosen.run_dir, open_names) or _kept_or_measured(options, measure or _measured(), say)
        chosen = dataclasses.replace(chosen, **{name: found[name] for name in open_names})
    if chosen.threads == "default":
        chosen = dataclasses.replace(chosen, threads=None)
    if chosen.threads:
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(chosen.threads)
    return dataclasses.replace(options, run=chosen)


def candidates(chosen: groups.Run, flags: set[str]) -> list[Settings]:
    """What there is to choose from."""
    threads = [None, 1] if chosen.threads == "auto" else [None if chosen.threads == "default" else chosen.threads]
    precisions = [chosen.precision]
    if chosen.precision == "auto":
        precisions = ["float32", "bfloat16"] if flags & HALF_PRECISION_FLAGS else ["float32"]
    return [{"threads": count, "precision": precision} for count, precision in itertools.product(threads, precisions)]


def _recorded(run_dir: Path, names: list[str]) -> Settings | None:
    """What the run in ``run_dir`` was begun with."""
    try:
        held = json.loads((run_dir / "config.json").read_text())
        return {name: held.get(name) for name in names} if "script" in held else None
    except (OSError, ValueError):
        return None


def _kept_or_measured(chosen: groups.TrainOptions, measure: Measure, say: Callable[[str], None]) -> Settings:
    model, flags = processor()
    options = candidates(chosen.run, flags)
    if len(options) == 1 or chosen.often.check or chosen.often.smoke:  # those train nothing that would be faster
        return options[0]
    place, path = _place(chosen, model), kept_in()
    kept = _read(path)
    if place not in kept:
        say(f"measuring {len(options)} settings, once for this machine, net and batch")
        speeds = [measure(each) for each in options]
        if not any(speeds):
            return options[0]  # the training itself will say what is wrong
        best = max(range(len(options)), key=lambda i: speeds[i])
        kept[place] = {"settings": options[best], "speeds": {_words(each): speed for each, speed in
                                                             zip(options, speeds, strict=True)}}
        _write(path, kept)
    found = kept[place]
    told = ", ".join(f"{words} {speed:.4g}" for words, speed in found["speeds"].items())
    say(f"{_words(found['settings'])}: cycles/s {told} (kept in {path})")
    return dict(found["settings"])


def _words(settings: Settings) -> str:
    return f"{settings['threads'] or 'default'} threads {settings['precision']}"


def _place(chosen: groups.TrainOptions, model: str) -> str:
    """What the measurement holds for: the machine, the script, and the options that the time of an update hangs on."""
    options = {leaf.name: str(leaf.value) for leaf in fields.leaves(chosen)
               if leaf.option.identity and leaf.option.speed and leaf.given}
    told = json.dumps([model, os.cpu_count(), Path(sys.argv[0]).stem, options], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def processor(path: Path = Path("/proc/cpuinfo")) -> tuple[str, set[str]]:
    """Model and flags of the CPU; nothing where the system does not tell."""
    try:
        lines = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
    except OSError:
        return "", set()
    told = {name.strip(): value.strip() for name, value in lines.items()}
    return told.get("model name", ""), set(told.get("flags", "").split())


def kept_in() -> Path:
    """The file of what was measured."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "phaseloop" / "settings.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError):
        return {}


def _write(path: Path, kept: Mapping[str, Any]) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(kept, indent=1))
        part.replace(path)
    except OSError:  # it is measured again next time
        return


def _measured() -> Measure:
    """Runs this script for a few seconds, and reads its speed; 0 if it fails."""
    def measure(settings: Settings) -> float:
        asked = ["--threads", str(settings["threads"] or "default"), "--precision", settings["precision"]]
        ended = subprocess.run([sys.executable, *sys.argv, *asked, "--measure"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
        try:
            return float(ended.stdout.strip().splitlines()[-1])
        except (IndexError, ValueError):
            return 0.0
    return measure
