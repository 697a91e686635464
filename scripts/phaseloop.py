"""The command ``phaseloop``: the scripts by name, wherever they are installed.

  phaseloop train-vae --epochs 5      what python scripts/train_vae.py --epochs 5 does in a clone
  phaseloop train-vae --help          its options
"""

import ast
import difflib
import os
import sys
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
COMMANDS = ("demo", "train-classifier", "train-text", "train-regression", "train-autoencoder", "train-vae", "train-gan",
            "train-wgan-gp", "launch", "sweep", "kfold", "compare-nets", "evaluate", "predict", "sample", "export",
            "compare-runs", "inspect-run")


def script_of(command: str) -> Path:
    """Its file."""
    return HERE / f"{command.replace('-', '_')}.py"


def help_text() -> str:
    """What --help prints: each command with the first sentence of its script."""
    lines = [f"  {each:20}{(ast.get_docstring(ast.parse(script_of(each).read_text())) or '').splitlines()[0]}"
             for each in COMMANDS]
    return "\n".join(["usage: phaseloop COMMAND [OPTIONS]", "", *lines, "",
                      "phaseloop COMMAND --help tells its options."])


def main() -> int:
    """Start the script in the place of this process. The exit code is that of the script."""
    command, *options = sys.argv[1:] or ["--help"]
    if command in ("-h", "--help"):
        print(help_text())
        return 0
    if command == "--version":
        print(metadata.version("phaseloop"))
        return 0
    if command not in COMMANDS:
        nearest = difflib.get_close_matches(command, COMMANDS, n=1, cutoff=0.0)[0]
        print(f"error: `COMMAND` ({command}) must be one of {', '.join(COMMANDS)}; nearest: {nearest}", file=sys.stderr)
        return 2
    os.execv(sys.executable, [sys.executable, str(script_of(command)), *options])


if __name__ == "__main__":
    raise SystemExit(main())
