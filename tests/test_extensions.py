"""Names that another package needs for itself: relations under another name, and what is noticed when."""

import os
import subprocess
import sys
import warnings
from typing import Any, Callable, Dict, Iterator, List

import pytest
import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_ragre import Relation, register_extensions
from spacy_ragre.corpora.jsonl import read_jsonl, write_jsonl
from spacy_ragre.extensions import check_extensions, foreign_extensions
from spacy_ragre.relations import NAME_VARIABLE, relations_key

NAME = "rag_relation_extractor"
OTHER = "ragre_relations"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        register_extensions(force=True, relations="relations")
    os.environ.pop(NAME_VARIABLE, None)
    for owner in (Doc, Span):
        if owner.has_extension(OTHER):
            owner.remove_extension(OTHER)


@pytest.fixture
def pipeline(nlp: Language, tiny_config: Dict[str, Any]) -> Language:
    ruler: Any = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "ORG", "pattern": "Acme"}, {"label": "PERSON", "pattern": "Ann"}])
    nlp.add_pipe(NAME, config={"labels": {"founded_by": "was founded by"}, **tiny_config})
    return nlp


def annotate(nlp: Language, label: str = "founded_by") -> Doc:
    doc = nlp.make_doc("Acme was founded by Ann .")
    doc.ents = [Span(doc, 0, 1, "ORG"), Span(doc, 4, 5, "PERSON")]
    setattr(doc._, OTHER, [Relation(doc.ents[0], doc.ents[1], label)])
    return doc


def test_both_packages_have_their_attribute(pipeline: Language, tmp_path: Any) -> None:
    register_extensions(relations=OTHER)
    assert not Doc.has_extension("relations") and not Span.has_extension("relations")
    Doc.set_extension("relations", default=None)
    doc = pipeline.make_doc("Acme was founded by Ann .")
    doc._.relations = ["theirs"]
    doc = pipeline(doc)
    assert doc._.relations == ["theirs"]
    found = getattr(doc._, OTHER)
    assert found and all(isinstance(relation, Relation) for relation in found)
    assert getattr(doc[0:1]._, OTHER) == found
    # Saved and loaded, written and read.
    (again,) = DocBin(docs=[doc], store_user_data=True).get_docs(pipeline.vocab)
    assert [r.to_dict() for r in getattr(again._, OTHER)] == [r.to_dict() for r in found]
    write_jsonl([doc], tmp_path / "docs.jsonl")
    (read,) = read_jsonl(tmp_path / "docs.jsonl", pipeline)
    assert len(getattr(read._, OTHER)) == len(found) and read._.relations is None


def test_gold_relations_are_read_and_scored_under_the_name(pipeline: Language) -> None:
    register_extensions(relations=OTHER)
    pipe: Any = pipeline.get_pipe(NAME)
    docs = [annotate(pipeline), annotate(pipeline)]
    assert pipe.add_examples(docs) == 2
    scores = pipe.scorer([Example(doc, doc) for doc in docs])
    assert scores["rels_micro_f"] == 1.0
    pipeline.initialize(lambda: [Example(pipeline.make_doc(doc.text), doc) for doc in docs])


def test_processes_that_are_started_know_the_name() -> None:
    register_extensions(relations=OTHER)
    code = f"from spacy.tokens import Doc; import spacy_ragre; print(Doc.has_extension({OTHER!r}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_a_name_that_another_package_has_is_no_way_out() -> None:
    Doc.set_extension(OTHER, default=1)
    with pytest.warns(UserWarning, match=rf"W400.*doc\._\.{OTHER}"):
        register_extensions(relations=OTHER)


def test_the_attribute_of_another_package_stays_where_it_is(nlp: Language) -> None:
    Doc.set_extension("relations", default="theirs", force=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_extensions(relations=OTHER)
    assert nlp.make_doc("x")._.relations == "theirs" and Doc.has_extension(OTHER)


@pytest.mark.parametrize("name", ["", "two words", "1st", 3, "triples", "usage"])
def test_r015_a_name_that_is_none(name: Any) -> None:
    with pytest.raises(ValueError, match=r"R015"):
        register_extensions(relations=name)
    assert Doc.has_extension("relations")


def test_r015_a_name_of_the_environment_that_is_none() -> None:
    env = {**os.environ, NAME_VARIABLE: "two words"}
    done = subprocess.run([sys.executable, "-c", "import spacy_ragre"], capture_output=True, text=True, env=env)
    assert done.returncode and "[R015] Relations can't be kept in doc._.two words" in done.stderr
    assert NAME_VARIABLE in done.stderr


USES: List[Callable[[Language], Any]] = [
    lambda nlp: nlp("Acme was founded by Ann ."),
    lambda nlp: list(nlp.pipe(["Acme was founded by Ann ."] * 2)),
    lambda nlp: nlp.initialize(lambda: [Example(nlp.make_doc("a"), nlp.make_doc("a"))]),
    lambda nlp: nlp.get_pipe(NAME).update([Example(nlp.make_doc("a"), nlp.make_doc("a"))]),  # type: ignore[attr-defined]
    lambda nlp: nlp.evaluate([Example(nlp.make_doc("a"), nlp.make_doc("a"))]),
]


@pytest.mark.parametrize("use", USES, ids=["call", "pipe", "initialize", "update", "evaluate"])
def test_r014_an_attribute_that_is_replaced_after_add_pipe(pipeline: Language, use: Callable[[Language], Any]) -> None:
    # What another package does that is imported later; no document is at fault.
    if use is not USES[0]:
        pipeline.set_error_handler(lambda name, proc, docs, error: None)
    Doc.set_extension("relations", default=[], force=True)
    with pytest.raises(ValueError, match=r"R014\].*doc\._\.relations.*register_extensions\(relations="):
        use(pipeline)


@pytest.mark.parametrize("value", [[{"head_text": ["Acme"], "score": 1.0}], ["a"], "words", 3, {"a": 1}])
def test_r016_relations_that_another_package_has_written(nlp: Language, value: Any) -> None:
    doc = nlp.make_doc("Acme was founded by Ann .")
    doc.user_data[relations_key()] = value
    with pytest.raises(ValueError, match=r"R016\].*doc\._\.relations"):
        list(doc._.relations)
    with pytest.raises(ValueError, match=r"R016\].*doc\._\.relations"):
        list(doc[0:1]._.relations)


@pytest.fixture
def without_extensions() -> Iterator[None]:
    names: Dict[Any, List[str]] = {Doc: ["relations", "triples"], Span: ["relations", "usage"]}
    kept = [(cls, name, cls.remove_extension(name)) for cls, own in names.items() for name in own]
    yield
    for cls, name, (default, method, getter, setter) in kept:
        values = {"method": method, "getter": getter, "setter": setter}
        given = {key: value for key, value in values.items() if value is not None} or {"default": default}
        cls.set_extension(name, force=True, **given)


@pytest.mark.filterwarnings("ignore:.W400.")
def test_extensions_of_the_user_are_not_overwritten(without_extensions: None) -> None:
    Doc.set_extension("relations", default="mine")
    Span.set_extension("usage", default="mine too")
    register_extensions()
    doc = Doc(Vocab(), words=["a", "b"])
    assert doc._.relations == "mine" and doc[0:1]._.usage == "mine too"
    assert Doc.has_extension("triples") and Span.has_extension("relations")
    assert doc._.triples == []


@pytest.mark.parametrize(
    "owner, name, settings",
    [
        (Doc, "relations", {"default": []}),
        (Doc, "entity_clusters", {"getter": lambda doc: []}),
        (Doc, "triples", {"method": lambda doc: []}),
        (Span, "relations", {"default": None}),
        (Span, "usage", {"default": 1}),
    ],
)
def test_extension_of_another_package_is_noticed_and_can_be_replaced(
    owner: Any, name: str, settings: Dict[str, Any]
) -> None:
    owner.set_extension(name, force=True, **settings)
    full = f"{owner.__name__.lower()}._.{name}"
    assert foreign_extensions() == [full]
    # as at import
    with pytest.warns(UserWarning, match=r"\[W400\].*" + full):
        register_extensions()
    with pytest.raises(ValueError, match=r"\[R014\].*" + full):
        spacy.blank("en").add_pipe("rag_relation_extractor", config={"labels": {"founded_by": "was founded by"}})
    with pytest.warns(UserWarning, match=r"\[W401\].*" + full):
        register_extensions(force=True)
    check_extensions()
    doc = Doc(Vocab(), words="Acme was founded by Ada Poe".split())
    doc._.relations = [{"head": (0, 1), "tail": (4, 6), "label": "founded_by"}]
    assert isinstance(doc._.relations[0], Relation)
    assert len(doc[0:1]._.relations) == 1


def test_own_extensions_are_registered_again_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_extensions()
        register_extensions(force=True)
    assert not foreign_extensions()
