"""The `hfcls` command: what is done with finished models and runs, many runs at once, and how one begins.

Each verb's work is in a module of its own, imported when the verb is called: `hfcls --help` loads no torch.
"""

import argparse
import difflib
import sys

from hfcls.audit.command import add_check
from hfcls.errors import InputError, one_line_errors
from hfcls.inference.bulk.command import add_bulk_flags, predict_in_bulk
from hfcls.inference.explain.command import add_explain
from hfcls.inference.export.command import add_export
from hfcls.inference.serve.command import add_serve
from hfcls.project.command import add_new, add_recipes
from hfcls.terminal import print_lines, printable, shortened

SWEEP_FLAGS = """
Every other flag goes to the recipe. Values separated by commas span a grid, the last flag changing fastest:

  hfcls sweep recipes/thucnews_bert.py --from_scratch mini --learning_rate 1e-3,3e-4 --seed 1,2,3

A comma that belongs to a value is written \\, ; what is in quotes of its own ("'a,b'") or in brackets is one value.
The same command again goes on where the sweep was interrupted.
"""

INPUT_HELP = (
    ".csv, .tsv, .json, .jsonl, .parquet, .xlsx or .txt (a text a line), text files also in .gz or .zst; or a folder; "
    "- is standard input"
)


class _Parser(argparse.ArgumentParser):
    """Reports a mistake as one line, with the nearest name, instead of two screens of usage."""

    def __init__(self, **options):
        self.flags = []
        super().__init__(allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter, **options)

    def add_argument(self, *names, **options):
        self.flags += [name for name in names if name.startswith("-")]
        return super().add_argument(*names, **options)

    def error(self, message):
        raise InputError(f"{message} (see {self.prog} --help)")


def main(argv: list[str] | None = None) -> None:
    """Runs one verb: exit code 2 and one line for what the user got wrong, 1 if runs of a sweep failed."""
    with one_line_errors(go_on="the same command goes on from here"):
        code = _run(sys.argv[1:] if argv is None else argv)
    sys.exit(code)


def _run(argv: list[str]) -> int:
    parser, verbs = _parsers()
    if not argv or argv[0] in ("-h", "--help"):
        parser.print_help()
        return 0 if argv else 2
    verb = argv[0]
    if verb not in verbs:
        raise InputError(f"{verb} is not a command of hfcls{_nearest(verb, list(verbs), 'hfcls')}")
    options, unknown = verbs[verb].parse_known_args(argv[1:])
    if verb == "sweep":
        return options.run(options, unknown)
    if unknown:
        flag = unknown[0].partition("=")[0]
        raise InputError(f"{flag} is not a flag of hfcls {verb}{_nearest(flag, verbs[verb].flags, f'hfcls {verb}')}")
    return options.run(options)


def _nearest(name: str, known: list[str], program: str) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f": did you mean {near[0]}?" if near else f" (see {program} --help)"


def _parsers() -> tuple[_Parser, dict[str, _Parser]]:
    """The parser of `hfcls` and, by name, those of its verbs; each is written down before what the verb does."""
    parser = _Parser(
        prog="hfcls", description="What is done with finished models and runs, many runs at once, and how to begin."
    )
    verbs = parser.add_subparsers(metavar="COMMAND")
    for add_verb in (
        _add_predict,
        add_explain,
        add_export,
        add_serve,
        _add_push,
        _add_sweep,
        _add_compare,
        add_check,
        _add_convert_cn_clip,
        _add_cards,
        _add_report,
        add_new,
        add_recipes,
    ):
        add_verb(verbs)
    return parser, verbs.choices


def _verb(verbs, name: str, run, summary: str, **options) -> _Parser:
    added = verbs.add_parser(name, help=summary, description=summary, **options)
    added.set_defaults(run=run)
    return added


def _add_predict(verbs) -> None:
    parser = _verb(verbs, "predict", _predict, "classify texts, or a file of any length")
    parser.add_argument(
        "model", metavar="MODEL", help="the folder of a finished run or of hfcls export, a Hub name, or modelscope:NAME"
    )
    parser.add_argument("texts", metavar="TEXT", nargs="*")
    parser.add_argument("--input", metavar="FILE", help=INPUT_HELP)
    parser.add_argument("--output", metavar="FILE", help="the CSV file to write, or to go on with")
    parser.add_argument("--text_column", default="text", help="the column of the texts [text]")
    parser.add_argument("--encoding", metavar="NAME", help="of a text file [UTF-8, or GB18030]")
    parser.add_argument("--text_pair_column", help="the column of a second text, for models trained on pairs")
    parser.add_argument("--batch_size", type=int, help="most texts of a batch [64; on a GPU 512]")
    parser.add_argument("--all_probabilities", action="store_true", help="a column for each class as well")
    parser.add_argument("--excel", action="store_true", help="begin the CSV file so that Excel reads it as UTF-8")
    parser.add_argument("--trust_remote_code", action="store_true", help="run code that the model brings")
    add_bulk_flags(parser)


def _predict(options: argparse.Namespace) -> int:
    if bool(options.texts) == (options.input is not None):
        raise InputError("give texts to classify, or --input FILE --output FILE")
    if (options.input is None) != (options.output is None):
        raise InputError("--input and --output go together: give both")
    if options.excel and (options.output is None or options.engine is not None):
        raise InputError("--excel is of the one CSV file that --output names, without --engine: leave one out")
    if options.output == "-":
        raise InputError("--output -: answers go to a file, with which a run that was killed can go on")
    if options.batch_size is not None and options.batch_size < 1:
        raise InputError(f"--batch_size {options.batch_size}: give at least 1")
    if options.engine is not None:
        return predict_in_bulk(options)

    # What is wrong with the file is said before the model is loaded.
    from hfcls.inference.text_files import TextFile

    texts = None
    if options.input is not None:
        texts = TextFile(options.input, options.text_column, options.text_pair_column, options.encoding)

    from hfcls.inference.onnx_classifier import load_classifier
    from hfcls.inference.prediction import predict_file

    for note in texts.notes if texts is not None else []:
        print_lines(note, file=sys.stderr)
    classifier = load_classifier(options.model, trust_remote_code=options.trust_remote_code)
    if texts is None:
        for text, answer in zip(options.texts, classifier(options.texts), strict=True):
            width = 14 if classifier.thresholds is None else 0  # several labels make no column
            labels = answer.labels.items()
            line = ", ".join(f"{printable(shortened(label, 60)):<{width}} {share:.4f}" for label, share in labels)
            print_lines(f"{line or '–'}  {printable(text)}")
        return 0
    rows = predict_file(
        classifier,
        texts,
        options.output,
        batch_size=options.batch_size,
        all_probabilities=options.all_probabilities,
        excel=options.excel,
    )
    print_lines(f"{options.output}: {rows:,} rows")
    return 0


def _add_push(verbs) -> None:
    parser = _verb(verbs, "push", _push, "upload the model of a finished run to the Hub")
    parser.add_argument("folder", metavar="DIR")
    parser.add_argument("repo", metavar="REPO", help="NAMESPACE/NAME, created if need be")
    parser.add_argument("--private", action="store_true", default=None, help="if it is created, make it private")


def _push(options: argparse.Namespace) -> int:
    from hfcls.runs.hub import check_hub, files_to_push, push_folder

    files_to_push(options.folder)  # that there is something to push is known before a repository is created
    repo_id = check_hub(options.repo, private=options.private)
    print_lines(f"pushed to {push_folder(options.folder, repo_id)}")
    return 0


def _add_sweep(verbs) -> None:
    parser = _verb(verbs, "sweep", _sweep, "run a recipe for every combination of settings", epilog=SWEEP_FLAGS)
    parser.add_argument("recipe", metavar="RECIPE", help="recipes/NAME.py, before any flag")
    parser.add_argument(
        "--output_dir",
        metavar="DIR",
        default="outputs/sweep",
        help="a folder for each run and comparison.html [outputs/sweep]",
    )
    parser.add_argument("--num_processes", type=int, default=1, help="of each run, one for each GPU [1]")
    parser.add_argument("--dry_run", action="store_true", help="print the commands only")
    parser.add_argument("--keep_checkpoints", action="store_true", help="leave checkpoint-* of finished runs")


def _sweep(options: argparse.Namespace, recipe_flags: list[str]) -> int:
    from hfcls.sweep import run_sweep

    if options.num_processes < 1:
        raise InputError(f"--num_processes {options.num_processes}: give at least 1")
    failed = run_sweep(
        options.recipe,
        recipe_flags,
        options.output_dir,
        num_processes=options.num_processes,
        dry_run=options.dry_run,
        keep_checkpoints=options.keep_checkpoints,
    )
    return 1 if failed else 0


def _add_compare(verbs) -> None:
    parser = _verb(verbs, "compare", _compare, "put finished runs side by side in one HTML page")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="the folder of a finished run")
    parser.add_argument("--output", metavar="FILE", default="compare.html", help="the page [compare.html]")
    parser.add_argument("--markdown", action="store_true", help="print the tables, too")


def _compare(options: argparse.Namespace) -> int:
    from hfcls.report import write_comparison

    page, tables = write_comparison(options.runs, options.output)
    if options.markdown:
        print_lines(tables + "\n")
    print_lines(f"comparison: {page}")
    return 0


def _add_convert_cn_clip(verbs) -> None:
    parser = _verb(verbs, "convert-cn-clip", _convert_cn_clip, "turn a checkpoint of cn-clip into a folder, and back")
    parser.add_argument("source", metavar="SOURCE", help="a checkpoint (.pt) of cn-clip, or a folder to turn back")
    parser.add_argument("target", metavar="OUT", help="the folder, or the checkpoint, to write")
    parser.add_argument("--vocab", metavar="FILE", help="vocab.txt of the checkpoint [that of the installed cn-clip]")


def _convert_cn_clip(options: argparse.Namespace) -> int:
    from hfcls.retrieval.cn_clip import convert

    print_lines(f"converted: {convert(options.source, options.target, options.vocab)}")
    return 0


def _add_cards(verbs) -> None:
    parser = _verb(verbs, "cards", _cards, "fetch fresh dataset cards from the Hub, for recipes/dataset_cards.py")
    parser.add_argument("--limit", type=int, default=1000, help="datasets, the most downloaded first [1000]")
    parser.add_argument("--output", metavar="FILE", default="cards.csv", help="to write, or to go on with [cards.csv]")


def _cards(options: argparse.Namespace) -> int:
    from huggingface_hub.utils import disable_progress_bars

    from hfcls.cards.download import download_cards

    disable_progress_bars()  # one for each of a thousand small files
    if options.limit < 1:
        raise InputError(f"--limit {options.limit}: give at least 1")
    print_lines(f"{options.output}: {download_cards(options.limit, options.output):,} datasets")
    return 0


def _add_report(verbs) -> None:
    parser = _verb(verbs, "report", _report, "write the report of a finished run anew")
    parser.add_argument("run_folder", metavar="RUN")


def _report(options: argparse.Namespace) -> int:
    from hfcls.report import write_report

    print_lines(f"report: {write_report(options.run_folder)}")
    return 0


if __name__ == "__main__":
    main()
