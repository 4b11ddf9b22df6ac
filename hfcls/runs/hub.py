"""To the Hugging Face Hub: the check before training, and the push of exactly what a model needs.

What never goes: pickles (`training_args.bin` holds the Hub token and local paths in plain text), checkpoints, optimizer
and trainer state, run.json and logs; predictions.csv and report.html neither, because they quote the corpus, whose
terms are its owner's.
"""

import json
import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from huggingface_hub import CommitOperationAdd, HfApi, constants, errors, get_session, get_token
from huggingface_hub.utils import validate_repo_id

from hfcls.errors import InputError
from hfcls.runs.custom_code import code_references, imported_files

CONFIGS = ("config.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")

# With the weights (*.safetensors) and the modules that the configs name, these are the files that are pushed.
# By name, not by pattern: a pattern also takes what somebody left in the folder.
FILES = frozenset(
    [
        *CONFIGS,
        *("README.md", "all_results.json", "model.safetensors.index.json"),
        *("tokenizer.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja"),
        *("vocab.txt", "vocab.json", "merges.txt", "bpe.codes"),
        *("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "spm.model"),
    ]
)

# Where a tokenizer or a config was read from. transformers 4 wrote the paths, 5.23 still writes the two flags.
LOCAL_FIELDS = frozenset(
    [
        *("_name_or_path", "name_or_path", "special_tokens_map_file", "tokenizer_file", "cache_dir"),
        *("is_local", "local_files_only"),
    ]
)

# A classifier of dataset cards has the embedding model that it was trained with in this folder; what
# sentence-transformers writes there and into the folders of its modules.
EMBEDDING_MODEL = "embedding_model"
EMBEDDING_FILES = FILES | {
    *("modules.json", "config_sentence_transformers.json", "sentence_bert_config.json", "model.safetensors"),
}

# What `hfcls export MODEL MODEL/onnx` wrote lies in the first folder, where transformers.js looks for graphs; in the
# second, what is for OpenVINO.
EXPORTS = ("onnx", "openvino")
GRAPHS = (".onnx", ".onnx.data", ".xml", ".bin")  # .onnx.data has the weights of a graph of over 2 GB
EXPORTED_FILES = frozenset(
    [
        *("labels.json", "predict.py", "pictures.py", "card_ngrams.py", "card_text.py", "README.md"),
        *("tokenizer.json", "tokenizer_config.json", "vocab.json", "preprocessor_config.json", "processor_config.json"),
    ]
)

CHECK_SECONDS = 30  # that the check before training waits for an answer; the client itself waits for ever

LOG_IN = "log in with `hf auth login`, or set HF_TOKEN to a token that may write"


def check_hub(repo_id: str, token: str | None = None, private: bool | None = None) -> str:
    """Makes sure, before hours of training, that the result can be pushed; creates the repository.

    Args:
        repo_id: NAMESPACE/NAME, or NAME in the user's own namespace.
        token: `hf auth login` or HF_TOKEN is used by default.
        private: whether a new repository is private; None is what the namespace does by default.

    Returns:
        The repository's full name, NAMESPACE/NAME.

    Raises:
        InputError: no token or a refused one, no permission to write, a name that cannot be, or no answer.
    """
    later = "or train without --push_to_hub and push later with `hfcls push DIR REPO`"
    api = _connect(token)
    with _one_line_errors(repo_id, later), _patience(CHECK_SECONDS):
        repo_id = _full_name(api, repo_id)
        api.create_repo(repo_id, private=private, exist_ok=True)
        try:
            # create_repo is content when a repository exists that the token can only read.
            api.auth_check(repo_id, write=True)
        except errors.HfHubHTTPError as error:
            # A hub of one's own may not have this call: then the push itself is the first to know.
            if error.response.status_code != 404 or isinstance(error, errors.RepositoryNotFoundError):
                raise
    return repo_id


def push_folder(
    output_dir: str | Path,
    repo_id: str,
    *,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str = "Upload a classifier trained with hfcls",
) -> str:
    """Uploads the model of a finished run, in one commit, to a repository that exists (`check_hub` creates it).

    Only `files_to_push` go. Everything but the weights is searched for the token and for local paths first.

    Args:
        output_dir: the folder of the run.
        repo_id: NAMESPACE/NAME, or NAME in the user's own namespace.
        token: `hf auth login` or HF_TOKEN is used by default.
        revision: the branch, created if need be; "main" by default.

    Returns:
        The address of the model's page.

    Raises:
        InputError: the folder holds no model, or a file the token or a local path; or the Hub cannot be reached or
            refuses. Nothing is lost then, and nothing is half-way: a commit is made of all files or not at all.
    """
    folder = Path(output_dir)
    api = _connect(token)
    secrets = _secrets(folder, api.token)
    operations = [
        CommitOperationAdd(path.relative_to(folder).as_posix(), _content(path, secrets))
        for path in files_to_push(folder)
    ]
    again = f"nothing is lost, push again with `hfcls push {shlex.quote(str(folder))} {repo_id}`"
    with _one_line_errors(repo_id, again):
        repo_id = _full_name(api, repo_id)
        if revision is not None:
            api.create_branch(repo_id, branch=revision, exist_ok=True)
        api.create_commit(repo_id, operations, commit_message=commit_message, revision=revision)
    return f"{api.endpoint}/{repo_id}" + (f"/tree/{quote(revision, safe='')}" if revision else "")


def files_to_push(output_dir: str | Path) -> list[Path]:
    """The files of a run that belong to its model, sorted by name.

    Raises:
        InputError: there is no config.json or no *.safetensors, a module that a config names is missing, or one of the
            files is a link out of the folder. The Hub's cache is made of such links: its folders are not pushed.
    """
    folder = Path(output_dir)
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder}: holds no model (no config.json): name the --output_dir of a finished run")
    weights = [path for path in folder.glob("*.safetensors") if path.is_file()]
    if not weights:
        raise InputError(f"{folder}: holds no weights (*.safetensors): save the model again with save_pretrained")
    named = [folder / name for name in FILES if (folder / name).is_file()]
    files = sorted([*named, *weights, *_custom_code(folder), *_embedding_model(folder), *_exported(folder)])
    for path in files:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise InputError(
                f"{path}: is a link out of the folder, to {path.resolve()}, and only what lies in it is pushed: "
                f"put a copy in its place (`cp -rL` copies a whole folder so)"
            )
    return files


def clean_local_paths(output_dir: str | Path) -> list[str]:
    """Takes the fields that say where something was read from (`LOCAL_FIELDS`) out of the saved configs.

    Loading does not use them. A path that a model or tokenizer of one's own keeps under another name stays: only its
    author knows what may replace it, and `push_folder` refuses it.

    Returns:
        What was taken out: "tokenizer_config.json: is_local".
    """
    removed = []

    def clean(value, where: str):
        if isinstance(value, list):
            return [clean(item, where) for item in value]
        if not isinstance(value, dict):
            return value
        removed.extend(f"{where}{key}" for key in value if key in LOCAL_FIELDS)
        return {key: clean(item, f"{where}{key}.") for key, item in value.items() if key not in LOCAL_FIELDS}

    folder = Path(output_dir)
    parts = (folder, folder / EMBEDDING_MODEL, *(folder / name for name in EXPORTS))
    for path in (part / name for part in parts for name in CONFIGS):
        if path.is_file():
            before = _read_json(path)
            after = clean(before, f"{path.relative_to(folder)}: ")
            if after != before:
                partial = path.with_suffix(".tmp")
                partial.write_text(json.dumps(after, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
                partial.replace(path)
    return removed


def _embedding_model(folder: Path) -> list[Path]:
    """The files of the embedding model that a classifier of dataset cards was trained with, if there is one."""
    inside = folder / EMBEDDING_MODEL
    return [
        path for path in [*inside.glob("*"), *inside.glob("*/*")] if path.is_file() and path.name in EMBEDDING_FILES
    ]


def _exported(folder: Path) -> list[Path]:
    """What `hfcls export` wrote into folders in that of the model."""
    exported = [path for name in EXPORTS for path in (folder / name).glob("*")]
    return [path for path in exported if path.name in EXPORTED_FILES or path.name.endswith(GRAPHS)]


def _custom_code(folder: Path) -> set[Path]:
    """The modules that the configs name, and what they import relatively: saving put them there."""
    files = set()
    for path in (folder / name for name in CONFIGS):
        for reference in code_references(_read_json(path)) if path.is_file() else ():
            module = folder / f"{reference.partition('.')[0]}.py"
            if not module.stem.isidentifier() or not module.is_file():
                raise InputError(
                    f"{path}: names {reference!r}, but there is no {module.name} beside it: save the model again"
                )
            files |= imported_files(module)
    return files


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not JSON ({error}): save the model again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a JSON object: save the model again")
    return content


def _secrets(folder: Path, token: str) -> dict[str, set[str]]:
    """What must not be in a pushed file: name for people → the strings."""
    paths = {str(folder.absolute()), str(folder.resolve()), os.path.expanduser("~")}
    return {"the Hub token": {token}} | {
        # In JSON, other letters than ASCII and backslashes are escaped; in an address, they are quoted.
        f"the local path {path}": {path, json.dumps(path)[1:-1], quote(path), Path(path).as_posix()}
        for path in sorted(paths, key=len, reverse=True)
        if len(Path(path).parts) > 1  # the home of a service account may be /
    }


def _content(path: Path, secrets: dict[str, set[str]]) -> Path | bytes:
    """What to upload: weights are streamed from the disk, all else goes as the very bytes that were searched."""
    if path.name.endswith((".safetensors", *GRAPHS)):
        return path
    content = path.read_bytes()
    for what, spellings in secrets.items():
        for spelling in spellings:
            # Not a part of a longer name: a home of /root does not forbid "https://example.org/rooted".
            found = re.search(rb"(?<![\w.-])" + re.escape(spelling.encode()) + rb"(?![\w-])", content)
            if found:
                line = content.count(b"\n", 0, found.start()) + 1
                raise InputError(f"{path}:{line}: holds {what}, nothing was pushed: take it out and push again")
    return content


def _full_name(api, repo_id: str) -> str:
    validate_repo_id(repo_id)
    return repo_id if "/" in repo_id else f"{api.whoami()['name']}/{repo_id}"


def _connect(token: str | None) -> HfApi:
    token = token or get_token()
    if token is None:
        raise InputError(f"no Hub token: {LOG_IN}")
    if not token.isascii() or not token.isprintable() or " " in token:
        # The HTTP client would refuse it too, but its message quotes the whole header.
        raise InputError(f"the Hub token holds a space, a line break or a letter that no token has: {LOG_IN}")
    return HfApi(token=token)


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Limits how long the client waits to connect and for an answer."""
    session = get_session()
    before, session.timeout = session.timeout, seconds
    try:
        yield
    finally:
        session.timeout = before


@contextmanager
def _one_line_errors(repo_id: str, remedy: str) -> Iterator[None]:
    """Turns what HfApi raises in the block into an InputError that ends with `remedy`."""
    try:
        yield
    except (errors.HTTPError, OSError, ValueError, RuntimeError) as error:  # RuntimeError: how uploads fail
        raise InputError(f"{_explain(error, repo_id, constants.ENDPOINT)}; {remedy}") from error


def _explain(error: Exception, repo_id: str, endpoint: str) -> str:
    """What an error of the client means for the user, on one line."""
    if isinstance(error, RuntimeError) and error.__cause__ is not None:
        error = error.__cause__  # the client wraps what went wrong in an upload
    said = " ".join(str(error).split())
    status = error.response.status_code if isinstance(error, errors.HfHubHTTPError) else None
    if isinstance(error, errors.HFValidationError):
        return f"{repo_id!r} cannot be a repository's name: use NAMESPACE/NAME of letters, digits, '-', '_' and '.'"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so nothing can be pushed: unset it"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"{repo_id} does not exist at {endpoint}, or the token may not see it"
    if status == 401:
        return f"{endpoint} does not accept the Hub token: {LOG_IN}"
    if status == 403:
        return f"the Hub token may not write to {repo_id} at {endpoint}: {LOG_IN}, or use a namespace of yours"
    if status is not None:
        return f"{endpoint} answered {status}: {error.server_message or said}".replace("\n", " ")
    if isinstance(error, ConnectionError) and "404" in said and "xet-write-token" in said:
        # https://github.com/huggingface/huggingface_hub/issues/4786
        return f"{endpoint} has no xet storage: set HF_HUB_DISABLE_XET=1"
    if isinstance(error, (errors.HTTPError, ConnectionError)):
        return f"no connection to {endpoint} ({said or type(error).__name__}): check the network, a proxy, HF_ENDPOINT"
    if isinstance(error, json.JSONDecodeError):
        return f"{endpoint} does not answer like a Hub: check a proxy or login page in between, and HF_ENDPOINT"
    return said
