"""One file an architecture, config and model together, and the table of those that `--architecture` can name.

A file needs only torch and transformers (and files beside it): it is saved with the weights. What it is called here is
the name of the file and the `model_type` of its config. A new architecture of texts is such a file, a row in `TEXT` and
a test; one that stays outside of this folder needs no row: `--architecture path/file.py`.
"""

# For texts: the class in the file of that name.
TEXT = {
    "text_rnn": "TextRNNForSequenceClassification",
    "text_cnn": "TextCNNForSequenceClassification",
    "dpcnn": "DPCNNForSequenceClassification",
    "ngram_linear": "NgramLinearForSequenceClassification",
}

# For dataset cards: `cards.build` makes each in its own way, from what is counted in the training cards.
CARDS = ("fusion", "label_similarity", "ngram_linear")
