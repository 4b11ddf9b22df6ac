# %% [markdown]
# # A finished model at work
#
# What `hfcls.Classifier` answers: texts, tables, on any machine that has the folder or the Hub's name of the model.

# %%
import os

import pandas

from hfcls import Classifier, fine_tune

run = fine_tune(
    dataset="thucnews", architecture="ngram_linear", output_dir="outputs/headlines", resume_from_checkpoint="auto"
)
classifier = Classifier("outputs/headlines")

# %%
answer = classifier("球队赢得冠军")
print(answer.label, round(answer.probability, 3))

# %% [markdown]
# A table comes back with three columns more. Such tables are what Spark's `mapInPandas` hands out, and Ray's
# `map_batches(Classifier, fn_constructor_args=["outputs/headlines"])`.

# %%
news = pandas.DataFrame({"id": [1, 2], "text": ["股市今天上涨", "新款手机发布"]})
classifier(news)

# %% [markdown]
# A file of any length: `hfcls predict outputs/headlines --input news.csv --output answers.csv`; over HTTP:
# `hfcls serve outputs/headlines`. To the Hub, where you are logged in:

# %%
if "HFCLS_PUSH_TO" in os.environ:  # NAMESPACE/NAME
    print(run.push(os.environ["HFCLS_PUSH_TO"], private=True))
