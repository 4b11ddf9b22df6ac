"""Published settings by name, and the ones that models from random weights were found to want.

Each is a dict of flags of `TrainingArguments`; a recipe adds what is particular to its task.
"""

# Batches and epochs that `text.by_rows` chooses by the number of training rows, in place of those of the presets below.
BY_ROWS = {"num_train_epochs": "auto", "per_device_train_batch_size": "auto"}

# Devlin et al. 2019, https://aclanthology.org/N19-1423, appendix A.3, recommend 2e-5, 3e-5 or 5e-5, batches of 16 or 32
# and two to four epochs, with dropout 0.1 (the model's own), weight decay 0.01 and a linear warm-up over the first
# tenth; Sun et al. 2019, https://arxiv.org/abs/1905.05583, found 2e-5 to be the rate that does not forget what was
# pretrained.
DEVLIN = {
    "learning_rate": 2e-5,
    "weight_decay": 0.01,
    "warmup_steps": 0.1,
    "num_train_epochs": 4,
    "per_device_train_batch_size": 16,
    "per_device_eval_batch_size": 32,
}

# Encoders narrower than BERT-base (MiniLM, multilingual-e5-small, BERT mini): Turc et al. 2019,
# https://arxiv.org/abs/1908.08962, chose among 3e-5, 5e-5, 1e-4 and 3e-4 for them, and four epochs. Measured in
# recipes/README.md, "With real weights".
SMALL_ENCODER = {
    "learning_rate": 1e-4,
    "weight_decay": 0.01,
    "warmup_steps": 0.1,
    "num_train_epochs": 4,
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 64,
    "eval_strategy": "epoch",
}

# BERT from random weights: they want a larger step, a warm-up and a decay.
FROM_SCRATCH = {
    "learning_rate": 5e-4,
    "weight_decay": 0.05,
    "warmup_steps": 0.1,
    "lr_scheduler_type": "cosine",
    "num_train_epochs": 8,
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 128,
}

# Recurrent and convolutional networks: Adam's usual rate, decaying, which every network here gains from.
NEURAL = {
    "learning_rate": 1e-3,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.05,
    "weight_decay": 0.01,
    "num_train_epochs": 8,
    "per_device_train_batch_size": 64,
    "per_device_eval_batch_size": 256,
}

# `ngram_linear`: a linear model on given ratios takes large steps and learns all it can in a few epochs.
NGRAMS = {
    "learning_rate": 2e-2,
    "num_train_epochs": 3,
    "per_device_train_batch_size": 256,
    "per_device_eval_batch_size": 512,
}
