"""What the process around a run is set to on a GPU."""

import pytest

from engine.run import environment


@pytest.mark.parametrize("given, expected", [
    ("", "--xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL"),
    ("--xla_dump_to=x", "--xla_dump_to=x --xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL"),
    ("--xla_gpu_enable_command_buffer=", "--xla_gpu_enable_command_buffer="),  # the user's own word
])
def test_loops_are_part_of_cuda_graphs_unless_the_user_says_otherwise(given, expected):
    assert environment.xla_flags(given) == expected


def test_a_process_without_a_gpu_is_left_alone(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    environment.prepare(0)
    assert "XLA_FLAGS" not in environment.os.environ
