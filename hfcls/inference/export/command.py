"""`hfcls export`: its flags, and what it does. What it needs is imported when it is called."""

import argparse

from hfcls.errors import InputError
from hfcls.terminal import print_lines

SUMMARY = "write a finished model so that it runs without hfcls, torch and transformers"
ROWS, INT8_ROWS = 1000, 10_000


def add_export(verbs) -> None:
    """Adds the verb to the subparsers of `hfcls`."""
    parser = verbs.add_parser("export", help=SUMMARY, description=SUMMARY)
    parser.set_defaults(run=_export)
    parser.add_argument("model", metavar="MODEL", help="the folder of a finished run, or a Hub name")
    parser.add_argument("out", metavar="OUT", help="the folder to write; as MODEL/onnx it is pushed with the model")
    parser.add_argument(
        "--rows", type=int, help=f"of predictions.csv, to be checked on [{ROWS:,}; with --int8 {INT8_ROWS:,}]"
    )
    parser.add_argument(
        "--check_on",
        metavar="FILE",
        help="check on these texts, or on the pictures in this folder, in place of predictions.csv",
    )
    parser.add_argument("--optimize", action="store_true", help="fuse operators, for onnxruntime alone")
    parser.add_argument("--int8", action="store_true", help="8-bit weights; the accuracy of both is told")
    parser.add_argument("--force", action="store_true", help="keep an int8 model that answers otherwise (p < 0.05)")
    parser.add_argument("--trust_remote_code", action="store_true", help="run code that the model brings")


def _export(options: argparse.Namespace) -> int:
    if options.rows is not None and options.rows < 1:
        raise InputError(f"--rows {options.rows}: give at least 1")
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise InputError(f"hfcls export needs {error.name}: pip install 'hfcls[export]'") from error

    from hfcls.inference.export.export import Wanted, export

    if options.force and not options.int8:
        raise InputError("--force is of --int8: give both, or leave it out")
    wanted = Wanted(
        rows=options.rows or (INT8_ROWS if options.int8 else ROWS),
        check_on=options.check_on,
        optimize=options.optimize,
        int8=options.int8,
        force=options.force,
    )
    for line in export(options.model, options.out, wanted, trust_remote_code=options.trust_remote_code):
        print_lines(f"{options.out}: {line}")
    return 0
