"""An exported folder for OpenVINO in place of onnxruntime: its graphs converted, its predict.py told so."""

import json
import re
from pathlib import Path

import numpy as np

from hfcls.errors import InputError
from hfcls.inference.export.manifest import GRAPH, NAME, OPENVINO_GRAPH
from hfcls.inference.openvino_session import EXACT
from hfcls.runs.json_files import read_json, write_json

# What differs in the scripts of `standalone`: how a graph is opened, and how it is asked.
_OPENED = re.compile(r'onnxruntime\.InferenceSession\((str\(.*\)), providers=\["CPUExecutionProvider"\]\)')
_ASKED = re.compile(r"return (\w+)\.run\(\[.*?\], (.*)\)(\[0\])?$", re.MULTILINE)


def to_openvino(folder: Path) -> None:
    """Replaces the ONNX graphs in `folder` by those of OpenVINO, in float32, and changes labels.json and predict.py.

    Raises:
        InputError: OpenVINO cannot compute the model.
    """
    names = {}
    for path in sorted(folder.glob("*.onnx")):
        names[path.name] = OPENVINO_GRAPH if path.name == GRAPH else f"openvino_{path.stem}.xml"
        _convert(path, folder / names[path.name])
        path.unlink()
        path.with_name(f"{path.name}.data").unlink(missing_ok=True)
    content = read_json(folder / NAME)
    write_json(
        folder / NAME,
        {key: names.get(value, value) if isinstance(value, str) else value for key, value in content.items()},
    )
    script = folder / "predict.py"
    source = _OPENED.sub(
        rf'openvino.Core().compile_model(\1, "CPU", {json.dumps(EXACT)})', script.read_text(encoding="utf-8")
    )
    source = _ASKED.sub(r"return list(\1(\2, share_outputs=False).values())\3", source)
    script.write_text(source.replace("onnxruntime", "openvino"), encoding="utf-8")


def _convert(onnx: Path, xml: Path) -> None:
    import openvino

    core = openvino.Core()
    try:
        # Not convert_model, which reports its use to its makers.
        model = core.read_model(onnx)
        _sort_stably(model)
        openvino.save_model(model, xml, compress_to_fp16=False)
        compiled = core.compile_model(xml, "CPU", EXACT)
        compiled({given.get_any_name(): _ones(given) for given in model.inputs})
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise InputError(f"OpenVINO cannot compute this model ({reason}): take --format onnx") from error


def _sort_stably(model) -> None:
    """TopK keeps equal numbers in their order, as that of ONNX does; its translation says so of the largest only."""
    from openvino import opset11

    for node in model.get_ops():
        if node.get_type_name() == "TopK" and not node.get_attributes()["stable"]:
            how = node.get_attributes() | {"stable": True}
            numbers, places = node.outputs()
            sorted_anew = opset11.topk(node.input_value(0), node.input_value(1), **how).output(1)
            # Not by its other output: where that is read, OpenVINO 2026.4 cannot compile dpcnn.
            in_order = opset11.gather_elements(node.input_value(0), sorted_anew, axis=how["axis"]).output(0)
            numbers.replace(in_order)
            places.replace(sorted_anew)


def _ones(given) -> np.ndarray:
    """An input of the graph, two rows of it, three tokens long where any length is taken."""
    sizes = [size.get_length() if size.is_static else 3 for size in given.get_partial_shape()]
    return np.ones([2, *sizes[1:]], dtype=given.get_element_type().to_dtype())
