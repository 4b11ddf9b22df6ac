"""A model as an ONNX graph, with what follows from its logits inside."""

import logging
import warnings
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from hfcls.errors import InputError

logger = logging.getLogger(__name__)


class Answers(nn.Module):
    """A classifier of which the graph is written: `logits`, `probabilities` and `chosen`, (B, classes) each.

    Probabilities are those of `hfcls predict`: the softmax, or the sigmoid where a row may have several labels; of a
    regression the bare output. `chosen` is true for the most probable class, or for each label whose probability
    reaches its threshold.

    Args:
        model: a classifier.
        inputs: names of what it takes, in the order in which the graph gets them.
        thresholds: (classes,) where a row may have several labels; None where it has one.
    """

    outputs = ("logits", "probabilities", "chosen")

    def __init__(self, model: nn.Module, inputs: Sequence[str], thresholds: Sequence[float] | None):
        super().__init__()
        self.model, self.inputs = model, list(inputs)
        self.several = thresholds is not None
        self.register_buffer("thresholds", torch.tensor(thresholds if self.several else [], dtype=torch.float32))

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        logits = self.model(**dict(zip(self.inputs, tensors, strict=True))).logits.float()
        config = self.model.config
        if config.problem_type == "regression":
            return logits, logits, torch.ones_like(logits, dtype=torch.bool)
        if self.several:
            probabilities = logits.sigmoid()
            return logits, probabilities, probabilities >= self.thresholds
        probabilities = logits.sigmoid() if config.num_labels == 1 else logits.softmax(dim=1)
        best = probabilities.argmax(dim=1, keepdim=True)
        return logits, probabilities, best == torch.arange(config.num_labels, device=logits.device)


def write_graph(
    module: nn.Module, inputs: dict[str, torch.Tensor], outputs: Sequence[str], path: Path, axes: dict[str, dict]
) -> None:
    """Writes `module`, which takes `inputs` in their order, as an ONNX file; weights of over 2 GB lie beside it.

    Args:
        inputs: examples, of which the graph takes names, types and what is not in `axes`.
        outputs: their names.
        axes: of each input, axis → name, where any size is taken.

    Raises:
        InputError: the exporter of torch cannot follow the model.
    """
    from hfcls.inference.export.operators import OPSET, TRANSLATIONS, exportable
    from hfcls.inference.export.shortcuts import take_shortcuts

    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                exportable(module),
                tuple(inputs.values()),
                dynamo=True,
                dynamic_shapes=(tuple(axes[name] for name in inputs),),
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=OPSET,
                custom_translation_table=TRANSLATIONS,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        reason = next((line for line in reversed(str(error).splitlines()) if line.startswith(("- ", "<class"))), "")
        raise InputError(
            f"{type(getattr(module, 'model', module)).__name__} cannot be exported ({reason.strip('- ')[:200]}); "
            "HFCLS_DEBUG=1 shows where"
        ) from error
    take_shortcuts(program.model)
    _forget_where_it_was_made(program)
    program.save(path, external_data=sum(t.nbytes for t in module.state_dict().values()) > 2**31 - 2**24)


def optimize(path: Path) -> None:
    """Replaces the graph by what onnxruntime makes of it: operators fused, some into its own, which no other runs."""
    import onnxruntime

    fused = path.with_suffix(".fused.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(fused)
    options.log_severity_level = 3  # errors
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    fused.replace(path)


def _forget_where_it_was_made(program: torch.onnx.ONNXProgram) -> None:
    """Takes out the lines of Python that the exporter notes at each operator: paths of this machine are among them."""
    program.model.metadata_props.clear()
    for graph in (program.model.graph, *program.model.functions.values()):
        graph.metadata_props.clear()
        for node in graph.all_nodes():
            node.metadata_props.clear()
            for value in node.outputs:
                value.metadata_props.clear()
    for value in (*program.model.graph.inputs, *program.model.graph.initializers.values()):
        value.metadata_props.clear()


@contextmanager
def _quiet():
    """Keeps the exporter from writing about packages that it does not find, and from warning of its own insides."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)
