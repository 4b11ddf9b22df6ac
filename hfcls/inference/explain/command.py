"""`hfcls explain`: its flags, and what it does. What it needs is imported when it is called."""

import argparse
from pathlib import Path

from hfcls.errors import InputError
from hfcls.terminal import print_lines, printable, shortened

SUMMARY = "show which parts of a text made a model answer as it did"
STRONGEST = 6  # pieces of a text that are printed


def add_explain(verbs) -> None:
    """Adds the verb to the subparsers of `hfcls`."""
    parser = verbs.add_parser("explain", help=SUMMARY, description=SUMMARY)
    parser.set_defaults(run=_explain)
    parser.add_argument("model", metavar="MODEL", help="the folder of a finished run, or a Hub name")
    parser.add_argument(
        "texts",
        metavar="TEXT",
        nargs="*",
        help="or pictures, as the model has it; without any, and without --input: the run's report explains its rows",
    )
    parser.add_argument("--picture", metavar="FILE", help="of a Chinese-CLIP: what in it is near to TEXT")
    parser.add_argument("--input", metavar="FILE", help="texts to explain, in any format that predict reads")
    parser.add_argument("--output", metavar="FILE", help="the page to write [explanation.html, for --input]")
    parser.add_argument("--label", help="the label to explain [the most probable one of each text]")
    parser.add_argument("--rows", type=int, default=100, help="most rows of --input [100]")
    parser.add_argument("--text_column", default="text", help="the column of the texts [text]")
    parser.add_argument("--text_pair_column", help="the column of a second text, for models trained on pairs")
    parser.add_argument("--encoding", metavar="NAME", help="of a text file [UTF-8, or GB18030]")
    parser.add_argument("--trust_remote_code", action="store_true", help="run code that the model brings")


def _explain(options: argparse.Namespace) -> int:
    if options.texts and options.input is not None:
        raise InputError("give texts, or --input FILE")
    if options.rows < 1:
        raise InputError(f"--rows {options.rows}: give at least 1")
    if Path(options.model, "config.json").is_file() or options.picture is not None:
        from hfcls.inference.kind import kind_of

        kind = kind_of(options.model, options.trust_remote_code)
        if kind in ("images", "pairs"):
            return _explain_pictures(options, kind)
    rows = [(text, None) for text in options.texts] if options.input is None else _rows(options)
    if not rows:
        return _explain_run(options)

    from hfcls.inference.classifier import Classifier
    from hfcls.inference.explain.explanation import explain
    from hfcls.inference.explain.page import write_page

    classifier = Classifier(options.model, trust_remote_code=options.trust_remote_code)
    if options.label is not None and options.label not in classifier.labels:
        raise InputError(f"--label {options.label}: give one of {', '.join(map(printable, classifier.labels))}")
    explained = [explain(classifier, *row, label=options.label) for row in rows]
    if options.input is None:
        for one, _ in explained:
            print_lines(f"{printable(one.label):<14} {one.probability:.4f}  {printable(shortened(one.text, 120))}")
            print_lines(f"{'':<14} {_strongest(one)}")
    if options.input is not None or options.output is not None:
        page = write_page(classifier, explained, options.output or "explanation.html")
        print_lines(f"explanation: {page}")
    return 0


def _explain_pictures(options: argparse.Namespace, kind: str) -> int:
    """Explains pictures that a classifier of pictures is given, or one that a Chinese-CLIP compares with a text."""
    from hfcls.inference.explain.picture_page import write_picture_page
    from hfcls.inference.explain.pictures import explain_caption, explain_label
    from hfcls.inference.loading import load_chinese_clip, load_image_classifier

    asked_of_run = kind == "images" and not options.texts and Path(options.model, "run.json").is_file()
    if asked_of_run and options.input is None and options.picture is None:
        return _explain_run_of_pictures(options)
    if options.input is not None or not options.texts or (options.picture is None) != (kind == "images"):
        needs = "pictures: hfcls explain MODEL FILE …" if kind == "images" else "TEXT and --picture FILE"
        raise InputError(f"{options.model}: needs {needs}")
    processor, model = (load_image_classifier if kind == "images" else load_chinese_clip)(options.model)
    model.eval()
    if kind == "images":
        explained = [explain_label(processor, model, path, options.label) for path in options.texts]
    else:
        explained = [explain_caption(processor, model, options.picture, text) for text in options.texts]
    for one in explained:
        print_lines(f"{printable(shortened(one.answer, 60)):<14} {one.score:.4f}  {printable(one.name)}")
    print_lines(f"explanation: {write_picture_page(options.model, explained, options.output or 'explanation.html')}")
    return 0


def _explain_run_of_pictures(options: argparse.Namespace) -> int:
    from hfcls.inference.explain.picture_run import mark_mistakes
    from hfcls.inference.loading import load_image_classifier
    from hfcls.report import write_report
    from hfcls.report.run import load_run
    from hfcls.runs.thumbnails import write_marked

    run = load_run(options.model)
    processor, model = load_image_classifier(options.model)
    write_marked(run.folder, mark_mistakes(processor, model.eval(), run))
    print_lines(f"report: {write_report(run.folder)}")
    return 0


def _rows(options: argparse.Namespace) -> list[tuple[str, str | None]]:
    """The first rows of --input: texts and second texts."""
    from itertools import islice

    from hfcls.inference.text_files import TextFile

    file = TextFile(options.input, options.text_column, options.text_pair_column, options.encoding)
    rows = islice(file, options.rows)
    return [(row[file.text], None if file.pair is None else row[file.pair]) for row in rows]


def _strongest(explanation) -> str:
    """The pieces of a text that weigh most, the heaviest first."""
    marks = sorted(explanation.marks, key=lambda mark: -abs(mark.weight))[:STRONGEST]
    pieces = [f"{printable(explanation.text[mark.begin : mark.end])} {mark.weight:+.2f}" for mark in marks]
    return "  ".join(pieces) or "nothing of the text is read"


def _explain_run(options: argparse.Namespace) -> int:
    from hfcls.inference.classifier import Classifier
    from hfcls.inference.explain.run import explain_rows
    from hfcls.report import write_report
    from hfcls.report.run import load_run
    from hfcls.runs.explanations import write_explanations

    if not Path(options.model, "run.json").is_file():
        raise InputError(f"{options.model}: is no finished run: give texts, or --input FILE")
    run = load_run(options.model)
    classifier = Classifier(options.model, trust_remote_code=options.trust_remote_code)
    write_explanations(run.folder, explain_rows(classifier, run.predictions))
    print_lines(f"report: {write_report(run.folder)}")
    return 0
