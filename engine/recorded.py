"""What a run's folder says of it: configuration, parts and checkpoints, read and looked at."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import Invalid, require
from engine.run import checkpoint
from engine.run.described import NotDescribed
from engine.run.durable import read_json
from engine.run.parts import remade


def read(folder: Path, name: str) -> dict[str, Any]:
    """A file of JSON that every run has. Raises ``Invalid``."""
    require(folder.is_dir(), "folder", folder, "the folder of a run: there is no such folder")
    require((folder / name).is_file(), "folder", folder, f"the folder of a run: it has no {name}")
    try:
        return read_json(folder / name)
    except ValueError:
        raise Invalid(f"`folder` ({folder}) must be the folder of a run: its {name} is damaged; training on makes it "
                      "anew") from None


def parts_of(folder: Path) -> dict[str, Any]:
    """What parts.json says, as a run writes it. Raises ``Invalid``."""
    parts = read(folder, "parts.json")
    sources = parts.get("sources")
    good = isinstance(sources, dict) and sources and all(
        isinstance(each, dict) and {"batch_size", "form", "transform"} <= set(each) and isinstance(each["form"], dict)
        for each in sources.values())
    require(good and "strategy" in parts and isinstance(parts.get("nets"), dict), "parts.json", folder / "parts.json",
            "what a run writes")
    return parts


def made(part: Any, what: str, folder: Path) -> Any:
    """The object that a part describes; ``what`` is how ``open_run`` is handed it where nothing can make it."""
    try:
        return remade(part)
    except NotDescribed as reason:
        raise Invalid(f"`{what.partition('=')[0]}` (not given) must be given, open_run({str(folder)!r}, {what}"
                      f"{'' if '=' in what else '=...'}): the run has {reason}") from None


def checkpoint_of(folder: Path, at: str | int, say: Callable[[str], None]) -> tuple[Path, dict[str, Any]]:
    """A good checkpoint, "newest", "best" or of a cycle, and its manifest; ``say`` takes a line on each damaged one."""
    inside = folder / "checkpoints"
    path = checkpoint.newest(inside, lambda line: say(f"warning: {line}"))
    if path is None:
        raise Invalid(f"`run_dir` ({folder}) must be a run with a good checkpoint: there is none in its folder "
                      "checkpoints")
    if at != "newest":
        cycle: Any = checkpoint.manifest_of(path)["best"].get("cycle") if at == "best" else at
        require(cycle is not None, "checkpoint", at, "of a run with a goal: this one has none")
        kept = {checkpoint.cycle_of(each): each for each in checkpoint.listed(inside)}
        require(cycle in kept, "checkpoint", at, '"newest", "best", or one of the cycles that are kept: '
                + ", ".join(map(str, sorted(kept))))
        fault = checkpoint.fault_of(kept[cycle])
        require(not fault, "checkpoint", kept[cycle], f"whole: {fault}")
        path = kept[cycle]
    return path, checkpoint.manifest_of(path)
