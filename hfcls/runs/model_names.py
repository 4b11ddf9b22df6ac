"""Names of models that lie on a hub: the Hugging Face Hub's or ModelScope's, at a revision if one is named."""

import os
import re
from dataclasses import dataclass

from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from hfcls.errors import InputError

MODELSCOPE = "modelscope:"  # in front of OWNER/NAME


@dataclass(frozen=True)
class HubModel:
    """A model on a hub.

    Attributes:
        repo: OWNER/NAME; on the Hugging Face Hub some old ones have no owner.
        revision: a branch, a tag or a commit; None for what the hub gives by default.
        on_modelscope: whether the hub is ModelScope.
    """

    repo: str
    revision: str | None = None
    on_modelscope: bool = False

    @property
    def page(self) -> str:
        """The address of the model's page, at its revision where the hub has such a page."""
        if self.on_modelscope:
            return f"https://modelscope.cn/models/{self.repo}"
        return f"https://huggingface.co/{self.repo}" + (f"/tree/{self.revision}" if self.revision else "")


def hub_model(name_or_path: str) -> HubModel | None:
    """What `OWNER/NAME`, `OWNER/NAME@REVISION` or `modelscope:OWNER/NAME@REVISION` names.

    Returns:
        None for a folder, as in `from_pretrained`, and for what cannot be a name.

    Raises:
        InputError: what follows `modelscope:` cannot be a name there.
    """
    if os.path.isdir(name_or_path):
        return None
    on_modelscope = name_or_path.startswith(MODELSCOPE)
    repo, at, revision = name_or_path.removeprefix(MODELSCOPE).partition("@")
    valid = (not at or re.fullmatch(r"\w[\w./-]*", revision)) and ".." not in revision
    if on_modelscope:
        if not valid or not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repo):
            raise InputError(f"{name_or_path}: give {MODELSCOPE}OWNER/NAME, or {MODELSCOPE}OWNER/NAME@REVISION")
    else:
        try:
            validate_repo_id(repo)
        except HFValidationError:
            valid = False
    return HubModel(repo, revision or None, on_modelscope) if valid else None
