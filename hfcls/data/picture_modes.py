"""What is lost where a picture becomes RGB with 8 bits a channel, as the pipelines of transformers make it.

This file needs Pillow only.
"""

from collections import Counter

from PIL import Image

__all__ = ["RGBLoss"]


class RGBLoss:
    """Counts the pictures of a corpus that are not what their owners see once they are RGB.

    `PIL.Image.Image.convert("RGB")`, through which `transformers.pipeline` sends every picture, clips values above 255
    and drops transparency, so that a colour appears which lay under it.
    """

    def __init__(self):
        self.counts = Counter()

    def add(self, image: Image.Image) -> None:
        """Looks at the header of a picture."""
        if image.mode[0] in "IF":  # I;16, I, F
            self.counts["have more than 8 bits a channel, and values above 255 become 255"] += 1
        elif image.has_transparency_data:
            self.counts["have transparent parts, and become what colour lies under them"] += 1

    def notes(self, where: str) -> list[str]:
        """What there is to be said, a line for each kind of loss."""
        return [
            f"{where}: {count} pictures {loss}, as in transformers' pipelines; save them as RGB to choose otherwise"
            for loss, count in self.counts.items()
        ]
