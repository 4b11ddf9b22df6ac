"""What is this dataset for? A finished model, asked about raw cards."""

import torch
from transformers import PreTrainedModel

from hfcls.cards.processor import CardProcessor, load_card_model
from hfcls.data.dataset_cards import clean_card


class DatasetCardClassifier:
    """A model of `recipes/dataset_cards.py` with all that it needs to read a card.

    >>> classifier = hfcls.DatasetCardClassifier.from_pretrained("outputs/dataset_cards")
    >>> classifier("# Movie reviews\\nGood or bad?", name="me/movie_reviews", downloads=12)
    [{'label': 'text-classification', 'score': 0.93...}]

    The answers of a model trained with `--target both` also have `coarse` and `coarse_score`.
    """

    def __init__(self, processor: CardProcessor, model: PreTrainedModel):
        self.processor = processor
        self.model = model.eval()

    @classmethod
    def from_pretrained(cls, name_or_path: str, *, trust_remote_code: bool = False) -> "DatasetCardClassifier":
        """The model of a folder or of the Hub.

        `trust_remote_code` allows its embedding model, if it was trained with one, to run code of its own.

        Raises:
            InputError: it is not there, or there is no network.
        """
        return cls(*load_card_model(name_or_path, trust_remote_code=trust_remote_code))

    @torch.inference_mode()
    def __call__(
        self,
        card: str,
        *,
        name: str = "",
        downloads: float | None = None,
        size: float | None = None,
        num_rows: float | None = None,
        top_k: int = 1,
    ) -> list[dict]:
        """The `top_k` most probable classes of a card, the first one first.

        Args:
            card: the README.md of a dataset, as it is.
            name: of the dataset on the Hub, `owner/name`.
            downloads, size, num_rows: None or a negative number for what is not known; `size` in the unit of training.
        """
        numbers = [number if number is not None and number >= 0 else None for number in (downloads, size, num_rows)]
        inputs = self.processor([clean_card(card)], [name], *([number] for number in numbers))
        output = self.model(**{key: value.to(self.model.device) for key, value in inputs.items()})
        scores, order = output.logits[0].float().softmax(0).sort(descending=True)
        names = self.model.config.id2label
        answers = [
            {"label": names[int(label)], "score": float(score)}
            for score, label in zip(scores[:top_k], order[:top_k], strict=True)
        ]
        if output.coarse_logits is not None:
            score, label = output.coarse_logits[0].float().softmax(0).max(0)
            coarse = {"coarse": self.model.config.coarse_labels[int(label)], "coarse_score": float(score)}
            answers = [answer | coarse for answer in answers]
        return answers
