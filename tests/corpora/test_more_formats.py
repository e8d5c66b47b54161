"""SpERT, PubTator, BioC, WebAnno TSV and UIMA CAS: what is read of them, on invented documents, and bad input."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
import spacy
from spacy.tokens import Doc, DocBin

from spacy_ragre.corpora import CorpusCounts, convert
from spacy_ragre.corpora.formats import recognise
from spacy_ragre.relations import ID_KEY, has_relations

Read = Callable[..., List[Doc]]


@pytest.fixture
def counts() -> CorpusCounts:
    return CorpusCounts()


@pytest.fixture
def read(tmp_path: Path, counts: CorpusCounts) -> Read:
    """Writes a file, checks that its format is found, and gives the documents that it is converted to."""

    def call(content: Any, format: str, **settings: Any) -> List[Doc]:
        path = content
        if not isinstance(content, Path):
            path = tmp_path / "in.any"
            path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf8")
        assert recognise(path) == format
        convert(path, tmp_path / "out.spacy", counts=counts, **settings)
        return list(DocBin().from_disk(tmp_path / "out.spacy").get_docs(spacy.blank("en").vocab))

    return call


def ents(doc: Doc) -> List[Any]:
    return [(span.text, span.label_, span.kb_id_) for span in doc.ents]


def relations(doc: Doc) -> List[Any]:
    return [(rel.head.text, rel.label, rel.tail.text) for rel in doc._.relations]


# SpERT

SPERT = {
    "tokens": ["Ann", "runs", "Acme", "Tools", ",", "Inc.", "(", "Oslo", ")"],
    "entities": [{"type": "Peop", "start": 0, "end": 1}, {"type": "Org", "start": 2, "end": 6}],
    "relations": [{"type": "Work_For", "head": 0, "tail": 1}],
    "orig_id": 7,
}


def test_spert(read: Read) -> None:
    other = {"tokens": ["Nobody", "."], "entities": [], "relations": [], "orig_id": 8}
    first, second = read([SPERT, other], "spert")
    assert [token.text for token in first] == SPERT["tokens"]
    assert first.text == "Ann runs Acme Tools, Inc. (Oslo)" and first.user_data[ID_KEY] == "7"
    assert ents(first) == [("Ann", "Peop", ""), ("Acme Tools, Inc.", "Org", "")]
    assert relations(first) == [("Ann", "Work_For", "Acme Tools, Inc.")]
    assert has_relations(second) and not relations(second)


def test_spert_without_relations_and_with_nested_entities(read: Read, counts: CorpusCounts) -> None:
    entities = [*SPERT["entities"], {"type": "Word", "start": 2, "end": 3}]  # type: ignore[misc]
    (doc,) = read([{"tokens": SPERT["tokens"], "entities": entities}], "spert")
    assert not has_relations(doc) and counts.overlapping == 1
    assert [span.text for span in doc.spans["entities"]] == ["Ann", "Acme Tools, Inc.", "Acme"]


@pytest.mark.parametrize(
    "change, code",
    [
        ({"tokens": []}, "R405.*tokens"),
        ({"tokens": ["Ann", " "]}, "R405.*tokens"),
        ({"entities": [{"type": "Org", "start": 8, "end": 10}]}, "R378.*start=8 to end=10.*9 tokens"),
        ({"entities": [{"type": "Org", "start": 2, "end": 2}]}, "R378"),
        ({"entities": [{"type": "Org", "start": "2", "end": 3}]}, "R405.*start"),
        ({"relations": [{"type": "Work_For", "head": 0, "tail": 2}]}, "R409.*tail"),
        ({"relations": [{"head": 0, "tail": 1}]}, "R405.*type"),
        ({"relations": None, "text": "other", "tokens": "Ann"}, "R338"),
    ],
)
def test_spert_bad_records(tmp_path: Path, change: Dict[str, Any], code: str) -> None:
    path = tmp_path / "in.json"
    path.write_text(json.dumps([{**SPERT, **change}, {**SPERT, "orig_id": 9}]), encoding="utf8")
    with pytest.raises(ValueError, match=f"(?s)R402.*{code}"):
        convert(path, tmp_path / "out.spacy", "spert")
    told: List[Any] = []
    assert convert(path, tmp_path / "out.spacy", "spert", on_error=lambda *item: told.append(item)) == 1
    assert "document 1" in told[0][0]


# PubTator

PUBTATOR = """11|t|Nausea after fish oil.
11|a|Fish oil with garlic caused sickness and rash.
11\t0\t6\tNausea\tDisease\tD01
11\t13\t21\tfish oil\tChemical\tD02
11\t23\t31\tFish oil\tChemical\tD02
11\t37\t43\tgarlic\tChemical\t-1
11\t51\t59\tsickness\tDisease\tD01
11\t51\t68\tsickness and rash\tDisease\tD01|D03\tsickness|rash
11\tCID\tD02\tD01
11\tCID\tD02\tD03
11\tCID\tD02\tD09

12|t|A title.
12|a|
12\t2\t7\ttitle\tX\tp|DEL|4|
"""


def test_pubtator(read: Read, counts: CorpusCounts) -> None:
    first, second = read(PUBTATOR, "pubtator")
    assert first.text == "Nausea after fish oil. Fish oil with garlic caused sickness and rash."
    assert first.user_data[ID_KEY] == "11"
    spans = [(span.text, span.label_, span.kb_id_) for span in first.spans["entities"]]
    assert spans[:4] == [
        ("Nausea", "Disease", "D01"),
        ("fish oil", "Chemical", "D02"),
        ("Fish oil", "Chemical", "D02"),
        ("garlic", "Chemical", ""),
    ]
    # Relations are between concepts; a mention of two of them is in both clusters.
    clusters = [[span.text for span in cluster] for cluster in first._.entity_clusters]
    assert clusters == [
        ["Nausea", "sickness", "sickness and rash"],
        ["fish oil", "Fish oil"],
        ["garlic"],
        ["sickness and rash"],
    ]
    assert [(rel.head_cluster, rel.label, rel.tail_cluster) for rel in first._.relations] == [
        (1, "CID", 0),
        (1, "CID", 3),
    ]
    assert counts.dropped_items() == ["relations of concepts that no mention names 1"]
    # The file has relations, so that this document is known to have none.
    assert has_relations(second) and ents(second) == [("title", "X", "p|DEL|4|")]


def test_pubtator_without_relations(read: Read) -> None:
    (doc,) = read("5|t|Ada\n5|a|x\n5\t0\t3\tAda\tP\tQ7\n", "pubtator")
    assert not has_relations(doc) and ents(doc) == [("Ada", "P", "Q7")]


def test_pubtator_of_biored(read: Read, counts: CorpusCounts) -> None:
    lines = (
        "5|t|Ada met Bob\n5|a|x\n5\t0\t3\tAda\tP\tQ7\n5\t8\t11\tBob\tP\tp|SUB|R4\n5\tAssociation\tQ7\tp|SUB|R4\tNovel\n"
    )
    (doc,) = read(lines, "pubtator")
    assert relations(doc) == [("Ada", "Association", "Bob")]
    assert counts.dropped_items() == ["further columns of relations 1"]


@pytest.mark.parametrize(
    "old, new, line, problem",
    [
        ("\t0\t6\tNausea", "\t0\t5\tNausea", 3, "the text has 'Nause' from 0 to 5"),
        ("\t13\t21\tfish oil", "\t14\t22\tfish oil", 4, "'ish oil.'"),
        ("11\t0\t6", "13\t0\t6", 3, "its document is not '11'"),
        ("11\t0\t6\tNausea\tDisease\tD01", "11\t0\t6\tNausea", 3, "needs document, start, end"),
        ("11\t0\t6\tNausea\tDisease\tD01", "some words", 3, "its document is not '11'"),
    ],
)
def test_pubtator_lines_that_are_wrong(tmp_path: Path, old: str, new: str, line: int, problem: str) -> None:
    path = tmp_path / "in.txt"
    path.write_text(PUBTATOR.replace(old, new, 1), encoding="utf8")
    with pytest.raises(ValueError, match=f"(?s)R402.*line {line}: .R379.*{problem}"):
        convert(path, tmp_path / "out.spacy")
    told: List[Any] = []
    assert convert(path, tmp_path / "out.spacy", on_error=lambda *item: told.append(item)) == 1
    # A document is left out once, however much is wrong with it.
    assert [place for place, _, _ in told] == ["lines 1 to 11"] and told[0][2][0].startswith(f"line {line}: ")


# BioC


def annotation(id_: str, offset: int, text: str, type_: str, **infons: str) -> Dict[str, Any]:
    locations = [{"offset": offset, "length": len(text)}]
    return {"id": id_, "infons": {"type": type_, **infons}, "text": text, "locations": locations}


BIOC: Dict[str, Any] = {
    "source": "invented",
    "documents": [
        {
            "id": "21",
            "passages": [
                {"offset": 0, "text": "Fish oil.", "annotations": [annotation("T1", 0, "Fish oil", "Drug", MESH="D2")]},
                {
                    "offset": 11,
                    "text": "It caused rash.",
                    "annotations": [annotation("T2", 21, "rash", "Event", identifier="-")],
                    "relations": [
                        {
                            "id": "R1",
                            "infons": {"type": "causes"},
                            "nodes": [{"refid": "T1", "role": "Arg1"}, {"refid": "T2", "role": "Arg2"}],
                        }
                    ],
                },
            ],
            "relations": [],
        }
    ],
}


def change(**parts: Any) -> Dict[str, Any]:
    """The first document with other values of its second passage."""
    data = json.loads(json.dumps(BIOC))
    data["documents"][0]["passages"][1].update(parts)
    result: Dict[str, Any] = data
    return result


def test_bioc_json(read: Read) -> None:
    (doc,) = read(BIOC, "bioc")
    assert doc.text == "Fish oil.  It caused rash." and doc.user_data[ID_KEY] == "21"
    assert ents(doc) == [("Fish oil", "Drug", "D2"), ("rash", "Event", "")]
    assert relations(doc) == [("Fish oil", "causes", "rash")]


XML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE collection SYSTEM "BioC.dtd">
<collection><source>x</source><date/><key/>
<document><id>22</id>
<passage><infon key="type">title</infon><offset>0</offset><text>Fish oil &amp; rash.</text>
<annotation id="0"><infon key="type">Chemical</infon><infon key="MESH">D2</infon>
<location offset="0" length="8"/><text>Fish oil</text></annotation>
<annotation id="1"><infon key="type">Disease</infon><infon key="MESH">D3</infon>
<location offset="11" length="4"/><text>rash</text></annotation>
</passage>
<relation id="R0"><infon key="relation">CID</infon><infon key="Chemical">D2</infon>
<infon key="Disease">D3</infon></relation>
</document></collection>
"""


def test_bioc_xml_with_relations_of_concepts(read: Read) -> None:
    (doc,) = read(XML, "bioc")
    assert doc.text == "Fish oil & rash." and ents(doc) == [("Fish oil", "Chemical", "D2"), ("rash", "Disease", "D3")]
    assert relations(doc) == [("Fish oil", "CID", "rash")]


def test_bioc_of_sentences_and_other_kinds_of_relations(read: Read, counts: CorpusCounts) -> None:
    sentences = [{"offset": 11, "text": "It caused"}, {"offset": 21, "text": "rash.", "annotations": []}]
    sentences[1]["annotations"] = [
        annotation("T2", 21, "rash", "Event", identifier="E1"),
        {"id": "T3", "infons": {"type": "X"}, "locations": [{"offset": 11, "length": 2}, {"offset": 21, "length": 4}]},
    ]
    nodes = [{"refid": "T1"}, {"refid": "T2"}]
    found = [
        {"id": "R1", "infons": {"type": "causes"}, "nodes": nodes},
        {"id": "R2", "infons": {"type": "because"}, "nodes": [{"refid": "R1"}, {"refid": "T2"}]},
        {"id": "R3", "infons": {"type": "all"}, "nodes": [*nodes, {"refid": "T3"}]},
        {"id": "R4", "infons": {}, "nodes": nodes},
        {"id": "R5", "infons": {"type": "Association", "entity1": "D2", "entity2": "E1"}, "nodes": []},
        {"id": "R6", "infons": {"type": "Bind", "role1": {"identifier": "D2"}, "role2": {"identifier": "E9"}}},
    ]
    data = change(sentences=sentences, annotations=[], relations=found)
    data["documents"][0]["passages"][1].pop("text")
    (doc,) = read(data, "bioc")
    assert doc.text == "Fish oil.  It caused rash."
    assert sorted(relations(doc)) == [("Fish oil", "Association", "rash"), ("Fish oil", "causes", "rash")]
    assert sorted(counts.dropped_items()) == [
        "gaps inside of discontinuous annotations 1",
        "relations of concepts that no mention names 1",
        "relations of more or less than two annotations 1",
        "relations to relations 1",
        "relations without a type 1",
    ]


@pytest.mark.parametrize(
    "data, problem",
    [
        (change(annotations=[annotation("T2", 20, "rash", "E")]), "R380.*'T2'.*'rash'.* from 20 to 24"),
        (change(annotations=[]), "R380.*relation 'R1'.*'T2', which is not there"),
        (change(offset=4), "R380.*passage at offset 4.*ends at 9"),
        (change(offset="x"), "R405.*offset"),
        (change(annotations=[{"id": "T2", "locations": [{"offset": 21}]}]), "R405.*length"),
    ],
)
def test_bioc_bad_documents(tmp_path: Path, data: Dict[str, Any], problem: str) -> None:
    path = tmp_path / "in.json"
    data["documents"].append({**BIOC["documents"][0], "id": "31"})
    path.write_text(json.dumps(data), encoding="utf8")
    with pytest.raises(ValueError, match=f"(?s)R402.*{problem}"):
        convert(path, tmp_path / "out.spacy")
    told: List[Any] = []
    assert convert(path, tmp_path / "out.spacy", on_error=lambda *item: told.append(item)) == 1
    assert told[0][0] == "document 1"


def test_bioc_xml_that_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "in.xml"
    path.write_text(XML[:500], encoding="utf8")
    with pytest.raises(ValueError, match="R381.*in.xml"):
        convert(path, tmp_path / "out.spacy")


# WebAnno TSV

HEAD = "#FORMAT=WebAnno TSV 3.3\n"
NER = "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity|identifier|value\n"
POS = "#T_SP=de.tudarmstadt.ukp.dkpro.core.api.lexmorph.type.pos.POS|PosValue\n"
REL = "#T_RL=webanno.custom.Relation|certainty|label|BT_de.tudarmstadt.ukp.dkpro.core.api.ner.type.NamedEntity\n"
TSV = f"""{HEAD}{NER}{POS}{REL}

#Text=Ann 😊 runs Acme Tools.
1-1\t0-3\tAnn\tQ1\tPER\tNNP\t_\t_\t_\t
1-2\t4-6\t😊\t_\t_\t_\t_\t_\t_\t
1-3\t7-11\truns\t_\t_\t_\t_\t_\t_\t
1-4\t12-16\tAcme\t*[2]|*[3]\tORG[2]|NAME\\_X[3]\t_\thigh\truns\t1-1[0_2]\t
1-5\t17-22\tTools\t*[2]\tORG[2]\t_\t_\t_\t_\t
1-6\t22-23\t.\t_\t_\t_\t_\t_\t_\t

#Text=Bob slept
2-1\t24-27\tBob\t*\tPER\t_\t_\tknows|met\t1-1|1-4[3_0]\t
2-2\t28-33\tslept\t_\t_\t_\t_\t_\t_\t
2-2.1\t28-30\tsl\t*\tPART\t_\t_\t_\t_\t
"""


def test_webanno(read: Read, tmp_path: Path, counts: CorpusCounts) -> None:
    (doc,) = read(TSV, "webanno")
    assert doc.text == "Ann 😊 runs Acme Tools. Bob slept" and doc.user_data[ID_KEY] == "in"
    assert [token.text for token in doc][-3:] == ["Bob", "sl", "ept"]
    spans = [(span.text, span.label_, span.kb_id_) for span in doc.spans["entities"]]
    assert spans == [
        ("Ann", "PER", "Q1"),
        ("Acme Tools", "ORG", ""),
        ("Acme", "NAME_X", ""),
        ("Bob", "PER", ""),
        ("sl", "PART", ""),
    ]
    assert sorted(relations(doc)) == [("Acme", "met", "Bob"), ("Ann", "knows", "Bob"), ("Ann", "runs", "Acme Tools")]
    (first,) = [rel for rel in doc._.relations if rel.label == "runs"]
    assert first.evidence == {"features": {"certainty": "high"}}
    assert counts.dropped_items() == ["annotations of the layer POS 1"]
    assert counts.split_tokens == 1


@pytest.mark.parametrize(
    "old, new, line, problem",
    [
        ("Bob\t*\tPER", "Bob\t_\t_", 16, "a relation stands here, but no annotation of the layer"),
        ("1-1[0_2]", "1-3[0_2]", 11, "'1-3.0_2.' names an annotation"),
        ("1-1[0_2]", "Ann", 11, "'Ann' names no token"),
        ("4-6\t😊", "4-5\t😊", 9, "does not fit its offsets"),
        ("\tNNP\t_\t_\t_\t", "\tNNP", 8, "it has 3 columns behind the text, but the layers have 6"),
        ("1-3\t7-11\truns", "runs\t7-11\truns", 10, "begins with number, offsets and text"),
    ],
)
def test_webanno_lines_that_are_wrong(tmp_path: Path, old: str, new: str, line: int, problem: str) -> None:
    path = tmp_path / "in.tsv"
    path.write_text(TSV.replace(old, new, 1), encoding="utf8")
    with pytest.raises(ValueError, match=f"(?s)R402.*line {line}: .R382.*{problem}"):
        convert(path, tmp_path / "out.spacy")


def test_webanno_slots_and_a_folder(read: Read, tmp_path: Path) -> None:
    folder = tmp_path / "export" / "doc1"
    folder.mkdir(parents=True)
    custom = "webanno.custom"
    host = f"#T_SP={custom}.Event|kind|ROLE_{custom}.Event:links_{custom}.EventLink|{custom}.Span\n"
    rows = (
        "1-1\t0-3\tAnn\t*[1]\t_\t_\t_\t\n"
        "1-2\t4-8\tgave\t_\tgiving\tgiver;*\t1-1[1];1-3\t\n"
        "1-3\t9-12\tBob\t*\t_\t_\t_\t\n"
    )
    content = f"{HEAD}#T_SP={custom}.Span|\n{host}\n\n#Text=Ann gave Bob\n{rows}"
    (folder / "anna.tsv").write_text(content, encoding="utf8")
    (folder / "bert.tsv").write_text(HEAD + "\n1-1\t0-3\tAnn\t\n", encoding="utf8")
    first, second = read(tmp_path / "export", "webanno")
    assert [doc.user_data[ID_KEY] for doc in (first, second)] == ["doc1/anna", "doc1/bert"]
    assert ents(first) == [("Ann", "Span", ""), ("gave", "giving", ""), ("Bob", "Span", "")]
    assert sorted(relations(first)) == [("gave", "giver", "Ann"), ("gave", "links", "Bob")]
    assert not has_relations(second)


def sample(name: str) -> Path:
    path = Path(os.environ.get("RAGRE_ASSETS", "assets")) / "formats" / name
    if not path.is_file():
        pytest.skip("no samples of formats (RAGRE_ASSETS)")
    return path


def test_webanno_sample(read: Read, counts: CorpusCounts) -> None:
    (doc,) = read(sample("webanno.tsv"), "webanno")
    assert doc.text == "This is a test ." and [token.text for token in doc] == ["This", "is", "a", "test", "."]
    assert relations(doc) == [("This", "nsubj", ".")] and not counts.dropped_items()
    assert doc._.relations[0].evidence == {"features": {"boolValue": "true", "integerValue": "42"}}


# UIMA CAS


def test_uima_sample(read: Read, counts: CorpusCounts) -> None:
    pytest.importorskip("cassis")
    (doc,) = read(sample("uima_cas.json"), "uima")
    assert doc.text == "This is a test ." and doc.user_data[ID_KEY] == "doc"
    assert ents(doc) == [("This", "SimpleLinkHost", ""), ("is", "SimpleSpan", ""), ("a", "SimpleSpan", "")]
    assert sorted(relations(doc)) == [("This", "p1", "is"), ("This", "p2", "a")]
    assert not counts.dropped_items()


def uima(*structures: Dict[str, Any], text: str = "Ann 😊 runs Acme") -> Dict[str, Any]:
    """A CAS with layers of entities and relations, as INCEpTION has them. Offsets count 16-bit units."""

    def type_(name: str, parent: str, **features: str) -> Dict[str, Any]:
        own = {key: {"%NAME": key, "%RANGE": value} for key, value in features.items()}
        return {"%NAME": name, "%SUPER_TYPE": parent, **own}

    annotation, string = "uima.tcas.Annotation", "uima.cas.String"
    types = {
        "custom.Span": type_("custom.Span", annotation, value=string, identifier=string),
        "custom.Relation": type_(
            "custom.Relation",
            annotation,
            **{"Governor": "custom.Span", "Dependent": "custom.Span", "label": string, "sure": "uima.cas.Boolean"},
        ),
    }
    sofa = {"%ID": 1, "%TYPE": "uima.cas.Sofa", "sofaNum": 1, "sofaID": "_InitialView", "sofaString": text}
    views = {"_InitialView": {"%SOFA": 1, "%MEMBERS": [item["%ID"] for item in structures]}}
    own = [{**item, "@sofa": 1} for item in structures]
    return {"%TYPES": types, "%FEATURE_STRUCTURES": [sofa, *own], "%VIEWS": views}


ANN = {"%ID": 2, "%TYPE": "custom.Span", "begin": 0, "end": 3, "value": "PER", "identifier": "Q1"}
ACME = {"%ID": 3, "%TYPE": "custom.Span", "begin": 12, "end": 16, "value": "ORG"}
HALF = {"%ID": 4, "%TYPE": "custom.Relation", "begin": 12, "end": 16, "@Governor": 2, "label": "runs"}
RUNS = {**HALF, "@Dependent": 3, "sure": True}


def test_uima_relations(read: Read, counts: CorpusCounts) -> None:
    pytest.importorskip("cassis")
    (doc,) = read(uima(ANN, ACME, RUNS, {**HALF, "%ID": 5}), "uima")
    assert ents(doc) == [("Ann", "PER", "Q1"), ("Acme", "ORG", "")] and doc.user_data[ID_KEY] == "in"
    assert relations(doc) == [("Ann", "runs", "Acme")]
    assert doc._.relations[0].evidence == {"features": {"sure": "True"}}
    assert counts.dropped_items() == ["relations that lack an end 1"]


def test_uima_damaged(tmp_path: Path) -> None:
    pytest.importorskip("cassis")
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "good.json").write_text(json.dumps(uima(ANN, ACME, RUNS)), encoding="utf8")
    damaged = uima(ANN, {**RUNS, "%TYPE": "custom.Nothing"})
    (folder / "bad.json").write_text(json.dumps(damaged), encoding="utf8")
    with pytest.raises(ValueError, match="(?s)R402.*bad.json: .R384"):
        convert(folder, tmp_path / "out.spacy")
    told: List[Any] = []
    assert convert(folder, tmp_path / "out.spacy", on_error=lambda *item: told.append(item)) == 1


def test_uima_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cassis", None)
    path = tmp_path / "in.json"
    path.write_text(json.dumps(uima(ANN)), encoding="utf8")
    with pytest.raises(ImportError, match=r"R383.*spacy-ragre\[uima\]"):
        convert(path, tmp_path / "out.spacy")
