"""`render`: relations of documents as pictures, called as displaCy is."""

from typing import Any, Callable, Dict, Iterable, Literal, Mapping, Optional, Union, overload

from spacy.util import is_in_jupyter

from ..errors import Errors
from .arcs_svg import draw_arcs
from .document import Source, each_source, read_graph, read_text
from .graph_svg import draw_graph
from .options import Options, read_options
from .style import wrap_page


@overload
def render(
    docs: Union[Source, Iterable[Source]],
    style: str = ...,
    page: bool = ...,
    minify: bool = ...,
    *,
    jupyter: Literal[False],
    options: Optional[Mapping[str, Any]] = ...,
) -> str: ...


@overload
def render(
    docs: Union[Source, Iterable[Source]],
    style: str = ...,
    page: bool = ...,
    minify: bool = ...,
    jupyter: Optional[bool] = ...,
    options: Optional[Mapping[str, Any]] = ...,
) -> Optional[str]: ...


def render(
    docs: Union[Source, Iterable[Source]],
    style: str = "arcs",
    page: bool = False,
    minify: bool = False,
    jupyter: Optional[bool] = None,
    options: Optional[Mapping[str, Any]] = None,
) -> Optional[str]:
    """Draw the relations of documents. Texts are escaped; nothing is loaded from elsewhere.

    docs (Union[Doc, Span, Iterable[Union[Doc, Span]]]): document(s), or parts of some, such as sentences, of which the
        relations with both ends in the part are shown.
    style (str): "arcs": the text, a row a sentence, with an arc for each relation; "graph": entities and relations as
        nodes and edges.
    page (bool): give a whole HTML page; else one SVG a document, with nothing around it.
    minify (bool): leave line breaks out.
    jupyter (Optional[bool]): show the picture in the notebook; None to do so where there is one.
    options (Optional[Mapping[str, Any]]): `labels`, only these are shown; `min_score`, only relations with at least
        this score; `symmetric`, labels that say the same in both directions, drawn with two arrows; `colors`, CSS
        colours of labels and entity types; `width`, how wide the picture of arcs may be, in pixels (960); `spans_key`,
        where entities are, in place of `doc.ents`.
    RETURNS (Optional[str]): the markup; None where it is shown in a notebook. A ValueError is raised for an unknown
        style or option, and for what is no document.
    """
    if style not in STYLES:
        raise ValueError(Errors.R691.format(style=style, known=", ".join(STYLES)))
    sources = list(each_source(docs))
    checked = read_options(options or {})
    pictures = [STYLES[style](source, checked) for source in sources]
    html = wrap_page(pictures) if page else "\n".join(pictures)
    html = html.replace("\n", "") if minify else html
    if jupyter or (jupyter is None and is_in_jupyter()):
        # Notebooks would read dollar signs of a text as formulas.
        from IPython.display import HTML, display

        display(HTML(f'<div class="tex2jax_ignore" style="overflow-x:auto">{html}</div>'))
        return None
    return html


def _arcs(source: Source, options: Options) -> str:
    return draw_arcs(read_text(source, options.selection), options.width, options.colors)


def _graph(source: Source, options: Options) -> str:
    return draw_graph(read_graph(source, options.selection), options.colors)


STYLES: Dict[str, Callable[[Source, Options], str]] = {"arcs": _arcs, "graph": _graph}
