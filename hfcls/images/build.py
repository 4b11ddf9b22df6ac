"""The models that are trained on pictures."""

import numpy as np
from transformers import TrainingArguments

from hfcls.images.arguments import ImageArguments
from hfcls.images.rows import ImageCollator, ImageRows, pixel_values_by
from hfcls.inference.examples import classify_images
from hfcls.inference.loading import check_image_classifier, load_image_classifier
from hfcls.models.image_cnn import ImageCNNConfig, ImageCNNForImageClassification, ImageCNNImageProcessor
from hfcls.training.classifier import ClassifierSetup
from hfcls.training.setup import Corpus, Rows, align_labels

TASK = "image-classification"


def check_model(arguments: ImageArguments) -> None:
    """Makes sure, before any data is prepared, that there is the model that `build` will load.

    Raises:
        InputError: it cannot be fetched or loaded.
    """
    name = arguments.evaluate_only or arguments.model_name_or_path
    if name is not None:
        check_image_classifier(name, trained=arguments.evaluate_only is not None)


def build(arguments: ImageArguments, training_args: TrainingArguments, corpus: Corpus) -> ClassifierSetup:
    """The published CNN, or the model of `--model_name_or_path`, or the saved one of `--evaluate_only`.

    Raises:
        InputError: the model cannot be loaded or does not fit the corpus.
    """
    name, loading = arguments.evaluate_only or arguments.model_name_or_path, []
    if arguments.evaluate_only is not None:
        processor, model = load_image_classifier(name)
        corpus = align_labels(corpus, model)
    elif name is not None:
        processor, model = load_image_classifier(name, corpus.target.names, loading.append)
    else:
        names = corpus.target.names
        config = ImageCNNConfig(id2label=dict(enumerate(names)), label2id={name: i for i, name in enumerate(names)})
        processor, model = ImageCNNImageProcessor(), ImageCNNForImageClassification(config)
    rows = {}
    for split, content in corpus.splits.items():
        pictures = content["image"]
        if isinstance(processor, ImageCNNImageProcessor):
            pictures = np.stack([processor.pixels(image) for image in pictures])
        seed = training_args.seed if arguments.augment and split == "train" else None
        rows[split] = ImageRows(pictures, content["label"], seed)
    return ClassifierSetup(
        corpus,
        processor,
        Rows(**rows),
        ImageCollator(pixel_values_by(processor)),
        model,
        name or "MNIST CNN",
        base_model=arguments.model_name_or_path,
        pipeline_task=TASK,
        loading=loading,
        classify=classify_images,
    )
