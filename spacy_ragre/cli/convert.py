"""`ragre convert`: a corpus to .spacy files."""

from pathlib import Path
from typing import Any, Dict, Optional

from wasabi import msg

from ._util import Arg, Opt, ragre_cli, user_errors


@ragre_cli.command("convert")
def convert_cli(
    input_path: Path = Arg(..., metavar="IN", help="Corpus to convert"),
    output_path: Path = Arg(..., metavar="OUT.spacy", help="File to write"),
    format: str = Opt("jsonl", "--format", "-f", help="Format of the corpus: jsonl (interchange), semeval or docred"),
    dev: Optional[Path] = Opt(None, "--dev", help="Put a share of the documents aside, into this .spacy file"),
    dev_share: float = Opt(0.1, "--dev-share", help="Share of the documents for --dev, between 0 and 1"),
    seed: int = Opt(0, "--seed", "-s", help="Seed of the choice of documents for --dev"),
    spans_key: Optional[str] = Opt(
        None, "--spans-key", "-sk", help="Keep entities in doc.spans[KEY], where they may overlap (jsonl, docred)"
    ),
    split_tokens: bool = Opt(
        False, "--split-tokens", help="Cut tokens where an entity begins or ends inside one (jsonl)"
    ),
    relation_names: Optional[Path] = Opt(
        None, "--relation-names", "-rn", help="JSON file of relation ids with names (docred); rel_info.json next to IN"
    ),
) -> None:
    """
    Convert a corpus of relations to spaCy's binary format, for training and evaluation.

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
        )


def convert(
    input_path: Path,
    output_path: Path,
    format: str,
    *,
    dev: Optional[Path] = None,
    dev_share: float = 0.1,
    seed: int = 0,
    spans_key: Optional[str] = None,
    split_tokens: bool = False,
    relation_names: Optional[Path] = None,
) -> None:
    """Convert a corpus and say how many documents were written; see `spacy_ragre.corpora.convert`."""
    from ..corpora import convert as corpora_convert
    from ..corpora import convert_split

    settings: Dict[str, Any] = {
        "spans_key": spans_key,
        "split_tokens": split_tokens,
        "relation_names": relation_names,
    }
    if dev is None:
        count = corpora_convert(input_path, output_path, format, **settings)
        msg.good(f"Wrote {count} documents to {output_path}")
        return
    counts = convert_split(input_path, output_path, dev, format, dev_share, seed, **settings)
    msg.good(f"Wrote {counts[0]} documents to {output_path} and {counts[1]} to {dev}")
