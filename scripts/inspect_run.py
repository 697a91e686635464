"""What a run is, whether its checkpoints are good, and what differs between two of them.

  python scripts/inspect_run.py runs/classifier
  python scripts/inspect_run.py runs/classifier --against 400 600        two of its checkpoints
  python scripts/inspect_run.py runs/classifier --against runs/other     the newest good one of each
  python scripts/inspect_run.py runs/classifier --against 400 runs/other/checkpoints/400

Reads the files alone: no net is built, and nothing is written. Every checkpoint is read to its last byte and compared
with its SHA-256. Of each variable that differs: the largest absolute difference, and the norm of the difference
divided by that of the first value. Exit code 2, with one line, for a folder that is no run or a checkpoint that is bad.
"""

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import cli
import fields
import reopen
from fields import option

RUN = ("script", "plan", "precision", "seed", "examples")  # of config.json: said first


@dataclasses.dataclass(frozen=True)
class Options:
    """Of this script."""

    run_dir: Path = option(fields.REQUIRED, "folder of a run", Path, positional=True, metavar="RUN")
    against: tuple[str, ...] = option((), "two checkpoints to compare, each by the cycle that names its folder or by "
                                      "its path; or one, or another run, to compare with the newest good one of RUN",
                                      nargs="+", metavar="CHECKPOINT")


def main(chosen: Options) -> int:
    from engine.errors import require

    config = _config(chosen.run_dir)
    if not chosen.against:
        return _describe(chosen.run_dir, config)
    require(len(chosen.against) <= 2, "--against", " ".join(chosen.against), "one or two checkpoints, or another run")
    names = chosen.against if len(chosen.against) == 2 else [str(chosen.run_dir), *chosen.against]
    return _compare(*(_good(chosen.run_dir, name) for name in names))


def _config(run_dir: Path) -> dict[str, Any]:
    """What config.json says. Raises ``Invalid``."""
    from engine.errors import require

    file = run_dir / "config.json"
    require(run_dir.is_dir(), "RUN", run_dir, "the folder of a run: there is no such folder")
    require(file.is_file(), "RUN", run_dir, "the folder of a run: it has no config.json")
    try:
        found = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        found = None
    require(isinstance(found, dict), "RUN", run_dir, "the folder of a run: its config.json is damaged")
    return dict(found)


def show(text: Any) -> None:
    """Print what a file of the run says: what would move the cursor or colour the terminal is escaped."""
    print(*map(cli.printable, str(text).splitlines()), sep="\n")


def _describe(run_dir: Path, config: Mapping[str, Any]) -> int:
    """Print what the run is, and its checkpoints, the newest last."""
    from engine.run import checkpoint

    lines, newest = [], None
    for path in checkpoint.listed(run_dir / "checkpoints"):
        text, manifest = _line(path, config)
        lines.append(text)
        newest = manifest or newest
    show(run_dir)
    show(f"  run          {_pairs({name: config[name] for name in RUN if name in config})}")
    show(f"  options      {_pairs({name: value for name, value in config.items() if name not in RUN})}")
    for name, value in (_facts(newest) if newest else {}).items():
        show(f"  {name:13}{_pairs(value) if isinstance(value, dict) else value}")
    show(f"checkpoints in {run_dir / 'checkpoints'}: {len(lines) or 'none'}")
    for line in lines:
        show(line)
    return 0


def _line(path: Path, config: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """A line about one checkpoint, and its manifest if it verifies."""
    from engine.run import checkpoint

    fault = checkpoint.fault_of(path)
    if fault:
        return f"  {path.name:>12}  does not verify: {fault}", None
    manifest = checkpoint.manifest_of(path)
    size = sum(file.stat().st_size for file in path.iterdir())
    shapes = manifest["variables"]
    held = sum(math.prod(shape) for name, (shape, _) in shapes.items() if name.startswith("nets/"))
    other = "" if manifest.get("config") == config else ", but is of a run of another configuration"
    return f"  {path.name:>12}  {size:,} bytes, {len(shapes)} variables, {held:,} numbers in nets, verifies{other}", (
        None if other else manifest)


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The counters of a run at its newest good checkpoint."""
    batches, examples = manifest["batches"], manifest["config"]["examples"]
    best = manifest.get("best") or "none: the run has no --goal"
    return {"cycle": manifest["cycle"], "epoch": f"{batches / (examples // manifest['config']['batch_size']):.4g}",
            "batches": batches, "updates": manifest["updates"], "rejected": manifest["rejected"] or "none",
            "rollbacks": manifest["rollbacks"], "best": best, "seconds": f"{manifest['seconds']:.1f} of training",
            "surroundings": manifest["surroundings"]}


def _good(run_dir: Path, name: str) -> Path:
    """The checkpoint that ``name`` means: a cycle of the run, a path, or the newest good one of a run."""
    from engine.errors import require
    from engine.run import checkpoint

    path = run_dir / "checkpoints" / name
    if not path.is_dir():
        path = Path(name)
    if (path / "config.json").is_file():
        bad: list[str] = []
        found = checkpoint.newest(path / "checkpoints", bad.append)
        require(found, "--against", path, f"a run with a good checkpoint{': ' * bool(bad)}{'; '.join(bad)}")
        return Path(str(found))
    known = ", ".join(each.name for each in checkpoint.listed(run_dir / "checkpoints")) or "none"
    require(path.is_dir(), "--against", name, f"a checkpoint of {run_dir} ({known}), its path, or another run")
    fault = checkpoint.fault_of(path)
    require(fault is None, "--against", path, f"a checkpoint that verifies: {fault}")
    return path


def _compare(first: Path, second: Path) -> int:
    """Print what differs from ``first`` to ``second``."""
    from engine.run import checkpoint

    manifests = [checkpoint.manifest_of(path) for path in (first, second)]
    states = [checkpoint.state_of(path, manifest) for path, manifest in zip((first, second), manifests, strict=True)]
    show(f"from {first}\nto   {second}")
    for name in ("cycle", "seconds", "seed", "surroundings", "config"):
        before, after = (manifest.get(name) for manifest in manifests)
        if isinstance(before, dict) and isinstance(after, dict):
            pairs = {key: (before.get(key), after.get(key)) for key in sorted({*before, *after})}
        else:
            pairs = {"": (before, after)}
        for key, (old, new) in pairs.items():
            if old != new:
                show(f"  {f'{name} {key}'.strip()}: {old} and {new}")
    lines = list(_differences(*states))
    for line in lines:
        show(line)
    same = len({*states[0], *states[1]}) - len(lines)
    show(f"{len(lines)} variables differ, {same} have the same bits")
    return 0


def _differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """A line for each variable that is not the same in bits."""
    import numpy as np

    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        forms = ["absent" if each is None else f"{each.dtype}{list(each.shape)}" for each in (old, new)]
        if old is None or new is None or forms[0] != forms[1]:
            yield f"  {name}: {forms[0]} and {forms[1]}"
        elif old.tobytes() != new.tobytes():
            with np.errstate(all="ignore"):
                change = new.astype(np.float64) - old.astype(np.float64)
                relative = np.linalg.norm(change) / np.linalg.norm(old.astype(np.float64))
            yield f"  {name} {forms[0]}: largest difference {np.abs(change).max():.3g}, relative norm {relative:.3g}"


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


if __name__ == "__main__":
    chosen = cli.Command(Options(), __doc__).parse()
    raise SystemExit(reopen.answer(lambda: main(chosen)))
