"""Chinese words as tokens, cut by jieba.

jieba does not fit into a `tokenizer.json`, so this is a tokenizer in Python. The file needs nothing but transformers
and jieba: `save_pretrained` copies it beside the vocabulary, and `AutoTokenizer.from_pretrained(folder,
trust_remote_code=True)` runs the copy where this package is not installed.
"""

import functools
import json
import logging
import os
from collections.abc import Callable, Iterable

from transformers import PythonBackend


@functools.cache  # outside the tokenizer, which stays small to pickle and to hash
def segmenter(name: str) -> Callable[[str], Iterable[str]]:
    """The function that cuts a text into words: `jieba`, or `rjieba`, which is faster and does not always agree.

    Raises:
        ImportError: rjieba is not installed.
        ValueError: any other name.
    """
    if name == "jieba":
        import jieba

        jieba.setLogLevel(logging.WARNING)  # it reports the loading of its dictionary on standard error
        return jieba.Tokenizer().cut  # its own, so that words added to the global one do not change a saved tokenizer
    if name == "rjieba":
        try:
            import rjieba
        except ImportError as error:
            raise ImportError("This tokenizer cuts with rjieba: pip install rjieba") from error
        return rjieba.cut
    raise ValueError(f"segmenter is jieba or rjieba, not {name!r}")


class JiebaTokenizer(PythonBackend):
    """One token a word, looked up in a vocabulary; white space is dropped, nothing is added in front or behind.

    Args:
        vocab: word to id, 0 to n - 1.
        vocab_file: a JSON file with the same, in place of `vocab`.
        segmenter: `jieba` or `rjieba`. Saved, because the vocabulary was made with it.
        do_lower_case: fold the case of the words after the cut, which so stays the segmenter's own.

    Raises:
        ImportError: rjieba is not installed.

    Text never turns into a special token: a headline that contains `[PAD]` is cut like any other.
    """

    vocab_files_names = {"vocab_file": "vocab.json"}
    model_input_names = ["input_ids", "attention_mask"]

    def __init__(
        self,
        vocab: dict[str, int] | None = None,
        vocab_file: str | None = None,
        segmenter: str = "jieba",
        do_lower_case: bool = True,
        unk_token: str = "[UNK]",
        pad_token: str = "[PAD]",
        **kwargs,
    ):
        if vocab is None:
            with open(vocab_file, encoding="utf-8") as file:
                vocab = json.load(file)
        cut_words("", segmenter, do_lower_case)  # a package that is missing is missed now, not after some texts
        self._ids = vocab
        self._tokens = {index: token for token, index in self._ids.items()}
        self.segmenter = segmenter
        self.do_lower_case = do_lower_case
        kwargs.setdefault("split_special_tokens", True)
        super().__init__(
            segmenter=segmenter, do_lower_case=do_lower_case, unk_token=unk_token, pad_token=pad_token, **kwargs
        )

    @property
    def vocab_size(self) -> int:
        return len(self._ids)

    def get_vocab(self) -> dict[str, int]:
        return {**self._ids, **self.added_tokens_encoder}

    def _tokenize(self, text: str, **kwargs) -> list[str]:
        return list(cut_words(text, self.segmenter, self.do_lower_case))

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids.get(token, self._ids[self.unk_token])

    def _convert_id_to_token(self, index: int) -> str:
        return self._tokens.get(index, self.unk_token)

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        name = self.vocab_files_names["vocab_file"]
        path = os.path.join(save_directory, f"{filename_prefix}-{name}" if filename_prefix else name)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self._ids, file, ensure_ascii=False)
        return (path,)


def cut_words(text: str, name: str, lowercase: bool) -> Iterable[str]:
    """The words of a text that are not white space."""
    words = (word for word in segmenter(name)(text) if not word.isspace())
    return (word.lower() for word in words) if lowercase else words


JiebaTokenizer.register_for_auto_class()
