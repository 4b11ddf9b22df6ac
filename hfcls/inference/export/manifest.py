"""labels.json: what an exported model of texts says of itself beside its graph."""

from dataclasses import asdict, dataclass
from pathlib import Path

from transformers import PreTrainedConfig

from hfcls.inference.text_classifier import TextClassifier
from hfcls.models.truncation import HEADS
from hfcls.runs.json_files import from_json, read_json, write_json

NAME = "labels.json"
GRAPH, INT8_GRAPH = "model.onnx", "model_quantized.onnx"  # as the Hub and transformers.js call them
OPENVINO_GRAPH = "openvino_model.xml"  # as optimum-intel and sentence-transformers call it
INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True, kw_only=True)
class TextManifest:
    """How the graph of a classifier of texts is asked, and what its answers mean.

    Attributes:
        graph: the file that answers.
        labels: by their number.
        problem_type: as transformers has it.
        thresholds: (labels,) where a text may have several; the graph compares with them.
        temperature: by which the logits of the graph are divided already; None if they were not calibrated.
        inputs: of the graph.
        pad_token_id: what shorter rows of a batch are filled up with.
        max_length: tokens of a text that are read; None if any number.
        keep: head, tail or head_tail: which of them. None: the tokenizer cuts, on the other side than
            `truncation_side` says.
        head_of_510: of 510 tokens that are kept, those from the beginning.
        special_tokens: in front and behind, which always stay.
        truncation_side: right or left.
        pairs: the model was trained on pairs of texts.
        separator: whether the tokenizer encodes a pair; else the second text is the next line of the first.
        encode_special_tokens: whether "[SEP]" in a text is text.
        segmenter: jieba or rjieba, if the tokenizer is a `JiebaTokenizer`; `lowercase` is of its words.
        unknown: its id of an unknown word.
    """

    kind: str = "texts"
    graph: str = GRAPH
    labels: list[str]
    problem_type: str | None
    thresholds: list[float] | None
    temperature: float | None
    inputs: list[str]
    pad_token_id: int
    max_length: int | None
    keep: str | None
    head_of_510: int | None
    special_tokens: list[int]
    truncation_side: str
    pairs: bool
    separator: bool
    encode_special_tokens: bool
    segmenter: str | None = None
    lowercase: bool = False
    unknown: int | None = None

    @classmethod
    def of(cls, classifier: TextClassifier) -> "TextManifest":
        """What `classifier` says."""
        config, tokenizer, cut = classifier.config, classifier.tokenizer, classifier.truncation
        backend = getattr(tokenizer, "backend_tokenizer", None)
        words = getattr(tokenizer, "segmenter", None)
        thresholds = classifier.thresholds
        return cls(
            labels=classifier.labels,
            problem_type=config.problem_type,
            thresholds=None if thresholds is None else [float(f"{number:.9g}") for number in thresholds],
            temperature=getattr(config, "calibrated_temperature", None),
            inputs=[name for name in INPUTS if name in tokenizer.model_input_names],
            pad_token_id=tokenizer.pad_token_id or 0,
            max_length=classifier.max_length if cut is None else cut.max_length,
            keep=None if cut is None else cut.keep,
            head_of_510=None if cut is None else HEADS[cut.keep],
            special_tokens=[] if cut is None else [cut.first, cut.last],
            truncation_side=tokenizer.truncation_side,
            pairs=bool((getattr(config, "long_texts", None) or {}).get("pairs")),
            separator=tokenizer.sep_token is not None,
            encode_special_tokens=bool(backend is not None and backend.encode_special_tokens),
            segmenter=words,
            lowercase=words is not None and tokenizer.do_lower_case,
            unknown=None if words is None else tokenizer.unk_token_id,
        )

    @classmethod
    def read(cls, folder: str | Path) -> "TextManifest":
        """What `write` wrote.

        Raises:
            InputError: the file is missing, torn or lacks something.
        """
        path = Path(folder) / NAME
        return from_json(cls, read_json(path), f"{path}: ")

    def write(self, folder: Path) -> None:
        """Writes labels.json into `folder`."""
        write_json(folder / NAME, asdict(self))

    def config(self) -> PreTrainedConfig:
        """As much of the model's config as answering needs."""
        noted = {"keep": self.keep, "max_length": self.max_length, "pairs": self.pairs}
        return PreTrainedConfig(
            id2label=dict(enumerate(self.labels)),
            label2id={label: number for number, label in enumerate(self.labels)},
            problem_type=self.problem_type,
            decision_thresholds=self.thresholds,
            calibrated_temperature=self.temperature,
            **({} if self.keep is None else {"long_texts": noted}),
        )
