import pickle

import pytest

from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet
from spacy_ragre.prompts import make_rag4re_prompt
from spacy_ragre.registry import registry

SEMEVAL = LabelSet({"Cause-Effect": "", "Message-Topic": ""})
TACRED = LabelSet({"per:title": "", "org:founded_by": "", "per:parents": "", "org:parents": ""})

# A sentence of the authors' SemEval prompts, whose text is in the repository named in the template.
AUDITS = Instance("The most common audits were about waste and recycling.", (16, 22), (34, 39))
EXAMPLE = Instance(
    "The purpose of the audit was to report on the financial statements.",
    (19, 24),
    (46, 66),
    answers=(Answer("Message-Topic"),),
)


def test_registered_and_picklable():
    prompt = registry.ragre_prompts.get("ragre.RAG4RE.v1")()
    assert pickle.loads(pickle.dumps(prompt)) == prompt


def test_directed():
    segments = make_rag4re_prompt().segments(AUDITS, SEMEVAL, [EXAMPLE])
    assert segments.text == (
        "Problem Definition: Relation extraction is to identify the relationship between two entities in a sentence.\n"
        " Question : What is the relation type between e1 and e2 entities according to given relationships below in "
        "the following sentence, considering example sentence and its relationship?\n"
        " Example Sentence:The purpose of the <e1>audit</e1> was to report on the <e2>financial statements</e2>.\n"
        " Query Sentence:The most common <e1>audits</e1> were about <e2>waste</e2> and recycling.\n"
        " e1: audits. \n"
        " e2 : waste. \n"
        " Relation types: Cause-Effect(e1,e2), Cause-Effect(e2,e1), Message-Topic(e1,e2), Message-Topic(e2,e1), "
        "Other. \n"
        " output format: relation_type"
    )
    assert segments.pair_pieces()[:5] == [
        " Example Sentence:The purpose of the <e1>",
        "audit",
        "</e1> was to report on the <e2>",
        "financial statements",
        "</e2>.\n",
    ]
    assert segments.pair_pieces()[5:10] == [
        " Query Sentence:The most common <e1>",
        "audits",
        "</e1> were about <e2>",
        "waste",
        "</e2> and recycling.",
    ]
    assert "".join(segments.pieces()) == segments.text


def test_directed_without_examples():
    assert make_rag4re_prompt().segments(AUDITS, SEMEVAL).text == (
        "Question : What is the relation type between e1 and e2 entities in the following sentence?\n"
        " Sentence:The most common <e1>audits</e1> were about <e2>waste</e2> and recycling.\n"
        " e1: audits. \n"
        " e2 : waste. \n"
        " Relation types: Cause-Effect(e1,e2), Cause-Effect(e2,e1), Message-Topic(e1,e2), Message-Topic(e2,e1), "
        "Other. \n"
        " output format: relation_type"
    )


def test_undirected():
    prompt = make_rag4re_prompt(negative="no_relation", directed=False)
    labels = LabelSet({"per:title": "", "org:founded_by": ""})
    assert prompt.segments(AUDITS, labels, [EXAMPLE, AUDITS]).text == (
        "Problem Definition: Relation extraction is to identify the relationship between two entities in a sentence.\n"
        " Question : What is the relation type between tail and head entities according to given relationships below "
        "in the following sentence?\n"
        " Example Sentence: The purpose of the audit was to report on the financial statements.\n"
        " Example Sentence: The most common audits were about waste and recycling.\n"
        " Query Sentence:The most common audits were about waste and recycling.\n"
        " head: audits. \n"
        " tail: waste. \n"
        " Relation types: per:title org:founded_by no_relation. \n"
        " output format: relation_type"
    )
    assert prompt.segments(AUDITS, labels).text == (
        "Question : What is the relation type between head and tail entities in the following sentence?\n"
        " Sentence:The most common audits were about waste and recycling.\n"
        " Head entity: audits. \n"
        " Tail entity: waste. \n"
        " Relation types: per:title org:founded_by no_relation. \n"
        " output format: relation_type"
    )


def test_head_may_follow_the_tail():
    query = Instance("Ada met Bob.", (8, 11), (0, 3))
    text = make_rag4re_prompt("no_relation", False).segments(query, TACRED).text
    assert " Head entity: Bob. \n Tail entity: Ada. \n" in text
    assert "Sentence:<e2>Ada</e2> met <e1>Bob</e1>." in make_rag4re_prompt().segments(query, TACRED).text


def test_no_labels():
    segments = make_rag4re_prompt().segments(AUDITS, LabelSet())
    assert " Relation types: Other. \n" in segments.text


def test_answers():
    labels = LabelSet({"Cause-Effect": "", "sibling": {"symmetric": True}})
    assert make_rag4re_prompt().answers(AUDITS, labels) == [
        " Other",
        " Cause-Effect(e1,e2)",
        " Cause-Effect(e2,e1)",
        " sibling",
    ]
    assert make_rag4re_prompt("none", False).answers(AUDITS, labels) == [
        " none",
        " Cause-Effect",
        " Cause-Effect(tail,head)",
        " sibling",
    ]


@pytest.mark.parametrize("negative", ["", "  \n"])
def test_blank_negative(negative):
    with pytest.raises(ValueError, match="R303"):
        make_rag4re_prompt(negative=negative)


def test_label_with_the_name_of_no_relation():
    with pytest.raises(ValueError, match="R301.*no relation and 'Other'"):
        make_rag4re_prompt(directed=False).answers(AUDITS, LabelSet({"Other": ""}))


@pytest.mark.parametrize(
    "text,expected",
    [
        (" Cause-Effect(e1,e2)", Answer("Cause-Effect")),
        ("The answer is cause-effect(e2, e1).", Answer("Cause-Effect", True)),
        ("Message\\-Topic(e1,e2)\n Sentence: x", Answer("Message-Topic")),
        ("Other", None),
        ("there is no relation", None),
        ("Cause-Effect", "unmatched"),
        ("Cause-Effect(e1,e2) or Other", "unmatched"),
        ("Product-Producer(e1,e2)", "unmatched"),
        ("", "unmatched"),
    ],
)
def test_parse_directed(text, expected):
    parsed = make_rag4re_prompt().parse(text, AUDITS, SEMEVAL)
    assert parsed == ((None, False) if expected == "unmatched" else (expected, True))


@pytest.mark.parametrize(
    "text,head_type,expected",
    [
        ("per:title", "PERSON", Answer("per:title")),
        ("relation_type: Title.", "PERSON", Answer("per:title")),
        ("it is org:title here", "PERSON", Answer("per:title")),
        ("parents", "PERSON", Answer("per:parents")),
        ("parents", "ORGANIZATION", Answer("org:parents")),
        ("org:parents", "PERSON", Answer("org:parents")),
        ("per:title(tail,head)", "PERSON", Answer("per:title", True)),
        ("no_relation", "PERSON", None),
        ("the title of the man", "PERSON", "unmatched"),
        ("per:title and org:parents", "PERSON", "unmatched"),
        ("per:age", "PERSON", "unmatched"),
    ],
)
def test_parse_undirected(text, head_type, expected):
    query = Instance(AUDITS.text, AUDITS.first, AUDITS.second, first_type=head_type)
    parsed = make_rag4re_prompt("no_relation", False).parse(text, query, TACRED)
    assert parsed == ((None, False) if expected == "unmatched" else (expected, True))


# The published form for chat models: what stands between the instruction's marks is the prompt of Flan-T5.
@pytest.mark.parametrize("family", ["llama-2-chat", "mistral-instruct"])
@pytest.mark.parametrize("directed", [True, False])
def test_chat_models(family, directed):
    plain, chat = (make_rag4re_prompt("no_relation", directed, name) for name in ("flan-t5", family))
    for examples in ([EXAMPLE], []):
        segments = chat.segments(AUDITS, SEMEVAL, examples)
        assert segments.text == f"[INST]{plain.segments(AUDITS, SEMEVAL, examples).text}[/INST] Answer:"
        assert "".join(segments.pieces()) == segments.text
    assert chat.answers(AUDITS, SEMEVAL) == plain.answers(AUDITS, SEMEVAL)


def test_prompt_of_llama_2_for_tacred():
    query = Instance("Ada , a surgeon , lives in Oslo .", (0, 3), (8, 15), "PERSON", "TITLE")
    example = Instance("Bob is a painter .", (0, 3), (9, 16), answers=(Answer("per:title"),))
    prompt = make_rag4re_prompt("no_relation", directed=False, family="llama-2-chat")
    assert prompt.segments(query, TACRED, [example]).text == (
        "[INST]Problem Definition: Relation extraction is to identify the relationship between two entities in a "
        "sentence.\n"
        " Question : What is the relation type between tail and head entities according to given relationships below "
        "in the following sentence?\n"
        " Example Sentence: Bob is a painter .\n"
        " Query Sentence:Ada , a surgeon , lives in Oslo .\n"
        " head: Ada. \n"
        " tail: surgeon. \n"
        " Relation types: per:title org:founded_by per:parents org:parents no_relation. \n"
        " output format: relation_type[/INST] Answer:"
    )


def test_chat_models_may_say_answer_again():
    prompt = make_rag4re_prompt("no_relation", False, "mistral-instruct")
    query = Instance(AUDITS.text, AUDITS.first, AUDITS.second, first_type="PERSON")
    assert prompt.parse(" org:parents or not? Answer: per:title", query, TACRED).answer == Answer("per:title")
    assert prompt.parse(" per:title", query, TACRED).answer == Answer("per:title")


def test_unknown_family():
    with pytest.raises(ValueError, match="R377.*'gpt'.*flan-t5, llama-2-chat, mistral-instruct"):
        make_rag4re_prompt(family="gpt")
