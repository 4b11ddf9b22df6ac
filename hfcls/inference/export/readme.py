"""README.md of an exported folder: what lies in it, and how it is asked."""

import json
from pathlib import Path

from hfcls.inference.export.manifest import INT8_GRAPH, NAME

_COMMANDS = {
    "texts": 'python predict.py "a text" "another"',
    "images": "python predict.py picture.png",
    "cards": "python predict.py CARD.md owner/name",
    "pairs": 'python predict.py "a text" picture.png another.png',
}
_NEEDS = {
    "texts": "onnxruntime tokenizers numpy",
    "images": "onnxruntime numpy pillow",
    "cards": "onnxruntime numpy tokenizers",
    "pairs": "onnxruntime tokenizers numpy pillow",
}


def write_readme(folder: Path) -> None:
    """Writes README.md into `folder`, whose other files are there."""
    model = json.loads((folder / NAME).read_text(encoding="utf-8"))
    needs = _NEEDS[model["kind"]]
    if model.get("segmenter"):
        needs = f"onnxruntime numpy {model['segmenter']}"
    openvino = any(folder.glob("*.xml"))
    if openvino:
        needs = needs.replace("onnxruntime", "openvino")
    graph = "*.xml, *.bin" if openvino else "*.onnx"
    files = {
        graph: "the graph; of a classifier its outputs are `logits`, `probabilities` and `chosen`",
        NAME: "labels in the order of the outputs, thresholds, and what else `predict.py` goes by",
        "predict.py": "asks it, and shows how: copy from it what you need",
    }
    lines = ["# An exported model", "", "```bash", f"pip install {needs}", _COMMANDS[model["kind"]], "```", ""]
    if model.get("segmenter"):
        lines += [
            f"It reads words as {model['segmenter']} cuts them, which no tokenizer.json can hold: `vocab.json` numbers "
            "them. Another language needs the same cut.",
            "",
        ]
    lines += ["| File | |", "|---|---|", *(f"| `{name}` | {what} |" for name, what in files.items()), ""]
    if model.get("graph") == INT8_GRAPH:
        lines += [f"`{INT8_GRAPH}`, of 8-bit weights, answers; `model.onnx` is the exact one.", ""]
    if openvino:
        lines += [
            "`predict.py` computes in float32. Where the processor has bfloat16, `INFERENCE_PRECISION_HINT` `bf16` is "
            "faster, and logits differ by hundredths.",
            "",
        ]
    if model.get("temperature"):
        lines += ["The temperature of the calibration is in the graph.", ""]
    (folder / "README.md").write_text("\n".join(lines), encoding="utf-8")
