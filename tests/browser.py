"""Headless Chromium over the DevTools protocol, by a pipe: what a page does when someone types, clicks and uploads."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
PATIENCE = 60.0  # seconds, on a busy machine


def chromium() -> str:
    """The browser's path; the test is skipped where there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    return found


class Browser:
    """One page of a browser of its own.

    >>> with Browser(language="zh-CN") as page:
    ...     page.open("http://127.0.0.1:8000")
    ...     page.evaluate("document.title")
    """

    def __init__(self, *, language: str = "en-US", width: int = 1280, height: int = 900):
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        flags = (
            f"--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --remote-debugging-pipe --lang={language}"
        )
        self._process = subprocess.Popen(
            # The protocol is spoken on the descriptors 3 and 4.
            f"exec {chromium()} {flags} --user-data-dir={self._profile.name} about:blank 3<&{commands} 4>&{answers}",
            shell=True,
            executable="/bin/bash",
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"LANGUAGE": language},
        )
        os.close(commands)
        os.close(answers)
        self._numbers, self._unread, self.events = itertools.count(1), b"", []
        self._session = None
        target = next(t for t in self("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self._session = self("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "DOM", "Log", "Network"):
            self(f"{domain}.enable")
        self("Emulation.setLocaleOverride", locale=language)
        self("Network.setUserAgentOverride", userAgent="test", acceptLanguage=language)
        self.resize(width, height)

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *exception) -> None:
        os.close(self._out)  # which ends the browser
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        self._profile.cleanup()

    def __call__(self, method: str, **parameters):
        """The result of a command of the protocol."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, address: str) -> None:
        self("Page.navigate", url=address)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    def evaluate(self, expression: str):
        """The value of an expression of JavaScript, or of its promise."""
        result = self("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def until(self, expression: str) -> None:
        """Waits until the expression holds."""
        end = time.monotonic() + PATIENCE
        while not self.evaluate(f"!!({expression})"):
            assert time.monotonic() < end, f"never: {expression}; {self.evaluate('document.body.innerText')[:500]}"
            time.sleep(0.05)

    def type(self, text: str) -> None:
        """Into whatever has the focus."""
        self("Input.insertText", text=text)

    def press(self, key: str, *, code: int, modifiers: int = 0, text: str = "") -> None:
        """A key, by its name and code; modifiers: 2 is Ctrl, 8 Shift."""
        for kind in ("keyDown", "keyUp"):
            self(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                modifiers=modifiers,
                **({"text": text} if text and kind == "keyDown" else {}),
            )

    def upload(self, selector: str, path: Path) -> None:
        root = self("DOM.getDocument")["root"]["nodeId"]
        node = self("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def download(self, selector: str, path: Path) -> str:
        """What a link saves, which calls it as `path` does."""
        self("Page.setDownloadBehavior", behavior="allow", downloadPath=str(path.parent))
        self.evaluate(f"document.querySelector({selector!r}).click()")
        end = time.monotonic() + PATIENCE
        while not path.exists():
            assert time.monotonic() < end, f"nothing was saved as {path}"
            time.sleep(0.05)
        return path.read_text(encoding="utf-8")

    def resize(self, width: int, height: int) -> None:
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def screenshot(self, path: Path) -> None:
        """Of the whole page."""
        picture = self("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        Path(path).write_bytes(base64.b64decode(picture))

    def complaints(self) -> list[str]:
        """What the console has of errors, violations of the page's policy among them."""
        found = [event["params"] for event in self.events if event.get("method") == "Log.entryAdded"]
        errors = [one["entry"]["text"] for one in found if one["entry"]["level"] == "error"]
        thrown = [
            e["params"]["exceptionDetails"]["text"] for e in self.events if e.get("method") == "Runtime.exceptionThrown"
        ]
        return errors + thrown

    def addresses(self) -> set[str]:
        """Everything that the page has asked for."""
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return {event["params"]["request"]["url"] for event in sent}

    def _next(self) -> dict:
        while b"\0" not in self._unread:
            piece = os.read(self._in, 2**16)
            assert piece, "the browser has ended"
            self._unread += piece
        message, _, self._unread = self._unread.partition(b"\0")
        return json.loads(message)
