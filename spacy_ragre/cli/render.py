"""`ragre render`: pictures of annotated documents, in an HTML file."""

from pathlib import Path
from typing import Dict, List, Mapping, Optional, cast

from wasabi import msg

from ..errors import Errors
from ._util import Arg, Opt, ragre_cli, read_corpus, user_errors


@ragre_cli.command("render")
def render_cli(
    docs_path: Path = Arg(
        ..., metavar="DOCS", help="Documents with relations: a .spacy file or a folder of them, or interchange .jsonl"
    ),
    output_path: Path = Arg(..., metavar="OUT.html", help="HTML file to write"),
    style: str = Opt(
        "corpus",
        "--style",
        "-s",
        help="corpus: one graph of all documents with a table, search and filters; arcs: the texts with their "
        "relations; graph: a graph for each document",
    ),
    labels: Optional[str] = Opt(None, "--labels", "-l", help="Only these relations, with commas between them"),
    min_score: float = Opt(0.0, "--min-score", "-m", help="Only relations with at least this score"),
    symmetric: List[str] = Opt(
        [], "--symmetric", metavar="LABEL", help="Label that says the same in both directions; may be given again"
    ),
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="Take the entities from doc.spans[KEY]"),
) -> None:
    """
    Draw the relations of documents, in one HTML file that needs no network.

    The output appears under its name only when it is whole.
    """
    options: Dict[str, object] = {"min_score": min_score, "spans_key": spans_key}
    if labels is not None:
        options["labels"] = [name.strip() for name in labels.split(",") if name.strip()]
    if symmetric:
        options["symmetric"] = symmetric
    with user_errors(render_cli):
        render(docs_path, output_path, style, options=options)


def render(
    docs_path: Path, output_path: Path, style: str = "corpus", *, options: Optional[Mapping[str, object]] = None
) -> None:
    """Write a page with the relations of documents; see `spacy_ragre.visual`.

    docs_path (Path): a .spacy file or a folder of them, or interchange .jsonl.
    output_path (Path): the HTML file.
    style (str): "corpus", or a style of `visual.render`.
    options (Optional[Mapping[str, object]]): options of `visual.render`.
    """
    from ..files import atomic_write, check_outputs
    from ..visual import STYLES, corpus_page, render

    check_outputs({"input": docs_path}, {"output": output_path})
    docs = read_corpus(docs_path, spans_key=cast(Optional[str], (options or {}).get("spans_key")))
    if style == "corpus":
        corpus_page(docs, output_path, title=docs_path.stem, options=options)
    elif style in STYLES:
        page = render(docs, style, page=True, jupyter=False, options=options)
        with atomic_write(output_path) as stream:
            stream.write(page.encode("utf8"))
    else:
        raise ValueError(Errors.R691.format(style=style, known=", ".join(["corpus", *STYLES])))
    msg.good(f"Wrote {output_path}")
