"""The bar on a terminal of a known width; plain lines elsewhere."""

import contextlib
import fcntl
import io
import os
import struct
import termios
import time
from collections.abc import Iterator
from typing import TextIO

import pytest

from engine.reporting.progress import Progress, describe, digits
from engine.reporting.writer import Start, Timestamp

TERMS = {"elbo/objective": 251.26, "elbo/reconstruction": 234.7, "elbo/kl": 16.5201,
         "elbo/gradient_norm": 3.0}


@contextlib.contextmanager
def terminal(columns: int) -> Iterator[tuple[TextIO, list[bytes]]]:
    """A pseudo-terminal: a stream to write on, and what was written once it is closed."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    seen: list[bytes] = []
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        yield stream, seen
    with contextlib.suppress(OSError):  # how Linux says that all is read
        while part := os.read(ours, 1 << 16):
            seen.append(part)
    os.close(ours)


def begin(target: int, cycle: int = 0) -> Start:
    """A training to ``target``, of 468 cycles an epoch."""
    return Start(None, (), {}, cycle, target, 468.75, print)


def draw(columns: int, initial: int = 0) -> list[str]:
    """What a terminal shows over time: its lines, overwritten ones too."""
    with terminal(columns) as (stream, seen):
        progress = Progress(stream)
        progress.open(begin(2000, initial))
        assert progress.on_terminal
        progress.progress(Timestamp(1200, 1200, 2.56, 1.0), TERMS)
        progress.line("a line")
        progress.close()
    return b"".join(seen).decode().replace("\r", "\n").splitlines()


def test_describe() -> None:
    text = describe(1200, 2.5641, {"elbo/objective": 251.26, "elbo/kl": 16.5201, "eval/kl": 17.0})
    assert text == "cycle 1200  epoch 2.56  elbo: objective 251.3  kl 16.52  eval: kl 17.00"


@pytest.mark.parametrize(("value", "text"), [
    (16.5, "16.50"), (1234.4, "1234"), (0.0, "0.000"), (-0.00012349, "-0.0001235"), (123456, "1.235e+05"),
    (float("nan"), "nan"), (float("inf"), "inf")])
def test_four_digits(value: float, text: str) -> None:
    assert digits(value) == text


def test_no_bar_elsewhere_than_on_a_terminal() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.open(begin(10))
    progress.progress(Timestamp(5, 5, 0.5, 1.0), TERMS)
    assert stream.getvalue() == "" and not progress.on_terminal
    progress.line("checkpoint 5")
    progress.close()
    assert stream.getvalue() == "checkpoint 5\n"


def test_the_stream_is_standard_error_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    Progress().line("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_a_wide_terminal_shows_all_terms() -> None:
    shown = [line for line in draw(200) if " 60%" in line][-1].strip()
    assert shown.startswith("epoch 3/5  60%|") and "cycles/s" in shown
    assert shown.endswith("], elbo 251.3, elbo/reconstruction 234.7, elbo/kl 16.52, elbo/gradient_norm 3.000")


@pytest.mark.parametrize("columns", [60, 80, 110, 130])
def test_terms_that_do_not_fit_are_left_out_whole(columns: int) -> None:
    lines = [line for line in draw(columns) if " 60%" in line]
    assert lines and all(len(line) <= columns for line in lines)
    words = lines[-1].partition("]")[2].strip(", ").split(", ")
    everything = [f"{name.removesuffix('/objective')} {digits(value)}" for name, value in TERMS.items()]
    assert words == everything[:len(words)] or (words == [""] and columns < 80)
    assert "elbo/gradient_norm" not in lines[-1]


def test_lines_stand_whole_above_the_bar() -> None:
    assert "a line" in draw(100)


def test_a_continued_run_starts_where_it_was() -> None:
    assert any(line.startswith("epoch 3/5  55%|") for line in draw(100, initial=1100))


def test_the_bar_says_that_it_compiles_and_its_clock_goes_on() -> None:
    with terminal(100) as (stream, seen):
        progress = Progress(stream)
        progress.open(begin(2000))
        time.sleep(2.3)
        progress.close()
    lines = b"".join(seen).decode().replace("\r", "\n").splitlines()
    assert any("[00:00<" in line and "compiling" in line for line in lines)
    assert any("[00:02<" in line and "compiling" in line for line in lines)


@pytest.mark.parametrize("term, plain, colour", [("xterm", "", True), ("xterm", "1", False), ("dumb", "", False)])
def test_a_colour_takes_no_room(term: str, plain: str, colour: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("NO_COLOR", plain)
    lines = draw(80)
    assert any("\x1b[32m" in line for line in lines) == colour
    assert any("elbo 251.3" in line for line in lines)
