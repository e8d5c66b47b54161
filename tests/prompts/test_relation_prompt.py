import pickle

import pytest
from tokenizers.pre_tokenizers import ByteLevel

from spacy_ragre.instances import Answer, Instance
from spacy_ragre.labels import LabelSet
from spacy_ragre.prompts import make_rag4re_prompt, make_relation_prompt
from spacy_ragre.registry import registry

LABELS = LabelSet(
    {
        "founded_by": {"text": "was founded by", "definition": "Who started the organization."},
        "spouse": {"text": "is married to", "symmetric": True},
    }
)


def pair(text, first, second, **values):
    """A pair by the mentions' texts; the second is looked for from the end."""
    start, other = text.index(first), text.rindex(second)
    return Instance(text, (start, start + len(first)), (other, other + len(second)), **values)


QUERY = pair("Acme was started by Ada in Rome.", "Acme", "Ada", first_type="ORG", second_type="PERSON")
EXAMPLES = [
    pair("Bob's firm, Initech, grew.", "Bob", "Initech", answers=(Answer("founded_by", True),)),
    pair("Eve met Mallory.", "Eve", "Mallory", answers=()),
]

INSTRUCTION = (
    "Say how two marked entities are related in a text.\n"
    "Possible relations between A and B:\n"
    "- A was founded by B. Who started the organization.\n"
    "- A is married to B.\n"
    "- A and B are not related.\n"
)


def query_pieces(text, first, second, **settings):
    prompt = make_relation_prompt(instruction=False, **settings)
    segments = prompt.segments(pair(text, first, second), LABELS)
    assert "".join(segments.pieces()) == segments.text
    return segments.pieces()


def test_registered_and_picklable():
    prompt = registry.ragre_prompts.get("ragre.Relation.v1")(types=True)
    assert pickle.loads(pickle.dumps(prompt)) == prompt


def test_zero_shot():
    segments = make_relation_prompt().segments(QUERY, LABELS)
    assert segments.text == (INSTRUCTION + "[Acme] was started by {Ada} in Rome.\nThe relation between Acme and Ada:")
    assert segments.pieces() == [
        INSTRUCTION,
        "[",
        "Acme",
        "] was started by {",
        "Ada",
        "} in Rome.",
        "\nThe relation between Acme and Ada:",
    ]
    assert segments.shared_pieces() == [INSTRUCTION]
    assert segments.document == "" and segments.examples == ()


def test_examples():
    segments = make_relation_prompt().segments(QUERY, LABELS, EXAMPLES)
    assert segments.text == (
        INSTRUCTION + "[Bob]'s firm, {Initech}, grew.\n"
        "The relation between Bob and Initech: Initech was founded by Bob.\n"
        "[Eve] met {Mallory}.\n"
        "The relation between Eve and Mallory: Eve and Mallory are not related.\n"
        "[Acme] was started by {Ada} in Rome.\n"
        "The relation between Acme and Ada:"
    )
    assert segments.pair_pieces()[:6] == [
        "[",
        "Bob",
        "]'s firm, {",
        "Initech",
        "}, grew.",
        "\nThe relation between Bob and Initech:",
    ]
    assert segments.pair_pieces()[6] == " Initech was founded by Bob.\n"
    assert "".join(segments.pieces()) == segments.text


def test_several_answers_and_unknown_ones():
    both = pair("Ada met Bob.", "Ada", "Bob", answers=(Answer("spouse", True), Answer("founded_by"), Answer("spouse")))
    unknown = pair("Ada met Bob.", "Ada", "Bob", answers=None)
    segments = make_relation_prompt(instruction=False).segments(QUERY, LABELS, [both, unknown])
    assert "".join(segments.examples[0]).endswith(": Ada was founded by Bob. Ada is married to Bob.\n")
    assert "".join(segments.examples[1]) == "[Ada] met {Bob}.\n"


def test_example_with_unknown_label():
    example = pair("Ada met Bob.", "Ada", "Bob", answers=(Answer("other"),))
    with pytest.raises(ValueError, match="R007"):
        make_relation_prompt().segments(QUERY, LABELS, [example])


def test_settings():
    prompt = make_relation_prompt(document=True, example_labels=False, marked=False, types=True)
    segments = prompt.segments(QUERY, LABELS, EXAMPLES[:1])
    assert segments.text == (
        INSTRUCTION.replace("marked", "named") + "Acme was started by Ada in Rome.\n"
        "Bob's firm, Initech, grew.\n"
        "The relation between Acme (ORG) and Ada (PERSON):"
    )
    assert segments.shared_pieces() == [INSTRUCTION.replace("marked", "named"), "Acme was started by Ada in Rome.\n"]


def test_types_that_are_not_known():
    query = pair("Ada met Bob.", "Ada", "Bob", second_type="PERSON")
    assert make_relation_prompt(types=True).segments(query, LABELS).text.endswith("between Ada and Bob (PERSON):")


def test_no_labels():
    prompt = make_relation_prompt()
    assert prompt.segments(QUERY, LabelSet()).instruction == "Say how two marked entities are related in a text.\n"
    assert prompt.answers(QUERY, LabelSet()) == [" Acme and Ada are not related."]


def test_answers():
    assert make_relation_prompt().answers(QUERY, LABELS) == [
        " Acme and Ada are not related.",
        " Acme was founded by Ada.",
        " Ada was founded by Acme.",
        " Acme is married to Ada.",
    ]
    query = pair("Ada left Acme Inc.", "Ada", "Acme Inc.")
    assert make_relation_prompt().answers(query, LABELS)[1] == " Ada was founded by Acme Inc."


def test_mentions_with_the_same_text():
    query = pair("Paris is the capital, PARIS the legend.", "Paris", "PARIS")
    prompt = make_relation_prompt()
    answers = prompt.answers(query, LABELS)
    assert answers[1:3] == [
        " the first Paris was founded by the second PARIS.",
        " the second PARIS was founded by the first Paris.",
    ]
    assert prompt.segments(query, LABELS).text.endswith("\nThe relation between the first Paris and the second PARIS:")


@pytest.mark.parametrize(
    "labels,named",
    [
        ({"a": "is in", "b": "is in"}, "'a' and 'b'"),
        ({"a": "is in", "c": "is at", "b": {"text": " is  in", "symmetric": True}}, "'a' and 'b'"),
    ],
)
def test_labels_with_the_same_text(labels, named):
    with pytest.raises(ValueError, match=rf"R301.*{named}"):
        make_relation_prompt().answers(QUERY, LabelSet(labels))


@pytest.mark.parametrize(
    "text,first,second,expected",
    [
        ("Ada Bob", "Ada", "Bob", ["[", "Ada", "] {", "Bob", "}"]),
        ("  Ada met Bob\n", "Ada", "Bob", ["[", "Ada", "] met {", "Bob", "}"]),
        ("(Ada/Bob)", "Ada", "Bob", ["( [", "Ada", "]/ {", "Bob", "})"]),
        ("So\n\nAda\tmet \u2028 Bob\r\n .", "Ada", "Bob", ["So [", "Ada", "] met {", "Bob", "} ."]),
        ("a [b] {c} Ada {{ x }} {% y %} Bob {# z", "Ada", "Bob", None),
        ("👩\u200d🔬 Ada 🤖 Bob 日本", "Ada", "Bob", ["👩\u200d🔬 [", "Ada", "] 🤖 {", "Bob", "} 日本"]),
        ("Bank of England", "Bank of England", "England", ["[", "Bank of {", "England", "}", "]"]),
        ("Bank of England", "Bank of England", "Bank", ["[", "{", "Bank", "} of England", "]"]),
        ("the New York Times", "New York", "York Times", ["the [", "New {", "York", "] Times", "}"]),
        ("so Ada .", "Ada", "Ada", ["so [", "{", "Ada", "}", "] ."]),
        ("He saw cut\x1fAda\x1f and Bob", "Ada", "Bob", ["He saw cut [", "Ada", "] and {", "Bob", "}"]),
    ],
)
def test_marks(text, first, second, expected):
    pieces = query_pieces(text, first, second)[:-1]
    if expected is None:
        expected = ["a [b] {c} [", "Ada", "] {{ x }} {% y %} {", "Bob", "} {# z"]
    assert pieces == expected


# Zhou & Chen 2021, table 1: with the types in the marks, in punctuation or not.
@pytest.mark.parametrize(
    "markers,expected",
    [
        ("typed", "<S:PERSON> Bill </S:PERSON> was born in <O:CITY> Seattle </O:CITY> ."),
        ("typed_punct", "@ * person * Bill @ was born in # ^ city ^ Seattle # ."),
    ],
)
def test_typed_markers(markers, expected):
    query = pair("Bill was born in Seattle .", "Bill", "Seattle", first_type="PERSON", second_type="CITY")
    prompt = make_relation_prompt(instruction=False, markers=markers)
    assert prompt.segments(query, LABELS).text.split("\n")[0] == expected
    # The subject is the first mention, also where it stands behind the object.
    turned = prompt.segments(query.swapped(), LABELS).text.split("\n")[0]
    assert turned.startswith({"typed": "<O:PERSON> Bill </O:PERSON>", "typed_punct": "# ^ person ^ Bill #"}[markers])
    example = pair("Ada met Bob", "Ada", "Bob", second_type="STATE_OR_PROVINCE", answers=())
    shown = prompt.segments(query, LABELS, [example]).text.split("\n")[0]
    assert (
        shown
        == {
            "typed": "<S> Ada </S> met <O:STATE_OR_PROVINCE> Bob </O:STATE_OR_PROVINCE>",
            "typed_punct": "@ Ada @ met # ^ state or province ^ Bob #",
        }[markers]
    )


@pytest.mark.parametrize(
    "text,first,second,expected",
    [
        ("Bank of England", "Bank of England", "England", ["@", " Bank of #", " England", " #", " @"]),
        ("Bank of England", "Bank of England", "Bank", ["@", " #", " Bank", " # of England", " @"]),
        ("(Ada/Bob)", "Ada", "Bob", ["( @", " Ada", " @/ #", " Bob", " #)"]),
    ],
)
def test_typed_markers_of_mentions_that_overlap(text, first, second, expected):
    assert query_pieces(text, first, second, markers="typed_punct")[:-1] == expected


def test_unknown_markers():
    with pytest.raises(ValueError, match="R376.*'stars'.*brackets, typed, typed_punct"):
        make_relation_prompt(markers="stars")


def test_jinja_in_every_value():
    evil = "{{ 7 * 7 }}{% raw %}"
    query = pair(f"{evil} met Bob.", evil, "Bob", first_type=evil)
    labels = LabelSet({"x": {"text": evil, "definition": evil}})
    prompt = make_relation_prompt(document=True, types=True)
    text = prompt.segments(query, labels, [pair("Ada met Bob.", "Ada", "Bob", answers=(Answer("x"),))]).text
    assert "49" not in text and text.count(evil) == 2 + 1 + 1 + 1 + 2
    assert prompt.answers(query, labels)[1] == f" {evil} {evil} Bob."


def test_values_take_one_line():
    query = pair("Bill\nGates met\n\nAda.", "Bill\nGates", "Ada", first_type="A\nB")
    labels = LabelSet({"x": {"text": "is\nin", "definition": "one\n\ntwo"}})
    segments = make_relation_prompt(document=True, types=True).segments(query, labels)
    assert segments.text == (
        "Say how two marked entities are related in a text.\n"
        "Possible relations between A and B:\n"
        "- A is in B. one two\n"
        "- A and B are not related.\n"
        "Bill Gates met Ada.\n"
        "[Bill Gates] met {Ada}.\n"
        "The relation between Bill Gates (A B) and Ada:"
    )


@pytest.mark.parametrize("first", [(0, 0), (3, 2), (-1, 2), (0, 99), (3, 4)])
@pytest.mark.parametrize("prompt", [make_relation_prompt(), make_relation_prompt(marked=False), make_rag4re_prompt()])
def test_offsets_outside_the_text(prompt, first):
    with pytest.raises(ValueError, match="R302"):
        prompt.segments(Instance("Ada met Bob", first, (8, 11)), LABELS)


@pytest.mark.parametrize(
    "text,expected",
    [
        (" Acme was founded by Ada.", Answer("founded_by")),
        ("acme was FOUNDED by ada", Answer("founded_by")),
        (" Ada was founded by Acme.\nThe relation between Ada and Rome:", Answer("founded_by", True)),
        ("Well: Ada is  married to Acme!", Answer("spouse")),
        ("Well: Acme is  married to Ada!", Answer("spouse")),
        ("Ada is married to Carol.", "unmatched"),
        ("is married to", Answer("spouse")),
        ("Ada and Acme are not related.", None),
        ("Acme and Carol are not related.", "unmatched"),
        ("spouse", Answer("spouse")),
        (" Acme and Ada are not related.", None),
        ("They are not related", None),
        ("no_relation", None),
        ("\n", "unmatched"),
        ("", "unmatched"),
        ("founded_by", "unmatched"),
        ("was founded by", "unmatched"),
        ("Acme was founded by Adam.", "unmatched"),
        ("Acme was founded by Ada and Ada was founded by Acme.", "unmatched"),
        ("Acme was founded by Ada, but Ada and Acme are not related", "unmatched"),
        ("{{ x }}", "unmatched"),
    ],
)
def test_parse(text, expected):
    parsed = make_relation_prompt().parse(text, QUERY, LABELS)
    if expected == "unmatched":
        assert parsed == (None, False)
    else:
        assert parsed == (expected, True)


def test_parse_prefers_the_longer_label():
    labels = LabelSet({"in": "is in", "north": "is in the north of"})
    query = pair("Oslo, Norway", "Oslo", "Norway")
    prompt = make_relation_prompt()
    assert prompt.parse("So Oslo is in the north of Norway.", query, labels).answer == Answer("north")
    assert prompt.parse("So Oslo is in Norway.", query, labels).answer == Answer("in")


def test_parse_reads_every_answer_back():
    for query in (QUERY, pair("C++ and C#", "C++", "C#"), pair("Paris, Paris", "Paris", "Paris")):
        for prompt in (make_relation_prompt(), make_rag4re_prompt(), make_rag4re_prompt("none", False)):
            for text, answer in zip(prompt.answers(query, LABELS), LABELS.classes):
                assert prompt.parse(text, query, LABELS) == (answer, True)


@pytest.mark.parametrize(
    "prompt",
    [
        make_relation_prompt(document=True),
        make_relation_prompt(markers="typed"),
        make_relation_prompt(markers="typed_punct"),
        make_rag4re_prompt(),
        make_rag4re_prompt("no", False),
        make_rag4re_prompt("no", False, "llama-2-chat"),
    ],
)
def test_parts_are_safe_for_byte_level_bpe(prompt):
    split = ByteLevel(add_prefix_space=False).pre_tokenize_str
    segments = prompt.segments(QUERY, LABELS, EXAMPLES)
    parts = [*segments.shared_pieces(), *("".join(example) for example in segments.examples), "".join(segments.query)]
    assert all(part.endswith("\n") and not part.endswith("\n\n") for part in parts[:-1])
    for answer in prompt.answers(QUERY, LABELS):
        together = [token for token, _ in split(segments.text + answer)]
        assert [token for part in [*parts, answer] for token, _ in split(part)] == together
        assert [token for piece in [*segments.pieces(), answer] for token, _ in split(piece)] == together
