"""A model's files, as a folder: one on the disk, or what the Hugging Face Hub, a mirror of it or ModelScope holds.

Each client keeps what it fetched in its own cache, which serves where there is no network. An absent network is known
within seconds: the clients' own retries would take minutes.
"""

import contextlib
import functools
import glob
import io
import logging
import os
import re
import sys
import textwrap
from collections.abc import Iterator

from huggingface_hub import HfApi, constants, errors, snapshot_download
from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

from hfcls.errors import InputError
from hfcls.runs.model_names import HubModel, hub_model

logger = logging.getLogger(__name__)

PATIENCE = 8  # seconds for the first answer of a hub

# The ways to a model that need no Hub; recipes/README.md tells them at length.
WAYS = (
    "without the Hub, set HF_ENDPOINT to a mirror, give modelscope:OWNER/NAME, or a folder (downloaded, or of an "
    "installed package)"
)
FROM_SCRATCH = "train with --from_scratch mini"

# Weights for other frameworks and engines, and what training left: no loader here reads them.
FOREIGN = re.compile(
    r"\.(h5|msgpack|ot|onnx|onnx_data|gguf|tflite|mlmodel|pt|pth|ckpt|npz|zip|tar|gz)$"
    r"|(^|/)(training_args|optimizer|scheduler)\.bin$"
    r"|^(onnx|openvino|coreml|checkpoint-\d+|runs|\.\w+)/"
)


def model_folder(name_or_path: str, *, instead: str = "") -> str:
    """The folder that holds the files of a model; those of a hub's model are fetched into its client's cache.

    For one process a name is one folder: what is pushed to a hub during a run changes nothing in it.

    Args:
        name_or_path: a folder, or a name as `hub_model` takes it.
        instead: a further way for who cannot have the model, "train with --from_scratch mini".

    Raises:
        InputError: it is not there, cannot be reached, or what came is torn; the message lists the ways that remain.
    """
    if os.path.isdir(name_or_path):
        return name_or_path
    model = hub_model(name_or_path)
    ways = f"{WAYS}, or {instead}" if instead else WAYS
    if model is None:
        raise InputError(f"{name_or_path}: there is no such folder, and it is no name of a model: {ways}")
    try:
        return _fetched(model)[0]
    except InputError as error:
        raise InputError(f"{name_or_path}: {error}: {ways}") from error


def log_source(name_or_path: str) -> None:
    """One line that says where a hub's model was had from, once `model_folder` has fetched it; none of a folder."""
    model = hub_model(name_or_path)
    if model is not None:
        logger.info("%s: %s", name_or_path, _fetched(model)[1])


@functools.cache
def _fetched(model: HubModel) -> tuple[str, str]:
    """The folder of a model, and where it was had from."""
    with _bars_on_a_terminal():
        return _from_modelscope(model) if model.on_modelscope else _from_hub(model)


def files_to_fetch(files: list[str]) -> list[str]:
    """Of all `files` of a model, those that loading it may read: its weights once, as safetensors if there are any."""
    kept = [
        name
        for name in files
        if not FOREIGN.search(name) and not name.startswith("/") and ".." not in name.split("/")  # outside the folder
    ]
    with_safetensors = {os.path.dirname(name) for name in kept if name.endswith(".safetensors")}
    return [
        name
        for name in kept
        if not (re.search(r"\.bin(\.index\.json)?$", name) and os.path.dirname(name) in with_safetensors)
    ]


def _from_hub(model: HubModel) -> tuple[str, str]:
    endpoint = constants.ENDPOINT
    try:
        known = HfApi().model_info(model.repo, revision=model.revision, timeout=PATIENCE)
    except errors.GatedRepoError as error:
        raise InputError(f"who may have it is decided on {model.page}: ask there, then `hf auth login`") from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(f"{endpoint} has no such model, or not for you (`hf auth login`)") from error
    except errors.RevisionNotFoundError as error:
        raise InputError(f"{endpoint} has no revision {model.revision or 'main'} of it") from error
    except errors.OfflineModeIsEnabled:
        return _cached_of_hub(model, "HF_HUB_OFFLINE is set")
    except (errors.HTTPError, OSError, ValueError) as error:
        return _cached_of_hub(model, f"no answer from {endpoint} ({_reason(error)})")
    wanted = files_to_fetch([file.rfilename for file in known.siblings or ()])
    try:
        folder = snapshot_download(model.repo, revision=model.revision, allow_patterns=[*map(glob.escape, wanted)])
    except (errors.HTTPError, OSError, ValueError, RuntimeError) as error:  # the last: how some transfers fail
        # What went wrong is not in what the client says of it, that the file is not in its cache either.
        raise InputError(f"{endpoint} did not give all of it ({_reason(error.__cause__ or error)})") from error
    return folder, f"from {endpoint}, kept in {constants.HF_HUB_CACHE}"


def _cached_of_hub(model: HubModel, why: str) -> tuple[str, str]:
    """What is in the cache, since the Hub gives nothing: `why`."""
    at = {"revision": model.revision, "local_files_only": True}
    try:
        # Which files there should be is not known here: what is missing, loading will say.
        folder = snapshot_download(model.repo, allow_patterns=["config.json"], **at)
    except (OSError, ValueError) as error:
        raise InputError(f"{why}, and {constants.HF_HUB_CACHE} does not hold it") from error
    return folder, f"{why}, so it is taken from the cache"


def _from_modelscope(model: HubModel) -> tuple[str, str]:
    try:
        import requests
        from modelscope_hub import FileDownloadError, HubApi, HubError, NotExistError, get_default_config
    except ImportError as error:
        raise InputError("needs an extra, pip install 'hfcls[modelscope]'") from error
    config, api = get_default_config(), HubApi()
    at = {"repo_type": "model", "revision": model.revision}
    try:
        # The client itself asks an absent server four times, for up to a minute.
        requests.head(config.endpoint, timeout=PATIENCE, allow_redirects=False)
        listed = {file.path: file for file in api.list_repo_files(model.repo, **at) if file.type != "tree"}
    except NotExistError as error:
        which = f"no revision {model.revision} of it, or " if model.revision else ""
        raise InputError(f"{config.endpoint} has {which}no such model, or not for you") from error
    except (HubError, requests.RequestException, OSError, ValueError) as error:
        why = f"no answer from {config.endpoint} ({_reason(error)})"
        try:
            folder = str(api.download_repo(model.repo, local_files_only=True, **at))
        except HubError:
            raise InputError(f"{why}, and {config.cache_dir} does not hold it") from error
        return folder, f"{why}, so it is taken from the cache"
    wanted = [listed[name] for name in files_to_fetch(list(listed))]
    entries = [{"Path": file.path, "Size": file.size or None, "Sha256": file.sha256} for file in wanted]
    try:
        folder = str(api.download_repo(model.repo, file_list=entries, **at))
    except FileDownloadError as error:
        name, reason = next(iter(error.failed_files.items()))
        raise InputError(f"{config.endpoint} did not give {name} whole ({_reason(reason)})") from error
    except (HubError, OSError) as error:
        raise InputError(f"{config.endpoint} did not give all of it ({_reason(error)})") from error
    return folder, f"from {config.endpoint}, kept in {config.cache_dir}"


@contextlib.contextmanager
def _bars_on_a_terminal() -> Iterator[None]:
    """Lets the clients draw the bars of their downloads on a terminal, and print nothing of their own elsewhere."""
    client = logging.getLogger("modelscope_hub")
    level, disabled = client.level, are_progress_bars_disabled()
    client.setLevel(logging.CRITICAL)
    terminal = sys.stderr.isatty()
    (enable_progress_bars if terminal else disable_progress_bars)()
    try:
        with contextlib.nullcontext() if terminal else contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        client.setLevel(level)
        (disable_progress_bars if disabled else enable_progress_bars)()


def _reason(error: Exception) -> str:
    """What went wrong first, on one line: requests and urllib3 wrap it several times."""
    while error.args and isinstance(inner := getattr(error.args[0], "reason", error.args[0]), Exception):
        error = inner
    return one_line(error)


def one_line(error: object) -> str:
    """What a library writes over several lines, at most 300 characters of it."""
    return textwrap.shorten(str(error), 300, placeholder="…") or type(error).__name__
