"""`hfcls export`: its flags, and what it does. What it needs is imported when it is called."""

import argparse
import importlib.util

from hfcls.errors import InputError
from hfcls.terminal import print_lines

SUMMARY = "write a finished model so that it runs without hfcls, torch and transformers"
ROWS, INT8_ROWS = 1000, 10_000
NEEDS = {"onnx": ("onnxscript", "onnxruntime"), "openvino": ("onnxscript", "openvino")}


def add_export(verbs) -> None:
    """Adds the verb to the subparsers of `hfcls`."""
    parser = verbs.add_parser("export", help=SUMMARY, description=SUMMARY)
    parser.set_defaults(run=_export)
    parser.add_argument("model", metavar="MODEL", help="the folder of a finished run, or a Hub name")
    parser.add_argument(
        "out", metavar="OUT", help="the folder to write; as MODEL/onnx or MODEL/openvino it is pushed with the model"
    )
    parser.add_argument(
        "--rows", type=int, help=f"of predictions.csv, to be checked on [{ROWS:,}; with --int8 {INT8_ROWS:,}]"
    )
    parser.add_argument(
        "--check_on",
        metavar="FILE",
        help="check on these texts, or on the pictures in this folder, in place of predictions.csv",
    )
    parser.add_argument(
        "--format", choices=tuple(NEEDS), default="onnx", help="for onnxruntime, or for OpenVINO on Intel's CPUs [onnx]"
    )
    parser.add_argument("--optimize", action="store_true", help="fuse operators, for onnxruntime alone")
    parser.add_argument("--int8", action="store_true", help="8-bit weights; the accuracy of both is told")
    parser.add_argument("--force", action="store_true", help="keep an int8 model that answers otherwise (p < 0.05)")
    parser.add_argument("--trust_remote_code", action="store_true", help="run code that the model brings")


def _export(options: argparse.Namespace) -> int:
    if options.rows is not None and options.rows < 1:
        raise InputError(f"--rows {options.rows}: give at least 1")
    _check_packages(options.format)
    if options.format == "openvino":
        if options.int8:
            raise InputError("--int8: OpenVINO's takes a package of its own, nncf: use --format onnx --int8")
        if options.optimize:
            raise InputError("--optimize: is for onnxruntime, OpenVINO fuses operators by itself: leave it out")

    from hfcls.inference.export.export import Wanted, export

    if options.force and not options.int8:
        raise InputError("--force is of --int8: give both, or leave it out")
    wanted = Wanted(
        rows=options.rows or (INT8_ROWS if options.int8 else ROWS),
        check_on=options.check_on,
        optimize=options.optimize,
        int8=options.int8,
        force=options.force,
        format=options.format,
    )
    for line in export(options.model, options.out, wanted, trust_remote_code=options.trust_remote_code):
        print_lines(f"{options.out}: {line}")
    return 0


def _check_packages(wanted: str) -> None:
    for name in NEEDS[wanted]:
        if importlib.util.find_spec(name) is None:
            extra = "export" if wanted == "onnx" else wanted
            raise InputError(f"hfcls export --format {wanted} needs {name}: pip install 'hfcls[{extra}]'")
