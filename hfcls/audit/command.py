"""`hfcls check`: its flags, and what it does. What it needs is imported when it is called."""

import argparse
import difflib
import sys

from hfcls import own_code
from hfcls.audit.names import FINDINGS
from hfcls.data.corpora import CORPORA, corpus_names
from hfcls.errors import InputError
from hfcls.terminal import print_lines

SUMMARY = "look at the data before training on it"

FINDINGS_HELP = f"""
--fail_on and --clean take names of findings, with commas between them:

  {" ".join(FINDINGS)}

Cleaning never touches the test rows, nor anything in the folder that was read.
"""


def add_check(verbs) -> None:
    """Adds the verb to the subparsers of `hfcls`."""
    parser = verbs.add_parser("check", help=SUMMARY, description=SUMMARY, epilog=FINDINGS_HELP)
    parser.set_defaults(run=_check)
    parser.add_argument(
        "corpus",
        metavar="CORPUS",
        help=f"{', '.join(corpus_names())}; a CSV, TSV, JSON, Parquet or Excel file, or a folder of them; or FILE.py, "
        "FILE.py:CLASS with a builder of your own",
    )
    parser.add_argument(
        "--data_dir", metavar="DIR", help="of a corpus with a name: its owners' files [embedded sample]"
    )
    parser.add_argument("--text_column", default="text", help="of a table [text]")
    parser.add_argument("--label_column", default="label", help="of a table [label]")
    parser.add_argument("--encoding", metavar="NAME", help="of text files [UTF-8, or GB18030]")
    parser.add_argument("--group_column", help="what rows belong together by; they should stay in one split")
    parser.add_argument("--output", metavar="FILE", default="audit.html", help="the page; a .json is put beside it")
    parser.add_argument("--fail_on", "--fail-on", metavar="NAME,…", default="", help="exit code 1 if these are found")
    parser.add_argument(
        "--write_clean",
        "--write-clean",
        metavar="DIR",
        help="write the corpus without what was found",
    )
    parser.add_argument(
        "--clean",
        metavar="NAME,…",
        default="duplicate,leakage,conflict",
        help="the findings whose rows --write_clean leaves out [%(default)s]",
    )


def _check(options: argparse.Namespace) -> int:
    from pathlib import Path

    from hfcls.audit.audit import audit, summary, write_json
    from hfcls.audit.page import write_page
    from hfcls.audit.sources import load_builder, load_tables
    from hfcls.data.own_corpus import OwnCorpus

    fatal, left_out = _findings("--fail_on", options.fail_on), _findings("--clean", options.clean)
    if options.corpus in CORPORA or own_code.is_file(options.corpus):
        named = CORPORA.get(options.corpus) or OwnCorpus(options.corpus)
        if options.encoding is not None and options.corpus not in CORPORA:
            raise InputError(
                f"--encoding is of a table or corpus; {options.corpus} brings its own reader: leave it out"
            )
        encoding = {} if options.encoding is None else {"encoding": options.encoding}
        corpus = load_builder(options.corpus, named, options.data_dir, options.group_column, **encoding)
    elif options.data_dir is not None:
        raise InputError(f"--data_dir goes with {', '.join(CORPORA)}; a table is named alone: hfcls check FILE")
    else:
        corpus = load_tables(
            options.corpus,
            text_column=options.text_column,
            label_column=options.label_column,
            group_column=options.group_column,
            encoding=options.encoding,
        )
    done = audit(corpus)
    print_lines(summary(done))
    page = write_page(done, options.output)
    print_lines(f"page: {page}, for machines: {write_json(done, Path(options.output).with_suffix('.json'))}")
    if options.write_clean is not None:
        from hfcls.audit.clean import write_clean

        cleaned = write_clean(done, left_out, options.write_clean)
        rows = ", ".join(f"{count:,} {split}" for split, count in cleaned.dropped.items())
        print_lines(f"clean: {options.write_clean}, without {rows} rows ({', '.join(left_out)})")
        if cleaned.spared:
            print_lines(f"kept whole, or hardly a row would be left: {', '.join(cleaned.spared)}")
        if cleaned.halved:
            print_lines(f"lost over half of their rows: {', '.join(cleaned.halved)}")
    found = [finding.name for finding in done.findings if finding.found and finding.name in fatal]
    if found:
        print_lines(f"failed on {', '.join(found)}", file=sys.stderr)
    return 1 if found else 0


def _findings(flag: str, value: str) -> list[str]:
    """The names of findings in a flag, with commas between them."""
    names = [name for name in value.split(",") if name]
    for name in names:
        if name not in FINDINGS:
            near = difflib.get_close_matches(name, FINDINGS, n=1)
            raise InputError(f"{flag} {name}: {f'did you mean {near[0]}?' if near else 'see hfcls check --help'}")
    return names
