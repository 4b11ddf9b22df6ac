"""A model with its graph in `onnx/`, asked by transformers.js in a real browser: the same label, the same score.

Needs Chromium, and HFCLS_NODE_MODULES: the folder that `npm install @huggingface/transformers` made.
"""

import json
import os
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hfcls.inference.classifier import Classifier

pytest.importorskip("onnxscript", reason="pip install 'hfcls[export]'")

from hfcls.inference.export.export import Wanted, export  # noqa: E402

SAVED = Path(__file__).parents[2] / "saved_models"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MODULES = os.environ.get("HFCLS_NODE_MODULES")
PAGE = """<!doctype html><meta charset="utf-8"><script type="module">
const report = (answer) => fetch("/answer", {method: "POST", body: JSON.stringify(answer)});
try {
  const {pipeline, env} = await import("/node_modules/@huggingface/transformers/dist/transformers.min.js");
  env.allowLocalModels = false;
  env.useBrowserCache = false;
  env.remoteHost = location.origin + "/";
  env.remotePathTemplate = "{model}/";
  env.backends.onnx.wasm.wasmPaths = location.origin + "/node_modules/onnxruntime-web/dist/";
  env.backends.onnx.wasm.numThreads = 1;
  const texts = await (await fetch("/texts.json")).json();
  const answers = {};
  for (const dtype of ["fp32", "q8"]) {
    const classify = await pipeline("text-classification", "model", {dtype, device: "wasm"});
    answers[dtype] = [];
    for (const text of texts) answers[dtype].push((await classify(text))[0]);
  }
  await report(answers);
} catch (error) { await report({error: String(error), stack: String(error.stack)}); }
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.skipif(MODULES is None, reason="HFCLS_NODE_MODULES names no folder with @huggingface/transformers")
def test_a_browser_answers_the_same(tmp_path):
    model = shutil.copytree(SAVED / "bert", tmp_path / "model")
    export(str(model), str(model / "onnx"), Wanted(rows=20, int8=True))
    texts = json.loads((model / "expected.json").read_text())["texts"][:5]
    (tmp_path / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
    (tmp_path / "index.html").write_text(PAGE, encoding="utf-8")
    (tmp_path / "node_modules").symlink_to(Path(MODULES).resolve())
    found = _ask_browser(tmp_path)
    assert "error" not in found, found
    for text, answer in zip(texts, found["fp32"], strict=True):
        expected = Classifier(str(model))(text)
        assert answer["label"] == expected.label
        assert answer["score"] == pytest.approx(expected.probability, abs=1e-3)
    assert [answer["label"] for answer in found["q8"]] == [answer["label"] for answer in found["fp32"]]


def _ask_browser(folder: Path) -> dict:
    """What the page in `folder` reports within four minutes."""
    answers, arrived = [], threading.Event()

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=str(folder))

        def do_POST(self):
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()
            arrived.set()

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/index.html"
        flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
        with subprocess.Popen(
            [CHROMIUM, *flags, "--remote-debugging-port=0", address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as browser:
            arrived.wait(240)
            browser.terminate()
        server.shutdown()
    assert answers, "the browser reported nothing"
    return answers[0]
