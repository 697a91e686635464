"""A Python program that uses the engine tells nothing of TensorFlow's libraries, unless they fail."""

import os
import subprocess
import sys

import pytest

HELD = """
import os
from engine.quiet import quiet
os.write(2, b"before ")
try:
    with quiet():
        os.write(2, b"meanwhile ")
        if {fails}:
            raise OSError
except OSError:
    pass
os.write(2, b"after")
"""


def told(program, **environment):
    """What a program says on standard error."""
    kept = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    ended = subprocess.run([sys.executable, "-c", program], env={**kept, **environment}, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def test_a_program_is_told_nothing_by_tensorflows_libraries():
    assert told("from engine import prepare; prepare(0); import tensorflow as tf\n"
                "tf.function(lambda x: 2 * x, jit_compile=True)(tf.ones([2]))") == ""


@pytest.mark.parametrize(("fails", "text"), [(False, "before after"), (True, "before meanwhile after")])
def test_what_is_held_back_is_told_of_a_failure(fails, text):
    assert told(HELD.format(fails=fails)) == text


def test_who_wants_to_read_it_may():
    assert told(HELD.format(fails=False), TF_CPP_MIN_LOG_LEVEL="0").endswith("before meanwhile after")
