"""What a recipe for texts can be told on the command line."""

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import ClassVar, Literal, Self

from hfcls.data.corpora import corpus_names
from hfcls.errors import InputError
from hfcls.models import TEXT
from hfcls.own_code import is_file
from hfcls.text.languages import is_language
from hfcls.training.arguments import RecipeArguments

ROWS_IN_MEMORY = 1_000_000


@dataclass
class FloorArguments(RecipeArguments):
    """Whether a simple model is measured beside the one that is trained."""

    floor: Literal["auto", "yes", "no"] = field(
        default="auto",
        metadata={
            "help": "Measure a linear model of n-grams on the test rows, too; auto: where that takes under a tenth of "
            "the run, or under a second."
        },
    )

    def __post_init__(self):
        super().__post_init__()
        if self.floor == "yes" and self.evaluate_only is not None:
            raise InputError("--floor yes needs a model to learn beside, --evaluate_only trains none: drop one")


@dataclass
class TextArguments(FloorArguments):
    """How texts are read and cut. What is None of cutting is taken from the model of `--evaluate_only`."""

    encoding: str | None = field(
        default=None, metadata={"help": "Of the text files of --data_dir. Absent: UTF-8 or GB18030."}
    )
    max_length: str | None = field(
        default=None,
        metadata={
            "help": "Tokens kept, or auto: whole texts for n-grams; for others mean + 2 standard deviations of the "
            "training lengths, or what covers 95 to 99 % of them where that does not, at most 512. Absent: auto, or "
            "what the model of --evaluate_only was saved with."
        },
    )
    truncation: Literal["head", "tail", "head_tail"] | None = field(
        default=None,
        metadata={
            "help": "Which part of a longer text is kept. Absent: head, or what the model of --evaluate_only was saved "
            "with."
        },
    )

    length_buckets: bool | None = field(
        default=None,
        metadata={
            "help": "True or False: pad batches to one of some twenty lengths, so that a device sees few shapes. "
            "Absent: on a GPU, and with --torch_compile."
        },
    )
    preprocessing_num_workers: int = field(default=1, metadata={"help": "Processes that tokenize."})
    rows_in_memory: int = field(
        default=ROWS_IN_MEMORY,
        metadata={"help": "A split of more rows is read from the disk, and shuffled in blocks of rows."},
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ("preprocessing_num_workers", "rows_in_memory"):
            if getattr(self, name) < 1:
                raise InputError(f"--{name} {getattr(self, name)}: give a number of at least 1")
        if self.evaluate_only is None:
            self.max_length = self.max_length or "auto"
            self.truncation = self.truncation or "head"
        number = self.max_length not in (None, "auto")
        if number and not (self.max_length.isdecimal() and int(self.max_length) >= 3):
            raise InputError(f"--max_length {self.max_length}: give auto or a number of tokens of at least 3")

    @property
    def tokens_kept(self) -> int | None:
        """The number that `--max_length` gives, if it gives one."""
        return None if self.max_length in (None, "auto") else int(self.max_length)

    @property
    def reading(self) -> dict[str, int]:
        """How `tokenize_corpus` is to go about it."""
        return {"num_workers": self.preprocessing_num_workers, "rows_in_memory": self.rows_in_memory}

    def to_evaluate(self, saved: str) -> Self:
        arguments = super().to_evaluate(saved)
        arguments.max_length = arguments.truncation = None
        return arguments


@dataclass
class PretrainedTextArguments(TextArguments):
    """Which pretrained text model is fine-tuned, or which size is trained from scratch."""

    model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "OWNER/NAME of the Hub, modelscope:OWNER/NAME, both also with @REVISION, or a folder; absent: the "
            "recipe's own."
        },
    )
    from_scratch: Literal["tiny", "mini", "small", "base"] | None = field(
        default=None,
        metadata={"help": "Random weights and a vocabulary learned from the training split: needs no network."},
    )
    attention_dropout: float | None = field(
        default=None,
        metadata={
            "help": "Share of attention weights dropped while training. Absent: the model's own, mostly 0.1; with 0, a "
            "CPU trains up to four times as fast on long texts."
        },
    )
    padding_free: bool = field(
        default=False,
        metadata={"help": "Lay the rows of a batch end to end inside the model: nothing is computed for padding."},
    )
    linear_probe: bool | None = field(
        default=None,
        metadata={
            "help": "Start from a head that a regression on the pretrained model's states has fitted. Absent: where an "
            "encoder is narrower than BERT-base and a row has one label."
        },
    )
    freeze_encoder: bool = field(
        default=False, metadata={"help": "Train the last layer alone, on the pretrained model's states as they are."}
    )

    def __post_init__(self):
        super().__post_init__()
        chosen = [
            name for name in ("model_name_or_path", "from_scratch", "evaluate_only") if getattr(self, name) is not None
        ]
        if len(chosen) > 1:
            raise InputError(f"--{chosen[0]} and --{chosen[1]} exclude each other: give one of them")
        if self.attention_dropout is not None:
            other = next((name for name in ("evaluate_only", "architecture") if getattr(self, name, None)), None)
            if other is not None:
                raise InputError(f"--attention_dropout is of attention that is trained, --{other} is not: drop one")
            if not 0 <= self.attention_dropout < 1:
                raise InputError(f"--attention_dropout {self.attention_dropout:g}: give a share from 0 to below 1")
        others = ("from_scratch", "evaluate_only", "architecture")
        for flag in ("linear_probe", "freeze_encoder"):
            other = next((name for name in others if getattr(self, name, None) is not None), None)
            if getattr(self, flag) and other is not None:
                raise InputError(f"--{flag} is of pretrained weights that are trained, --{other} is not: drop one")


@dataclass
class TokenArguments(TextArguments):
    """Which baseline is trained, on which tokens, from which vectors."""

    architecture: str = field(
        default="text_rnn",
        metadata={
            "help": f"The model: {', '.join(TEXT)}; or one of your own, path/my_model.py or path/my_model.py:Class."
        },
    )
    tokens: Literal["auto", "char", "word", "mixed", "jieba", "rjieba"] = field(
        default="auto",
        metadata={
            "help": "What a token is: a character, a word between spaces, words but characters of scripts without "
            "spaces (mixed), a Chinese word; auto: one of the first three, by the scripts of the training texts, and "
            "for n-grams by the loss of an SVM on validation rows."
        },
    )
    vocab: str | None = field(
        default=None,
        metadata={"help": "A given vocabulary (vocab.txt, or THUCNews's vocab.pkl) instead of one learned from train."},
    )
    vocab_size: int | None = field(default=None, metadata={"help": "Keep only the most frequent tokens of train."})
    embeddings: str | None = field(
        default=None,
        metadata={"help": "Pretrained vectors: GloVe or word2vec text (.gz, .bz2, .xz too), or embedding_*.npz."},
    )
    padding_side: Literal["right", "left"] = field(default="right", metadata={"help": "Where batches are filled up."})


@dataclass
class ConfigArguments:
    """What the config of a model gets, if it has a field of that name."""

    embedding_dim: int = field(default=200, metadata={"help": "Width of the vectors where none are given."})
    freeze_embeddings: bool = field(default=False, metadata={"help": "Do not train the vectors."})
    dropout: float = field(default=0.3, metadata={"help": "Share of features dropped while training."})
    cell: Literal["rnn", "lstm", "gru", "lstm_by_hand"] = field(
        default="lstm", metadata={"help": "text_rnn: the cell."}
    )
    pooling: Literal["last", "max", "mean", "max_mean", "attention", "rcnn"] = field(
        default="max_mean", metadata={"help": "text_rnn: how the states of a text become one vector."}
    )
    hidden_size: int = field(default=128, metadata={"help": "text_rnn: width of one direction."})
    num_layers: int = field(default=2, metadata={"help": "text_rnn: recurrent layers."})
    bidirectional: bool = field(default=True, metadata={"help": "text_rnn: read every text backwards too."})
    initialization: Literal["default", "xavier", "orthogonal"] = field(
        default="default", metadata={"help": "text_rnn: of the weights; all but default: small embeddings too."}
    )
    ngram_max: int | None = field(
        default=None,
        metadata={
            "help": "ngram_linear: tokens of the longest n-gram. Absent: 3, or 5 characters where texts have words, "
            "and with --tokens auto what an SVM has the least loss with."
        },
    )
    min_count: int = field(default=2, metadata={"help": "ngram_linear: training texts that a feature must occur in."})


@dataclass
class BaselineArguments(ConfigArguments, TokenArguments):
    """Which baseline is trained, on which tokens, and of which size."""

    def __post_init__(self):
        super().__post_init__()
        if self.tokens == "rjieba" and find_spec("rjieba") is None:
            raise InputError("--tokens rjieba needs an extra: pip install 'hfcls[rjieba]', or give --tokens jieba")
        name = self.architecture
        if name is not None and name not in TEXT and not is_file(name):
            raise InputError(
                f"--architecture {name}: give {', '.join(TEXT)}, or the file of your own, path/my_model.py"
            )


CORPORA = corpus_names("text")


@dataclass
class ImdbArguments:
    """What the corpus IMDB can be told."""

    encoding: ClassVar[None] = None  # its owners' files are in UTF-8: no flag
    labels: Literal["sentiment", "rating"] = field(
        default="sentiment", metadata={"help": "Predict neg and pos, or the eight ratings of the file names."}
    )


@dataclass
class TextClassificationArguments(BaselineArguments, PretrainedTextArguments):
    """Any text model on any table, or on one of the corpora."""

    architecture: str | None = field(
        default=None,
        metadata={
            "help": f"A baseline, instead of a pretrained model: {', '.join(TEXT)}; or a model of your own, "
            "path/my_model.py or path/my_model.py:Class."
        },
    )
    dataset: str | None = field(
        default=None,
        metadata={
            "help": f"{', '.join(CORPORA)}, corpora with files of their own kind; a builder of your own, FILE.py or "
            "FILE.py:CLASS; or a data set of the Hub, NAMESPACE/NAME or NAMESPACE/NAME:CONFIG. Absent: --data_dir is a "
            "table."
        },
    )
    text_column: str = field(default="text", metadata={"help": "The column of the texts."})
    text_pair_column: str | None = field(default=None, metadata={"help": "The column of a second text."})
    label_column: str = field(
        default="label",
        metadata={"help": "The column of the classes, names or numbers; or columns of 0 and 1, one a class: a,b,c."},
    )
    multi_label: bool = field(
        default=False, metadata={"help": "A row has any number of labels: a list, or names between separators."}
    )
    label_separator: str = field(default=",", metadata={"help": "What stands between the labels of a row."})
    group_column: str | None = field(
        default=None, metadata={"help": "Rows with the same value here stay in one split where splits are drawn."}
    )
    language: str | None = field(default=None, metadata={"help": "Of a table, ISO 639-1; for the model card."})

    def __post_init__(self):
        super().__post_init__()
        models = ("model_name_or_path", "from_scratch", "architecture", "evaluate_only")
        given = [name for name in models if getattr(self, name) is not None]
        if given == ["architecture", "evaluate_only"] and is_file(self.architecture):
            given.remove("architecture")  # it brings the code of the saved model
        if len(given) != 1:
            raise InputError(f"give one of {', '.join(f'--{name}' for name in models)}")
        if self.dataset is not None and self.encoding is not None and self.dataset not in CORPORA:
            raise InputError(f"--encoding is of your own files; {self.dataset} brings its own reader: leave it out")
        own = self.dataset is not None and is_file(self.dataset)
        if own and self.multi_label:
            raise InputError(
                f"--multi_label is of a table; the label of {self.dataset} says whether there are several: leave it out"
            )
        if self.dataset is not None and not own and "/" not in self.dataset:
            if self.dataset not in CORPORA:
                raise InputError(
                    f"--dataset {self.dataset}: give {', '.join(CORPORA)}, NAMESPACE/NAME of the Hub, or FILE.py"
                )
            if self.multi_label:
                raise InputError(
                    f"--multi_label is of your own table; {self.dataset} has one class a row: leave it out"
                )
        elif self.dataset is not None and not own and self.data_dir is not None:
            raise InputError(f"--dataset {self.dataset} comes from the Hub: leave --data_dir out")
        if self.language is not None and not is_language(self.language):
            raise InputError(
                f"--language {self.language}: give its code of ISO 639, such as zh for Chinese and en for English"
            )
        if not self.label_separator:
            raise InputError("--label_separator: give at least one character")
        if self.dataset is None and self.data_dir is None:
            raise InputError("give the table as --data_dir FILE_OR_FOLDER, or the name of a corpus as --dataset")
