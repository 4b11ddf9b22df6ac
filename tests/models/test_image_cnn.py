import torch
from torch import nn

from hfcls.models.image_cnn import ImageCNNConfig, ImageCNNForImageClassification


def test_published_network():
    """The logits and gradients of the published layers, in their published order."""
    torch.manual_seed(0)
    model = ImageCNNForImageClassification(ImageCNNConfig(num_labels=10))
    published = nn.Sequential(
        *(nn.Conv2d(1, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 128, 3, padding=1), nn.BatchNorm2d(128), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(6272, 784), nn.ReLU(), nn.Linear(784, 98), nn.ReLU(), nn.Linear(98, 10)),
    )
    assert [p.shape for p in model.parameters()] == [p.shape for p in published.parameters()]
    for ours, theirs in zip(model.parameters(), published.parameters(), strict=True):
        theirs.data.copy_(ours.data)
    images, labels = torch.randn(4, 1, 28, 28), torch.tensor([3, 0, 9, 3])
    for mode in (True, False):  # in training, batch norm collects what it uses in evaluation
        model.train(mode)
        published.train(mode)
        output = model(pixel_values=images, labels=labels)
        expected = published(images)
        torch.testing.assert_close(output.logits, expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(output.loss, nn.functional.cross_entropy(expected, labels))
    output.loss.backward()
    nn.functional.cross_entropy(expected, labels).backward()
    for ours, theirs in zip(model.parameters(), published.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-3)


def test_other_sizes_and_colour():
    config = ImageCNNConfig(image_size=30, num_channels=3, conv_channels=[4, 5, 6], hidden_sizes=[7], num_labels=2)
    model = ImageCNNForImageClassification(config)
    assert model(torch.randn(2, 3, 30, 30)).logits.shape == (2, 2)
    assert model.dense[0][0].in_features == 6 * 3 * 3
