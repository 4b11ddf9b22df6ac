"""What a recipe for pictures can be told on the command line."""

from dataclasses import dataclass, field

from hfcls.errors import InputError
from hfcls.training.arguments import RecipeArguments


@dataclass
class ImageArguments(RecipeArguments):
    """Which model for pictures is trained, and whether pictures are moved."""

    model_name_or_path: str | None = field(
        default=None,
        metadata={
            "help": "A vision model with its own processor, of the Hub, modelscope:OWNER/NAME or a folder; absent: the "
            "published CNN."
        },
    )
    augment: bool = field(
        default=True, metadata={"help": "Small rotations, shifts, scales and shears of the training pictures."}
    )

    def __post_init__(self):
        super().__post_init__()
        if self.model_name_or_path is not None and self.evaluate_only is not None:
            raise InputError("--model_name_or_path and --evaluate_only exclude each other: give one of them")
