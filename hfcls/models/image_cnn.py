"""A small convolutional network for pictures of digits and the like, and the processor that makes its input.

The file needs only torch, transformers and Pillow: `save_pretrained` puts it beside the weights, and where hfcls is not
installed `pipeline("image-classification", model=folder, trust_remote_code=True)` runs it from there.
"""

import numpy as np
import torch
from huggingface_hub.dataclasses import strict
from PIL import Image
from torch import nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    BaseImageProcessor,
    BatchFeature,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers import initialization as init
from transformers.image_transforms import to_pil_image
from transformers.image_utils import load_image
from transformers.modeling_outputs import ImageClassifierOutput


@strict
class ImageCNNConfig(PreTrainedConfig):
    """What an `ImageCNNForImageClassification` is made of.

    Args:
        image_size: height and width of the input.
        num_channels: 1 for grey, 3 for colour.
        conv_channels: filters of each block.
        hidden_sizes: widths of the dense layers before the last one.
    """

    model_type = "image_cnn"

    image_size: int = 28
    num_channels: int = 1
    conv_channels: list[int] | tuple[int, ...] = (64, 128)
    hidden_sizes: list[int] | tuple[int, ...] = (784, 98)

    @property
    def flat_size(self) -> int:
        """Features after the last block: each block halves height and width, rounding down."""
        return self.conv_channels[-1] * (self.image_size >> len(self.conv_channels)) ** 2


class ImageCNNForImageClassification(PreTrainedModel):
    """Blocks of convolution, batch norm, ReLU and pooling, then dense layers: at 28 × 28, 6272 → 784 → 98 → classes.

    ReLU stands behind the pooling, where it has a quarter of the work and the same result.

    The network is the published one with one change: it ends in logits. The published one ends in a softmax whose
    output goes into the cross entropy, which is itself a softmax and a logarithm: of values between 0 and 1 the second
    softmax makes probabilities that never leave 0.1 to 0.24 for ten classes, so the loss never falls below 1.46, and
    the gradient of a confident mistake vanishes, where it should be largest.
    """

    config: ImageCNNConfig
    main_input_name = "pixel_values"
    # The loss is a mean over its own batch: it is for Trainer to divide it by the accumulation steps.
    accepts_loss_kwargs = False

    def __init__(self, config: ImageCNNConfig):
        super().__init__(config)
        channels = [config.num_channels, *config.conv_channels]
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(n, m, 3, padding=1), nn.BatchNorm2d(m), nn.MaxPool2d(2), nn.ReLU())
                for n, m in zip(channels, channels[1:], strict=False)
            )
        )
        sizes = [config.flat_size, *config.hidden_sizes]
        self.dense = nn.Sequential(
            *(nn.Sequential(nn.Linear(n, m), nn.ReLU()) for n, m in zip(sizes, sizes[1:], strict=False))
        )
        self.classifier = nn.Linear(sizes[-1], config.num_labels)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear):
            init.kaiming_normal_(module.weight, nonlinearity="relu")
            init.zeros_(module.bias)
        else:
            super()._init_weights(module)

    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor | None = None) -> ImageClassifierOutput:
        """Logits (B, num_labels), and the loss `config.problem_type` asks for when `labels` are given.

        Args:
            pixel_values: (B, num_channels, image_size, image_size) floats, as the processor makes them.
            labels: (B,) int64 for one label a picture, (B, num_labels) floats for several.
        """
        logits = self.classifier(self.dense(self.blocks(pixel_values).flatten(1)))
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return ImageClassifierOutput(loss=loss, logits=logits)


class ImageCNNImageProcessor(BaseImageProcessor):
    """From a picture of any size and kind to the input of `ImageCNNForImageClassification`; needs Pillow alone.

    A picture becomes upright 8-bit RGB, as any pipeline makes it, then grey (for three channels it stays RGB), is
    scaled to `image_size` × `image_size`, and its values, 0 to 1, are shifted and scaled by `image_mean` and
    `image_std`, one number each.

    MNIST is written in white on black: pictures of dark strokes on light paper are to be inverted first.
    """

    model_input_names = ["pixel_values"]

    def __init__(
        self,
        image_size: int = 28,
        num_channels: int = 1,
        image_mean: float = 0.1307,  # of MNIST's training pictures
        image_std: float = 0.3081,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.image_size = image_size
        self.num_channels = num_channels
        self.image_mean = image_mean
        self.image_std = image_std

    def pixels(self, image: Image.Image) -> np.ndarray:
        """One picture as (num_channels, image_size, image_size) uint8."""
        image = load_image(image)  # what a pipeline gives: called itself, the processor sees the same
        if self.num_channels == 1:
            image = image.convert("L")
        if image.size != (self.image_size, self.image_size):
            image = image.resize((self.image_size, self.image_size), Image.Resampling.BILINEAR)
        array = np.asarray(image)
        return array[np.newaxis] if array.ndim == 2 else array.transpose(2, 0, 1)

    def normalize_pixels(self, pixels: np.ndarray) -> torch.Tensor:
        """What `pixels` made, (B, C, H, W) uint8, as the model takes it: float32."""
        scale = 1 / (255 * self.image_std)
        return torch.from_numpy(pixels).float().mul_(scale).sub_(self.image_mean / self.image_std)

    def preprocess(self, images, return_tensors: str | None = None, **kwargs) -> BatchFeature:
        """`pixel_values` (B, C, H, W) of one picture or several: Pillow's, or arrays with or without a channel axis."""
        several = isinstance(images, list | tuple) or getattr(images, "ndim", 0) == 4
        images = [_picture(image) for image in (images if several else [images])]
        pixel_values = self.normalize_pixels(np.stack([self.pixels(image) for image in images]))
        return BatchFeature({"pixel_values": pixel_values}, tensor_type=return_tensors)


def _picture(image) -> Image.Image:
    if isinstance(image, Image.Image):
        return image
    return to_pil_image(image[None] if image.ndim == 2 else image)


AutoConfig.register(ImageCNNConfig.model_type, ImageCNNConfig, exist_ok=True)
AutoModelForImageClassification.register(ImageCNNConfig, ImageCNNForImageClassification, exist_ok=True)
AutoImageProcessor.register(ImageCNNConfig, image_processor_classes={"pil": ImageCNNImageProcessor}, exist_ok=True)
ImageCNNConfig.register_for_auto_class()
ImageCNNForImageClassification.register_for_auto_class("AutoModelForImageClassification")
ImageCNNImageProcessor.register_for_auto_class("AutoImageProcessor")
