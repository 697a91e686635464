"""A Chromium without a window, driven through its debugging pipe: no package is needed for it."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "headless_shell")
PATH = os.environ.get("PHASELOOP_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--remote-debugging-pipe")


class Browser:
    """A page in it. What it asks of the network is in ``asked``, what its scripts throw in ``thrown``."""

    def __init__(self, read: Any, write: Any) -> None:
        self._read, self._write, self._number, self._session, self._held = read, write, 0, "", b""
        self.asked: list[str] = []
        self.thrown: list[str] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Network.enable")
        self.call("Runtime.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        """The answer to a command of the DevTools protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._write.write(json.dumps(message).encode() + b"\0")
        self._write.flush()
        while (answer := self._message()).get("id") != self._number:
            if answer.get("method") == "Runtime.exceptionThrown":
                self.thrown.append(str(answer["params"]["exceptionDetails"]))
            url = answer.get("params", {}).get("request", {}).get("url", "")
            if url and not url.startswith(("file:", "data:")):
                self.asked.append(url)
        assert "error" not in answer, answer
        return answer["result"]

    def run(self, script: str) -> Any:
        """The value of an expression or promise of JavaScript in the page."""
        found = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def open(self, page: Path, width: int = 1300, scheme: str = "light") -> None:
        """Show a page, and wait until it is drawn."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=page.resolve().as_uri())
        self.run("new Promise((done) => document.readyState === 'complete' ? done() : addEventListener('load', done))")
        self.run("new Promise((done) => setTimeout(done, 100))")

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._held:
            data = os.read(self._read.fileno(), 2**16)
            assert data, "the browser has ended"
            self._held += data
        message, _, self._held = self._held.partition(b"\0")
        return dict(json.loads(message))


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser, ended afterwards."""
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
    with tempfile.TemporaryDirectory() as profile, open(ours_in, "rb", 0) as read, open(ours_out, "wb") as write:
        command = [str(PATH), *FLAGS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(command, preexec_fn=lambda: (os.dup2(theirs_in, 3), os.dup2(theirs_out, 4)),
                                   close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # it looks for its pipe at 3 and 4
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            yield Browser(read, write)
        finally:
            process.kill()
            process.wait()
