"""What the models of this project read."""

from transformers import AutoConfig, ChineseCLIPConfig

from hfcls.inference.download import model_folder
from hfcls.inference.loading import loading_errors


def kind_of(model: str, trust_remote_code: bool = False) -> str:
    """What the model of a folder or a hub's name reads: texts, images, pairs or cards.

    Raises:
        InputError: it is not there.
    """
    folder = model_folder(model)
    with loading_errors(model):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=trust_remote_code)
    if config.model_type == ChineseCLIPConfig.model_type:
        return "pairs"
    if config.model_type in ("card_fusion", "label_similarity"):
        return "cards"
    named = (config.architectures or [""])[0]
    return "images" if named.endswith("ForImageClassification") else "texts"
