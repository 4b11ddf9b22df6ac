"""Trains any text model on any table of texts and labels, or on one of the corpora that hfcls knows.

    accelerate launch recipes/text_classification.py --data_dir reviews.csv --text_column review --label_column stars \\
        --model_name_or_path google-bert/bert-base-multilingual-cased
    accelerate launch recipes/text_classification.py --data_dir reviews.parquet --from_scratch mini
    accelerate launch recipes/text_classification.py --dataset ccf_sentiment --data_dir ccf_sentiment \\
        --architecture ngram_linear --class_weight balanced
    accelerate launch recipes/text_classification.py --dataset my_corpus.py --architecture my_model.py

A file is split 80/10/10, class by class; a folder holds train.csv, dev.csv and test.csv (or .tsv, .json, .jsonl,
.parquet, .xlsx). my_corpus.py holds a builder of `datasets` that gives text and label, my_model.py a PreTrainedModel
with its config: naming the files on the command line runs them.
"""

from hfcls.text.arguments import TextClassificationArguments
from hfcls.text.fine_tuning import of_any_model
from hfcls.text.recipe import run

if __name__ == "__main__":
    run(TextClassificationArguments, task="text_classification", description=__doc__, defaults=of_any_model)
