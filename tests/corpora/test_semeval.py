import os
import re
from pathlib import Path

import pytest
import spacy

from spacy_ragre.corpora import SEMEVAL_LABELS, read_semeval
from spacy_ragre.labels import LabelSet
from spacy_ragre.relations import ID_KEY, relations_key
from spacy_ragre.scoring import doc_label

RECORDS = """1\t"The <e1>fire</e1> was caused by a <e2>cigarette</e2>."
Cause-Effect(e2,e1)
Comment: a note

2\t"He put the <e1>apple</e1> in the <e2>wooden basket</e2>, didn't he?"
Entity-Destination(e1,e2)
Comment:

3\t"A pair of<e1>doves</e1>moles met an un<e2>related</e2>ness."
Other
Comment:

"""


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8"))
    return path


def test_reads_records(tmp_path):
    docs = list(read_semeval(write(tmp_path / "a.txt", RECORDS)))
    assert [doc.user_data[ID_KEY] for doc in docs] == ["1", "2", "3"]
    assert docs[0].text == "The fire was caused by a cigarette."
    assert [(e.text, e.label_) for e in docs[0].ents] == [("fire", "NOMINAL"), ("cigarette", "NOMINAL")]
    (rel,) = docs[0]._.relations
    assert (rel.head.text, rel.label, rel.tail.text) == ("cigarette", "Cause-Effect", "fire")
    (rel,) = docs[1]._.relations
    assert (rel.head.text, rel.label, rel.tail.text) == ("apple", "Entity-Destination", "wooden basket")
    assert docs[2].user_data[relations_key()] == []


def test_tokens_are_cut_at_nominals_and_nothing_is_lost(tmp_path):
    docs = list(read_semeval(write(tmp_path / "a.txt", RECORDS)))
    assert docs[2].text == "A pair ofdovesmoles met an unrelatedness."
    assert [t.text for t in docs[2]][2:] == ["of", "doves", "moles", "met", "an", "un", "related", "ness", "."]
    assert [e.text for e in docs[2].ents] == ["doves", "related"]
    assert not docs[2].has_annotation("DEP")
    # Tokens that are not cut keep what the tokenizer knows of them.
    assert docs[1][10].text == "n't" and docs[1][10].norm_ == "not"


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n", "\r"),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("Comment:\n", "").replace("Comment: a note\n", ""),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace("<e1>fire</e1> ", "<e1>fire </e1>"),
    ],
)
def test_variants_of_the_format(tmp_path, change):
    plain = list(read_semeval(write(tmp_path / "a.txt", RECORDS)))
    docs = list(read_semeval(write(tmp_path / "b.txt", change(RECORDS))))
    assert [d.text for d in docs] == [d.text for d in plain]
    assert [doc_label(d) for d in docs] == ["Cause-Effect(e2,e1)", "Entity-Destination(e1,e2)", "Other"]
    assert [[e.text for e in d.ents] for d in docs] == [[e.text for e in d.ents] for d in plain]


def test_odd_characters(tmp_path):
    sentence = '\u201cA\u2028 <e1>caf\u00e9 \U0001f600</e1>\u00a0of <e2>Z\u0308rich</e2>\u201d \x0c "quoted"'
    text = f'7\t"{sentence}"\nOther\nComment:\n'
    (doc,) = read_semeval(write(tmp_path / "a.txt", text))
    assert doc.text == '\u201cA\u2028 caf\u00e9 \U0001f600\u00a0of Z\u0308rich\u201d \x0c "quoted"'
    assert [e.text for e in doc.ents] == ["caf\u00e9 \U0001f600", "Z\u0308rich"]


def test_vocab_or_nlp(tmp_path):
    path = write(tmp_path / "a.txt", RECORDS)
    nlp = spacy.blank("en")
    assert next(read_semeval(path, nlp)).vocab is nlp.vocab
    assert next(read_semeval(path, nlp.vocab)).vocab is nlp.vocab


@pytest.mark.parametrize(
    "record, code, shown",
    [
        ("1\tThe <e1>a</e1> <e2>b</e2>.\nOther\n", "R410", "quotes"),
        ('x\t"The <e1>a</e1> <e2>b</e2>."\nOther\n', "R410", "number"),
        ('1\t"The <e1>a</e1> b."\nOther\n', "R410", "<e1> </e1>"),
        ('1\t"The a b."\nOther\n', "R410", "missing"),
        ('1\t"The <e2>a</e2> <e1>b</e1>."\nOther\n', "R410", "<e2> </e2> <e1> </e1>"),
        ('1\t"The <e1>a <e2>b</e2></e1>."\nOther\n', "R410", "<e1> <e2>"),
        ('1\t"The <e1> </e1> <e2>b</e2>."\nOther\n', "R410", "empty"),
        ('1\t"The <e1>a</e1> <e2>b</e2>."\nCause-Effect\n', "R411", "'Cause-Effect'"),
        (
            '1\t"The <e1>a</e1> <e2>b</e2>."\nLikes(e1,e2)\n\n2\t"<e1>a</e1> <e2>b</e2>"\nCause-Effect(e1,e2)\n',
            "R411",
            "Member-",
        ),
        (
            '1\t"The <e1>a</e1> <e2>b</e2>."\nOther\nComment:\nx\t"The <e1>a</e1> <e2>b</e2>."\nOther\n',
            "R410",
            "number",
        ),
        ('1\t"The <e1>a</e1> <e2>b</e2>."\nComment:\n', "R411", "Comment:"),
        ('1\t"<e1>a</e1> <e2>b</e2>"\nOther\n2\t"<e1>a</e1> <e2>b</e2>"', "R411", "''"),
        ('1\t"The <e1>a</e1> <e2>b</e2>."\nOther\njunk\n', "R410", "junk"),
    ],
)
def test_malformed_records(tmp_path, record, code, shown):
    path = write(tmp_path / "bad.txt", record)
    with pytest.raises(ValueError, match="R402") as err:
        list(read_semeval(path))
    assert code in str(err.value) and shown in str(err.value) and str(path) in str(err.value)
    assert re.search(r"line \d", str(err.value))


def test_another_corpus_has_labels_of_any_name(tmp_path):
    # The layout of KBP37, which has no comments.
    labels = ["Other", "per:title(e2,e1)", "no_relation", "org:founded_by(e1,e2)"]
    text = "".join(f'{i}\t" <e1> Ada </e1> met <e2> Bob </e2> . "\n{label}\n\n' for i, label in enumerate(labels))
    docs = list(read_semeval(write(tmp_path / "a.txt", text)))
    found = [[(rel.head.text, rel.label, rel.tail.text) for rel in doc._.relations] for doc in docs]
    assert found == [[], [("Bob", "per:title", "Ada")], [], [("Ada", "org:founded_by", "Bob")]]
    assert all(relations_key() in doc.user_data for doc in docs)
    with pytest.raises(ValueError, match="R411.*'per:title'.*labels of any name"):
        list(read_semeval(write(tmp_path / "a.txt", text.replace("per:title(e2,e1)", "per:title"))))


def test_test_files_without_labels(tmp_path):
    text = "".join(f'{i}\t"The <e1>fire</e1> by a <e2>spark</e2>."\n' for i in (8001, 8002))
    docs = list(read_semeval(write(tmp_path / "a.txt", text)))
    assert [doc.user_data[ID_KEY] for doc in docs] == ["8001", "8002"]
    assert [ent.text for ent in docs[1].ents] == ["fire", "spark"]
    assert not any(relations_key() in doc.user_data for doc in docs)


def test_records_with_errors_can_be_left_out(tmp_path):
    first, second, third = (f"{record}\n\n" for record in RECORDS.strip().split("\n\n"))
    bad = '7\t"no tags"\nOther\nComment:\n\n'
    text = second + bad + first + second + 'x\t"<e1>a</e1> <e2>b</e2>"\nOther\n\n' + third
    left_out = []
    docs = list(read_semeval(write(tmp_path / "a.txt", text), on_error=lambda *problem: left_out.append(problem)))
    assert [doc.user_data[ID_KEY] for doc in docs] == ["2", "1", "3"]
    assert [(place, record.split("\n")[0]) for place, record, _ in left_out] == [
        ("line 5", '7\t"no tags"'),
        ("line 13", second.split("\n")[0]),
        ("line 17", 'x\t"<e1>a</e1> <e2>b</e2>"'),
    ]
    assert [messages[0][:6] for _, _, messages in left_out] == ["[R410]", "[R412]", "[R410]"]
    nlp = spacy.blank("en")
    nlp.max_length = 40
    left_out.clear()
    docs = list(read_semeval(tmp_path / "a.txt", nlp, on_error=lambda *problem: left_out.append(problem)))
    assert [doc.user_data[ID_KEY] for doc in docs] == ["1"]
    assert "[R425]" in left_out[0][2][0] and "[E088]" in left_out[0][2][0]


def test_problems_are_gathered(tmp_path):
    bad = "".join(f'{i}\t"no tags"\nOther\nComment:\n\n' for i in range(10, 22))
    got = []
    with pytest.raises(ValueError, match="12 problem") as err:
        for doc in read_semeval(write(tmp_path / "bad.txt", RECORDS + bad + '99\t"<e1>a</e1> <e2>b</e2>"\nOther\n')):
            got.append(doc)
    assert len(got) == 3
    assert str(err.value).count("- line") == 10 and "line 13:" in str(err.value)


def test_repeated_id_missing_file_and_encoding(tmp_path):
    with pytest.raises(ValueError, match="R412.*'1'.*line 1"):
        list(read_semeval(write(tmp_path / "a.txt", RECORDS + RECORDS)))
    with pytest.raises(FileNotFoundError, match="R401.*nowhere"):
        list(read_semeval(tmp_path / "nowhere.txt"))
    (tmp_path / "latin.txt").write_bytes(RECORDS.replace("fire", "f\u00e9u").encode("latin1"))
    with pytest.raises(ValueError, match="line 1: .R403"):
        list(read_semeval(tmp_path / "latin.txt"))


def test_labels_fit_label_set():
    labels = LabelSet(SEMEVAL_LABELS)
    assert len(labels) == 9 and len(labels.classes) == 19
    assert all(spec.text and spec.definition for spec in labels.specs.values())


@pytest.mark.skipif("RAGRE_ASSETS" not in os.environ, reason="needs a local copy of the corpora")
@pytest.mark.parametrize("name, count, other", [("TRAIN_FILE.TXT", 8000, 1410), ("TEST_FILE_FULL.TXT", 2717, 454)])
def test_real_files(name, count, other):
    path = Path(os.environ["RAGRE_ASSETS"]) / "semeval2010_task8" / name
    lines = path.read_text(encoding="utf-8").split("\n")
    docs = list(read_semeval(path))
    assert len(docs) == count
    for i, doc in enumerate(docs):
        number, sentence = lines[4 * i].split("\t", 1)
        assert doc.user_data[ID_KEY] == number
        assert doc.text == re.sub(r"</?e[12]>", "", sentence[1:-1])
        assert doc_label(doc) == lines[4 * i + 1]
    assert sum(not doc._.relations for doc in docs) == other
