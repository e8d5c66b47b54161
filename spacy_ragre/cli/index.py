"""`ragre index`: a store of examples, made from a corpus."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Iterator, List

from tqdm import tqdm
from wasabi import msg

from ..errors import Errors
from ._util import Arg, Opt, ragre_cli, read_corpus, user_errors

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from ..candidates import Candidate
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
) -> None:
    """
    Encode the pairs of entities of a corpus and store them, so that `neighbours` finds them.

    The defaults are the published setting of RAG4RE: the plain sentence and its nearest neighbours by cosine. The
    store keeps the encoder's settings.
    """
    with user_errors():
        index(corpus_path, store_path, encoder=encoder, text=text)


def index(corpus_path: Path, store_path: Path, *, encoder: str = "all-MiniLM-L6-v2", text: str = "sentence") -> None:
    """Make a store of examples, in place of one that is there.

    corpus_path (Path): annotated documents. Pairs whose relations were never set are stored without labels.
    store_path (Path): the folder to write.
    encoder (str): a local folder, the name of an embedded model or a hub id.
    text (str): "sentence" or "marked".
    """
    from thinc.api import Config

    from ..retrieval.folders import replace_folder

    # A folder is found from anywhere only by its whole path.
    name = str(Path(encoder).resolve()) if Path(encoder).is_dir() else encoder
    config = Config(
        {
            "retriever": {
                "@ragre_retrievers": "ragre.Retriever.v1",
                "encoder": {"@ragre_encoders": "ragre.TextEncoder.v1", "name": name, "text": text},
            }
        }
    )
    retriever = make_retriever(config, "--encoder and --text")
    chunk: List[Any] = []
    with tqdm(desc="Indexing", unit=" pairs", disable=None) as bar:
        for doc in read_corpus(corpus_path):
            chunk.extend(candidate.instance for candidate in known_candidates(doc))
            if len(chunk) >= _CHUNK:
                retriever.add(chunk)
                bar.update(len(chunk))
                chunk = []
        retriever.add(chunk)
        bar.update(len(chunk))
    if not len(retriever):
        raise ValueError(Errors.R604.format(path=corpus_path))
    with replace_folder(store_path, (CONFIG_FILE, RETRIEVER)) as folder:
        config.to_disk(folder / CONFIG_FILE)
        retriever.to_disk(folder / RETRIEVER)
    msg.good(f"Stored {len(retriever)} examples in {store_path}")


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
        return registry.resolve({"retriever": config["retriever"]})["retriever"]
    except ConfigValidationError as error:
        problem = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors)
        raise ValueError(Errors.R610.format(source=source, problem=problem)) from error
    except (ValueError, KeyError) as error:
        raise ValueError(Errors.R610.format(source=source, problem=str(error).strip())) from error


def known_candidates(doc: "Doc") -> "Iterator[Candidate]":
    """The pairs of a document, within sentences.

    doc (Doc): the document.
    YIELDS (Candidate): the candidates, with their answers where the document's relations were set.
    """
    from ..candidates import label_candidates, make_same_sentence
    from ..relations import RELATIONS_KEY

    candidates = make_same_sentence()(doc, doc.ents)
    yield from label_candidates(doc, candidates) if RELATIONS_KEY in doc.user_data else candidates
