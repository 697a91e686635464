"""A signal before the first update: one line, and the exit code of the signal."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent.parent.parent / "scripts"
PROGRAM = """
import os, early, wiring
early.install()
with wiring.quiet():  # as while TensorFlow loads
    os.write(2, b"noise")
    os.kill(os.getpid(), {signum})
"""


@pytest.mark.parametrize("signum, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_line_is_seen_while_tensorflow_loads(signum, code):
    done = subprocess.run([sys.executable, "-c", PROGRAM.format(signum=int(signum))], cwd=SCRIPTS, capture_output=True,
                          text=True, check=False, timeout=60)
    assert done.returncode == code
    assert done.stderr == (f"\n{signum.name}: nothing was being trained, nothing is lost; "
                           "continue with: python -c\n")
