"""Tells where a message belongs.

    python my_task.py                                                    # the model of my_task_model.py, on the sample
    python my_task.py --data_dir messages.tsv                            # on messages of your own
    python my_task.py --model_name_or_path google-bert/bert-base-uncased # a pretrained model instead

What you type every time becomes a default here. `--help` lists every flag.
"""

from pathlib import Path

from hfcls.text.arguments import TextClassificationArguments
from hfcls.text.fine_tuning import of_any_model
from hfcls.text.presets import NEURAL
from hfcls.text.recipe import run

HERE = Path(__file__).parent

CORPUS = {"dataset": str(HERE / "my_task_corpus.py"), "data_dir": str(HERE / "sample.tsv")}
MODEL = {
    **NEURAL,
    "architecture": str(HERE / "my_task_model.py"),
    "tokens": "word",
    "learning_rate": 1e-2,
    "metric_for_best_model": "loss",
}


def defaults(given):
    """The defaults where a flag is absent; `given` has those that are there, and None for the others."""
    if given.model_name_or_path or given.from_scratch or given.architecture:
        return CORPUS | of_any_model(given)
    return CORPUS | MODEL


if __name__ == "__main__":
    run(TextClassificationArguments, task="my_task", description=__doc__, defaults=defaults)
