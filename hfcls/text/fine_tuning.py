"""How a pretrained encoder is fine-tuned where the user says nothing: a small one wants larger steps than BERT-base."""

from hfcls.text.presets import SMALL_ENCODER

BASE_WIDTH = 768  # hidden_size of BERT-base, which the published settings are of


def fine_tuning(name_or_path: str | None, published: dict) -> dict:
    """The defaults of a recipe for the model of `--model_name_or_path`, None for the recipe's own.

    What is as wide as BERT-base or wider gets the `published` settings; a narrower encoder gets `SMALL_ENCODER` instead
    of what they say of optimization. Which part of a text is read stays as published.

    Raises:
        InputError: the model's config cannot be read.
    """
    if name_or_path is None:
        return published

    # Not before a model is named: --help is answered at once.
    from transformers import AutoConfig

    from hfcls.inference.loading import loading_errors

    with loading_errors(name_or_path):
        config = AutoConfig.from_pretrained(name_or_path, trust_remote_code=False)
    width = getattr(config.get_text_config(), "hidden_size", BASE_WIDTH)
    return published if width >= BASE_WIDTH else published | SMALL_ENCODER
