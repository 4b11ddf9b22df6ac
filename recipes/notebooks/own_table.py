# %% [markdown]
# # A table of your own
#
# 210 support messages that come with hfcls, three classes: a baseline of n-grams, tested once, looked at, and asked.
# Put `pandas.read_csv("yours.csv")`, or the path itself, in the place of `messages`.

# %%
from importlib.resources import files

import pandas

from hfcls import fine_tune

sample = files("hfcls.project") / "my_task" / "sample.tsv"
messages = pandas.read_csv(sample, sep="\t", names=["label", "text"])
messages.groupby("label").head(1)

# %% [markdown]
# Every flag of `recipes/text_classification.py` is a keyword. A cell that is run again returns the finished run.

# %%
run = fine_tune(
    messages,
    architecture="ngram_linear",
    tokens="word",
    output_dir="outputs/messages",
    resume_from_checkpoint="auto",
)
run.metrics["test_accuracy"]

# %% [markdown]
# The test rows that it got wrong, and the page that says everything else.

# %%
wrong = run.predictions.query("label != prediction")
print(len(wrong), "wrong;", run.report)

# %%
run.classifier(["where is my parcel", "I was charged twice"])
