"""`ragre convert`: a corpus to .spacy files."""

from pathlib import Path
from typing import Any, Dict, List, Optional

import typer
from wasabi import msg

from ..annotate.documents import LeftOut
from ._left_out import LEFT_OUT, SKIP_ERRORS, left_out_to, report_left_out
from ._util import Arg, Opt, ragre_cli, user_errors, visible


@ragre_cli.command("convert")
def convert_cli(
    input_path: Path = Arg(..., metavar="IN", help="Corpus to convert"),
    output_path: Path = Arg(..., metavar="OUT.spacy", help="File to write"),
    format: Optional[str] = Opt(
        None,
        "--format",
        "-f",
        help="Format of the corpus, such as jsonl (interchange); found from what it holds if not given",
    ),
    dev: Optional[Path] = Opt(None, "--dev", help="Put a share of the documents aside, into this .spacy file"),
    dev_share: float = Opt(0.1, "--dev-share", help="Share of the documents for --dev, between 0 and 1"),
    seed: int = Opt(0, "--seed", "-s", help="Seed of the choice of documents for --dev"),
    spans_key: Optional[str] = Opt(
        None, "--spans-key", "-sk", help="Keep entities in doc.spans[KEY], where they may overlap"
    ),
    split_tokens: bool = Opt(
        False, "--split-tokens", help="Cut tokens where an entity begins or ends inside one (jsonl; others always do)"
    ),
    relation_names: Optional[Path] = Opt(
        None, "--relation-names", "-rn", help="JSON file of relation ids with names (docred); rel_info.json next to IN"
    ),
    patch: Optional[Path] = Opt(None, "--patch", help="Patch of TACREV or Re-TACRED for this file (tacred)"),
    skip_errors: Optional[Path] = SKIP_ERRORS,
) -> None:
    """
    Convert a corpus of relations to spaCy's binary format, for training and evaluation, and say what it holds.

    The output appears under its name only when it is whole.
    """
    with user_errors(convert_cli):
        convert(
            input_path,
            output_path,
            format,
            dev=dev,
            dev_share=dev_share,
            seed=seed,
            spans_key=spans_key,
            split_tokens=split_tokens,
            relation_names=relation_names,
            patch=patch,
            skip_errors=skip_errors,
        )


def convert(
    input_path: Path,
    output_path: Path,
    format: Optional[str] = None,
    *,
    dev: Optional[Path] = None,
    dev_share: float = 0.1,
    seed: int = 0,
    spans_key: Optional[str] = None,
    split_tokens: bool = False,
    relation_names: Optional[Path] = None,
    patch: Optional[Path] = None,
    skip_errors: Optional[Path] = None,
) -> None:
    """Convert a corpus and say what was written; see `spacy_ragre.corpora.convert`.

    skip_errors (Optional[Path]): the file for records that can't be read, with reasons; they end the run where None.
    """
    from ..corpora import CorpusCounts, convert_split
    from ..corpora import convert as corpora_convert
    from ..files import check_outputs

    inputs = {"input": input_path, "relation names": relation_names, "patch": patch}
    check_outputs(inputs, {"output": output_path, "development set": dev, LEFT_OUT: skip_errors})
    left_out: List[LeftOut] = []
    counts = CorpusCounts()
    settings: Dict[str, Any] = {
        "spans_key": spans_key,
        "split_tokens": split_tokens,
        "relation_names": relation_names,
        "patch": patch,
        "on_error": None if skip_errors is None else left_out_to(left_out),
        "counts": counts,
    }
    try:
        if dev is None:
            count = corpora_convert(input_path, output_path, format, **settings)
            written = f"{count} documents to {output_path}"
        else:
            parts = convert_split(input_path, output_path, dev, format, dev_share, seed, **settings)
            written = f"{parts[0]} documents to {output_path} and {parts[1]} to {dev}"
    except ValueError:
        if skip_errors is None or not left_out or counts.documents:
            raise
        # None is left, which this raises.
        report_left_out(left_out, len(left_out), skip_errors)
    msg.good(f"Wrote {written}")
    for line in counts.lines():
        typer.echo(visible(line))
    if skip_errors is not None:
        report_left_out(left_out, counts.documents + len(left_out), skip_errors)
