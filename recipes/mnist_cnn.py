"""Trains the published CNN on MNIST, on scikit-learn's digits, or on a folder of your own pictures.

    accelerate launch recipes/mnist_cnn.py --data_dir mnist
    accelerate launch recipes/mnist_cnn.py --data_dir mnist --augment False --optimizer adam --schedule step
    accelerate launch recipes/mnist_cnn.py --data_dir pictures --model_name_or_path google/vit-base-patch16-224

--data_dir: idx files (.gz too), .pth tensors, or <class>/<picture>, which may lie in train/, val/ and test/; what is
missing of these is drawn. Published: 0.98 with a constant learning rate or warm-up, 0.989 with Adam and StepLR, after
64 epochs of all 60,000 pictures.
"""

from hfcls.errors import one_line_errors
from hfcls.images.arguments import ImageArguments
from hfcls.training.arguments import parse

TASK = "mnist_cnn"

CNN = {
    "learning_rate": 1e-3,
    "num_train_epochs": 12,
    "per_device_train_batch_size": 64,
    "per_device_eval_batch_size": 256,
    "lr_scheduler_type": "cosine",
    "warmup_steps": 0.1,
    "weight_decay": 0.01,
    "bf16": False,  # convolutions in bfloat16 are much slower than in float32 on CPUs
}

# What is fine-tuned takes smaller steps, and fewer of them.
PRETRAINED = {
    **CNN,
    "learning_rate": 5e-5,
    "num_train_epochs": 3,
    "per_device_train_batch_size": 32,
    "per_device_eval_batch_size": 64,
}


def defaults(given):
    values = CNN if given.model_name_or_path is None else PRETRAINED
    # Decay is adamw's; the published optimizers have none, and adam and its kin would add it to the gradient.
    return values if given.optimizer in (None, "adamw") else values | {"weight_decay": 0.0}


def main():
    arguments, training_args = parse(ImageArguments, task=TASK, description=__doc__, defaults=defaults)

    from hfcls.data.corpora import CORPORA
    from hfcls.images import build as images
    from hfcls.training import folds as cross_validation
    from hfcls.training import run as training
    from hfcls.training.corpus import load_corpus

    training.start(training_args)
    images.check_model(arguments)
    corpus = load_corpus(CORPORA["mnist"], arguments, training_args)
    cross_validation.run(images.build, corpus, arguments, training_args, task=TASK)


if __name__ == "__main__":
    with one_line_errors():
        main()
