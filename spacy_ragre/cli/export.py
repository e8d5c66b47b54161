"""`ragre export`: annotated documents to another format."""

from pathlib import Path
from typing import Optional

from wasabi import msg

from ._util import Arg, Opt, ragre_cli, user_errors


@ragre_cli.command("export")
def export_cli(
    docs_path: Path = Arg(..., metavar="DOCS.spacy", help="Documents to export, a .spacy file or a folder of them"),
    output_path: Path = Arg(..., metavar="OUT", help="File to write"),
    format: str = Opt("jsonl", "--format", "-f", help="Format to write: jsonl (interchange) or docred"),
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="Take the entities from doc.spans[KEY]"),
    relation_names: Optional[Path] = Opt(
        None, "--relation-names", "-rn", help="JSON file of relation ids with names (docred); rel_info.json next to OUT"
    ),
) -> None:
    """
    Export documents with their entities, relations, clusters and triples.

    The output appears under its name only when it is whole.
    """
    with user_errors(export_cli):
        export(docs_path, output_path, format, spans_key=spans_key, relation_names=relation_names)


def export(
    docs_path: Path,
    output_path: Path,
    format: str = "jsonl",
    *,
    spans_key: Optional[str] = None,
    relation_names: Optional[Path] = None,
) -> None:
    """Export documents and say how many were written; see `spacy_ragre.corpora.export_docs`."""
    from ..corpora import export_docs

    count = export_docs(docs_path, output_path, format, spans_key=spans_key, relation_names=relation_names)
    msg.good(f"Wrote {count} documents to {output_path}")
