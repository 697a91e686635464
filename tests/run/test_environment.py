"""What the process around a run is set to on a GPU."""

import pytest

from engine.run import environment

GRAPHS, PRODUCTS = "--xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL", "--xla_gpu_enable_triton_gemm=false"


@pytest.mark.parametrize("given, expected", [
    ("", f"{GRAPHS} {PRODUCTS}"),
    ("--xla_dump_to=x", f"--xla_dump_to=x {GRAPHS} {PRODUCTS}"),
    ("--xla_gpu_enable_command_buffer=", f"--xla_gpu_enable_command_buffer= {PRODUCTS}"),  # the user's own word
    ("--xla_gpu_enable_triton_gemm=true", f"--xla_gpu_enable_triton_gemm=true {GRAPHS}"),
])
def test_what_xla_is_told_unless_the_user_says_otherwise(given, expected):
    assert environment.xla_flags(given) == expected


def test_a_process_without_a_gpu_is_left_alone(monkeypatch):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    environment.prepare(0)
    assert "XLA_FLAGS" not in environment.os.environ
