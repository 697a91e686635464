"""A notebook's kernel in a process of its own, whose cells a test runs and interrupts."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 600.0  # seconds for a cell


@dataclass
class Cell:
    """What a cell gave.

    Attributes:
      text: Of its streams, of results and of errors.
      kinds: MIME types of what it displayed, in order; updates of a display apart, in ``updates``.
      error: Name of the exception that ended it.
      stderr: What it wrote in red.
    """

    text: str = ""
    kinds: list[str] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)
    error: str = ""
    stderr: str = ""

    def take(self, message: dict[str, Any]) -> None:
        """Note one message of the kernel."""
        kind, content = message["msg_type"], message["content"]
        if kind == "stream":
            self.text += content["text"]
            self.stderr += content["text"] if content["name"] == "stderr" else ""
        elif kind in ("display_data", "execute_result", "update_display_data"):
            (self.updates if kind.startswith("update") else self.kinds).extend(content["data"])
            self.text += content["data"].get("text/plain", "")
        elif kind == "error":
            self.error = content["ename"]
            self.text += "\n".join(content["traceback"])


class Kernel:
    """A running kernel."""

    def __init__(self, manager: Any, client: Any) -> None:
        self._manager, self._client = manager, client

    def run(self, source: str, interrupt_when: Callable[[str], bool] | None = None, times: int = 1) -> Cell:
        """Run a cell; press the notebook's stop button once its text is such, some ``times``."""
        cell, request, end = Cell(), self._client.execute(source), time.monotonic() + PATIENCE
        while True:
            message = self._client.get_iopub_msg(timeout=max(0.1, end - time.monotonic()))
            if message["parent_header"].get("msg_id") != request:
                continue
            cell.take(message)
            if interrupt_when is not None and interrupt_when(cell.text):
                for _ in range(times):
                    self._manager.interrupt_kernel()
                    time.sleep(0.05)
                interrupt_when = None
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return cell

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return bool(self._manager.is_alive())


@contextlib.contextmanager
def kernel(folder: Path) -> Iterator[Kernel]:
    """A kernel that works in ``folder``; it is stopped at the end."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder), env={**os.environ, "PYTHONPATH": str(ROOT), "KERAS_BACKEND": "tensorflow"})
    client = manager.blocking_client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=300)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
