"""`ragre index`: a store of examples, made from a corpus."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterable, Iterator, List, Optional

from tqdm import tqdm
from wasabi import msg

from ..errors import Errors
from ._util import Arg, Opt, one_line, ragre_cli, read_corpus, user_errors

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from ..candidates import Candidate
    from ..instances import Instance
    from ..retrieval import Retriever

# What a store holds: the retriever's settings, so that it can be built again, and the retriever itself.
CONFIG_FILE = "config.cfg"
RETRIEVER = "retriever"
_CHUNK = 512


@ragre_cli.command("index")
def index_cli(
    corpus_path: Path = Arg(
        ..., metavar="CORPUS", help="Annotated documents: .spacy, interchange .jsonl or SemEval .txt"
    ),
    store_path: Path = Arg(..., metavar="STORE", help="Folder to write"),
    encoder: str = Opt(
        "all-MiniLM-L6-v2", "--encoder", "-e", help="Sentence encoder: an embedded model, a folder or a hub id"
    ),
    text: str = Opt(
        "sentence", "--text", "-t", help="What is encoded: sentence, or marked (with both mentions marked)"
    ),
    index_kind: str = Opt(
        "flat",
        "--index",
        "-x",
        help="flat (exact), hnsw (fast) or ivfpq (small); the last two for hundreds of thousands of pairs",
    ),
    spans_key: Optional[str] = Opt(None, "--spans-key", "-sk", help="The entities are in doc.spans[KEY]"),
    split_tokens: bool = Opt(
        False, "--split-tokens", help="Cut tokens where an entity begins or ends inside one (jsonl)"
    ),
) -> None:
    """
    Encode the pairs of entities of a corpus and store them, so that `neighbours` finds them.

    The defaults are the published setting of RAG4RE: the plain sentence and its nearest neighbours by cosine. The
    store keeps the encoder's settings.
    """
    with user_errors(index_cli):
        index(
            corpus_path,
            store_path,
            encoder=encoder,
            text=text,
            index_kind=index_kind,
            spans_key=spans_key,
            split_tokens=split_tokens,
        )


def index(
    corpus_path: Path,
    store_path: Path,
    *,
    encoder: str = "all-MiniLM-L6-v2",
    text: str = "sentence",
    index_kind: str = "flat",
    spans_key: Optional[str] = None,
    split_tokens: bool = False,
) -> None:
    """Make a store of examples, in place of one that is there.

    corpus_path (Path): annotated documents. Pairs whose relations were never set are stored without labels.
    store_path (Path): the folder to write.
    encoder (str): a local folder, the name of an embedded model or a hub id.
    text (str): "sentence" or "marked".
    index_kind (str): "flat", or "hnsw" or "ivfpq": then the store is written in a stream, and mapped into memory.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]`.
    split_tokens (bool): cut tokens of interchange documents where an entity begins or ends inside one.
    """
    from thinc.api import Config

    from ..files import replace_folder

    # A folder is found from anywhere only by its whole path.
    name = str(Path(encoder).resolve()) if Path(encoder).is_dir() else encoder
    settings = {} if index_kind == "flat" else {"index": index_kind, "mapped": True}
    config = Config(
        {
            "retriever": {
                "@ragre_retrievers": "ragre.Retriever.v1",
                "encoder": {"@ragre_encoders": "ragre.TextEncoder.v1", "name": name, "text": text},
                **settings,
            }
        }
    )
    retriever = make_retriever(config, "--encoder, --text and --index")
    docs = read_corpus(corpus_path, spans_key=spans_key, split_tokens=split_tokens)
    with replace_folder(store_path, (CONFIG_FILE, RETRIEVER)) as folder:
        config.to_disk(folder / CONFIG_FILE)
        if retriever.mapped:
            count = retriever.build(folder / RETRIEVER, _chunks(docs, spans_key))
        else:
            for chunk in _chunks(docs, spans_key):
                retriever.add(chunk)
            count = len(retriever)
            retriever.to_disk(folder / RETRIEVER)
        if not count:
            raise ValueError(Errors.R604.format(path=corpus_path))
    msg.good(f"Stored {count} examples in {store_path}")


def _chunks(docs: "Iterable[Doc]", spans_key: Optional[str]) -> Iterator[List["Instance"]]:
    """YIELDS (List[Instance]): the pairs of documents, with a bar that counts them."""
    chunk: List[Instance] = []
    with tqdm(desc="Indexing", unit=" pairs", disable=None) as bar:
        for doc in docs:
            chunk.extend(candidate.instance for candidate in known_candidates(doc, spans_key))
            if len(chunk) >= _CHUNK:
                yield chunk
                bar.update(len(chunk))
                chunk = []
        if chunk:
            yield chunk
        bar.update(len(chunk))


def make_retriever(config: Dict[str, Any], source: str) -> "Retriever":
    """Build the retriever of a config. No weights are loaded.

    config (Dict[str, Any]): the config, with a section `retriever`.
    source (str): where the config comes from, for errors.
    RETURNS (Retriever): the retriever. Settings that are not valid raise a ValueError.
    """
    from thinc.api import ConfigValidationError

    # Importing it registers the functions that the config names.
    from .. import retrieval  # noqa: F401
    from ..registry import registry

    try:
        retriever: Retriever = registry.resolve({"retriever": config["retriever"]})["retriever"]
    except ConfigValidationError as error:
        problem = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors)
        raise ValueError(Errors.R610.format(source=source, problem=problem)) from error
    except (ValueError, KeyError) as error:
        raise ValueError(Errors.R610.format(source=source, problem=one_line(error))) from error
    return retriever


def known_candidates(doc: "Doc", spans_key: Optional[str] = None) -> "Iterator[Candidate]":
    """The pairs of a document, within sentences.

    doc (Doc): the document.
    spans_key (Optional[str]): the entities are in `doc.spans[spans_key]` instead of `doc.ents`.
    YIELDS (Candidate): the candidates, with their answers where the document's relations were set.
    """
    from ..candidates import label_candidates, make_same_sentence
    from ..relations import entity_spans, has_relations

    spans = entity_spans(doc, spans_key)
    candidates = make_same_sentence()(doc, spans)
    yield from label_candidates(doc, candidates, spans) if has_relations(doc) else candidates
