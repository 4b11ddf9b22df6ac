"""Fresh cards from the Hub, as a CSV file that `DatasetCards` reads."""

import csv
import io
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

from huggingface_hub import DatasetInfo, HfApi, constants, errors, hf_hub_download

from hfcls.data.files import csv_reader
from hfcls.errors import InputError

logger = logging.getLogger(__name__)

COLUMNS = "page_link download_time dataset_size dataset_number bclass sclass dataset_viewer".split()
PAGE = "https://huggingface.co/datasets/"  # what names a dataset in the file, whichever mirror it comes from
NOT_FOR_US = (401, 403, 404)  # of a dataset that is gated or gone, or has no card

# The Hub's task categories by coarse class.
COARSE = {
    "Multimodal": "feature-extraction text-to-image image-to-text text-to-video visual-question-answering "
    "document-question-answering graph-machine-learning",
    "Computer Vision": "depth-estimation image-classification object-detection image-segmentation image-to-image "
    "unconditional-image-generation video-classification zero-shot-image-classification zero-shot-object-detection "
    "mask-generation image-feature-extraction",
    "Natural Language Processing": "text-classification token-classification table-question-answering "
    "question-answering zero-shot-classification translation summarization conversational text-generation "
    "text2text-generation fill-mask sentence-similarity text-retrieval multiple-choice",
    "Audio": "text-to-speech text-to-audio automatic-speech-recognition audio-to-audio audio-classification "
    "voice-activity-detection",
    "Tabular": "tabular-classification tabular-regression tabular-to-text table-to-text time-series-forecasting",
    "Reinforcement Learning": "reinforcement-learning robotics",
    "Other": "other",
}
COARSE_OF = {task: coarse for coarse, tasks in COARSE.items() for task in tasks.split()}


def download_cards(limit: int, output: str | Path) -> int:
    """Appends the cards of up to `limit` datasets to `output`, the most downloaded first; returns how many it holds.

    A dataset takes one row for each of its task categories; those without, and those without a card, are passed over.
    Datasets that the file holds already are not fetched again, so that the same command goes on where it stopped; and
    cards lie in the cache of the Hub's client, which waits as long as a refusal for the rate of requests says.

    Raises:
        InputError: the file is not one of cards, or the Hub cannot be reached or goes on refusing.
    """
    output = Path(output)
    known = _read_names(output)
    try:
        with output.open("a", encoding="utf-8", newline="") as file:
            if file.tell() == 0:
                file.write(_lines([COLUMNS]))
            for info in _datasets_with_tasks(limit, known):
                card = _card(info.id)
                if card is None:
                    continue
                file.write(_lines(_rows(info, card)))  # a dataset's rows at once: a file cut off ends in one dataset
                file.flush()
                known.add(info.id)
                if len(known) % 100 == 0:
                    logger.info("%d datasets", len(known))
    except (errors.HTTPError, OSError) as error:
        said = " ".join(str(error).split())
        raise InputError(
            f"{constants.ENDPOINT}: {said or type(error).__name__}; {output} keeps {len(known)} datasets, the same "
            f"command goes on from there"
        ) from error
    return len(known)


def _datasets_with_tasks(limit: int, known: set[str]) -> Iterator[DatasetInfo]:
    """Datasets that are not in `known`, until that holds `limit`."""
    for info in HfApi().list_datasets(sort="downloads", full=True):
        if len(known) >= limit:
            return
        if info.id not in known and _tasks(info):
            yield info


def _tasks(info: DatasetInfo) -> list[str]:
    categories = [tag.removeprefix("task_categories:") for tag in info.tags or [] if tag.startswith("task_categories:")]
    return [category for category in categories if category in COARSE_OF]


def _card(name: str) -> str | None:
    """The README.md of a dataset; None where it has none, or none for us.

    Raises:
        HTTPError: the Hub cannot be reached or goes on refusing.
    """
    try:
        path = hf_hub_download(name, "README.md", repo_type="dataset")
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError) as error:
        # The latter says only that there is no copy in the cache either; its cause is what the Hub said.
        refusal = error if isinstance(error, errors.HfHubHTTPError) else error.__cause__ or error
        if isinstance(refusal, errors.HfHubHTTPError) and refusal.response.status_code in NOT_FOR_US:
            return None
        raise refusal from error
    return Path(path).read_bytes().decode("utf-8", errors="replace")


def _rows(info: DatasetInfo, card: str) -> list[list]:
    described = (info.card_data or {}).get("dataset_info") or {}
    described = described if isinstance(described, list) else [described]  # one for each configuration
    size = sum(about.get("dataset_size") or 0 for about in described) or -1
    rows = sum(split.get("num_examples") or 0 for about in described for split in about.get("splits") or []) or -1
    downloads = -1 if info.downloads is None else info.downloads
    return [[PAGE + info.id, downloads, size, rows, COARSE_OF[task], task, card] for task in _tasks(info)]


def _lines(rows: list[list]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _read_names(output: Path) -> set[str]:
    """The datasets in `output`. A last dataset that an interruption tore is cut off, to be fetched again."""
    if not output.exists():
        return set()
    content = output.read_bytes().decode("utf-8", errors="surrogateescape")
    lines = content.splitlines(keepends=True)
    ends = list(itertools.accumulate(map(len, lines), initial=0))
    begun: dict[str, int] = {}  # where each dataset's first row begins
    end, reader = 0, csv_reader(lines)
    try:
        for cells in reader:
            if end == 0 and cells != COLUMNS:
                raise InputError(f"{output}:1: not a file of cards; give another --output")
            if len(cells) != len(COLUMNS) or not content[: ends[reader.line_num]].endswith("\n"):
                break
            begun.setdefault(cells[0].removeprefix(PAGE), end)
            end = ends[reader.line_num]
    except csv.Error:
        logger.debug("%s: the quote of the last row is open", output)
    begun.pop(COLUMNS[0], None)
    if end < len(content):
        if begun:  # more rows of the last dataset may be missing
            end = begun.popitem()[1]
        logger.warning("%s: the last row is torn; its dataset is fetched again", output)
        with output.open("r+b") as file:
            file.truncate(len(content[:end].encode("utf-8", errors="surrogateescape")))
    return set(begun)
