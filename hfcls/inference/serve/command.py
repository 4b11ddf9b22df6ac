"""`hfcls serve`: its flags, and what it does. What it needs is imported when it is called."""

import argparse
import os
import sys

from hfcls.errors import InputError
from hfcls.terminal import print_lines

SUMMARY = "answer requests with a finished model, over HTTP and on a page"
KEY_VARIABLE = "HFCLS_API_KEY"


def add_serve(verbs) -> None:
    """Adds the verb to the subparsers of `hfcls`."""
    parser = verbs.add_parser("serve", help=SUMMARY, description=SUMMARY)
    parser.set_defaults(run=_serve)
    parser.add_argument("model", metavar="MODEL", help="the folder of a finished run, or a Hub name")
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 for other machines, too [127.0.0.1]")
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free [8000]")
    parser.add_argument(
        "--api_key", metavar="KEY", help=f"that requests must show [{KEY_VARIABLE}, which no list of processes tells]"
    )
    parser.add_argument("--max_queue", type=int, default=512, help="requests at once; one more gets 429 [512]")
    parser.add_argument("--max_batch_tokens", type=int, default=4096, help="computed together [4096]")
    parser.add_argument("--max_inputs", type=int, default=32, help="of one request [32]")
    parser.add_argument("--max_body_bytes", type=int, default=2_000_000, help="of one request [2000000]")
    parser.add_argument("--max_file_bytes", type=int, default=100_000_000, help="of a file to classify [100000000]")
    parser.add_argument("--deadline", type=float, default=30, help="seconds in which an answer must be there [30]")
    parser.add_argument("--onnx", action="store_true", help="MODEL is a folder that hfcls export wrote: no torch model")
    parser.add_argument("--pictures", metavar="DIR", help="what a model of retrieval searches")
    parser.add_argument(
        "--neighbours", metavar="FILE", help="a table of texts and labels: the page shows those nearest to a text"
    )
    parser.add_argument("--text_column", default="text", help="of FILE [text]")
    parser.add_argument("--label_column", default="label", help="of FILE [label]")
    parser.add_argument("--trust_remote_code", action="store_true", help="run code that the model brings")


def _serve(options: argparse.Namespace) -> int:
    for name in ("max_queue", "max_batch_tokens", "max_inputs", "max_body_bytes", "max_file_bytes", "deadline"):
        if not getattr(options, name) > 0:
            raise InputError(f"--{name} {getattr(options, name)}: give more than 0")
    if not 0 <= options.port <= 65535:
        raise InputError(f"--port {options.port}: give a number from 0 to 65535")
    api_key = options.api_key if options.api_key is not None else os.environ.get(KEY_VARIABLE)
    if api_key is not None and not (api_key.isascii() and api_key.isprintable() and api_key.strip() == api_key != ""):
        raise InputError(f"--api_key, {KEY_VARIABLE}: give letters and digits of ASCII, as a header can carry them")
    try:
        from hfcls.inference.serve.server import bound_socket, serve
    except ImportError as error:
        raise InputError(f"hfcls serve needs {error.name}: pip install 'hfcls[serve]'") from error

    bound = bound_socket(options.host, options.port)  # that the port is taken is said before the model is loaded
    from hfcls.inference.serve.app import make_app
    from hfcls.inference.serve.models import LabelledTexts, load
    from hfcls.inference.serve.service import Limits

    limits = Limits(
        requests=options.max_queue,
        tokens=options.max_batch_tokens,
        inputs=options.max_inputs,
        body=options.max_body_bytes,
        file=options.max_file_bytes,
        deadline=options.deadline,
    )
    served = load(
        options.model,
        onnx=options.onnx,
        trust_remote_code=options.trust_remote_code,
        pictures_dir=options.pictures,
        labelled_texts=options.neighbours
        and LabelledTexts(options.neighbours, options.text_column, options.label_column),
    )
    if api_key is None and options.host not in ("127.0.0.1", "localhost", "::1"):
        print_lines(f"everyone who reaches {options.host} may ask: set {KEY_VARIABLE} to a key", file=sys.stderr)
    serve(make_app(served, limits, api_key), bound, served.name)
    return 0
