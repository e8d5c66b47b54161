"""The published prompt of RAG4RE, to reproduce its results and to measure against."""

from dataclasses import dataclass
from typing import ClassVar, Dict, List, Optional, Sequence, Set

from ..errors import Errors
from ..instances import Answer, Instance
from ..labels import NO_RELATION, LabelSet
from ..registry import registry
from .base import ParsedAnswer, Prompt, Segments
from .matching import match_classes, normalize
from .relation import check_distinct
from .rendering import load_template, mark_mentions, mention_texts, one_line, split_pieces

TEMPLATE = "rag4re_v1.jinja"
TAGS = (("<e1>", "</e1>"), ("<e2>", "</e2>"))
ORGANIZATIONS = ("ORG", "ORGANIZATION")
# What stands before and behind a prompt for each family of models.
FAMILIES = {"flan-t5": ("", ""), "llama-2-chat": ("[INST]", "[/INST] Answer:")}
FAMILIES["mistral-instruct"] = FAMILIES["llama-2-chat"]


@registry.ragre_prompts("ragre.RAG4RE.v1")
def make_rag4re_prompt(negative: str = "Other", directed: bool = True, family: str = "flan-t5") -> Prompt:
    """The prompt of "Retrieval-Augmented Generation-based Relation Extraction" (Efeoglu & Paschke 2024,
    https://arxiv.org/abs/2404.13397), used with fine-tuned models in https://arxiv.org/abs/2406.14745: problem
    definition, question, a retrieved sentence without its label, the query sentence, both entities, the relation
    types. The wording, its spaces included, is that of https://github.com/sefeoglu/RAG4RE, where the form with tags
    is for SemEval-2010 Task 8 and the other one for TACRED and its revisions; without examples it is the authors'
    prompt without retrieval. They show one example: several take a line each.

    negative (str): the name of "no relation" among the relation types: "Other" in SemEval, "no_relation" in TACRED.
    directed (bool): True for tagged mentions and labels with directions, "Cause-Effect(e1,e2)", where e1 is the
        first mention. False for plain sentences and labels, with the first mention as head: an inverse class is
        then scored as "label(tail,head)", but not listed. To ask about a tail that stands before its head, as TACRED
        does, make the Instance with the head's offsets as `first`, which `ragre.Proposed.v1` does with `head_first`.
    family (str): the models that the prompt is for: "flan-t5", whose prompt stands alone; "llama-2-chat" or
        "mistral-instruct", for which the authors put it between "[INST]" and "[/INST] Answer:". Their models are
        flan-t5-xl, Llama-2-7b-chat and Mistral-7B-Instruct-v0.2.
    RETURNS (Prompt): the prompt.
    """
    if not negative.strip():
        raise ValueError(Errors.R303.format(value=negative, prompt="ragre.RAG4RE.v1"))
    if family not in FAMILIES:
        raise ValueError(Errors.R377.format(value=family, known=", ".join(FAMILIES)))
    return RAG4REPrompt(negative, directed, family)


@dataclass(frozen=True)
class RAG4REPrompt:
    """See `make_rag4re_prompt` for the settings and `Prompt` for the methods."""

    negative: str = "Other"
    directed: bool = True
    family: str = "flan-t5"
    example_labels: ClassVar[bool] = False

    def segments(self, query: Instance, labels: LabelSet, examples: Sequence[Instance] = ()) -> Segments:
        """See `Prompt.segments`. The examples' answers are not shown."""
        macros = load_template(TEMPLATE)
        retrieved = bool(examples)
        return Segments(
            instruction=FAMILIES[self.family][0] + macros.instruction(self.directed, retrieved),
            examples=tuple(split_pieces(macros.example(self.directed, self._text(example))) for example in examples),
            query=split_pieces(self._query(query, labels, retrieved) + FAMILIES[self.family][1]),
        )

    def answers(self, query: Instance, labels: LabelSet) -> List[str]:
        """See `Prompt.answers`."""
        result = [f" {self._class_text(answer, labels)}" for answer in labels.classes]
        check_distinct("ragre.RAG4RE.v1", result, labels)
        return result

    def parse(self, answer_text: str, query: Instance, labels: LabelSet) -> ParsedAnswer:
        """See `Prompt.parse`.

        As published, a class is looked for anywhere in the answer, without regard to case; a label of which only the
        part after the colon was given gets its prefix ("title" is "per:title"), for a part that several labels have
        the one of the head's entity type. Unlike there, an answer that names several classes is not matched. Of a chat
        model that says "Answer:" again, what stands behind the last one counts.
        """
        if FAMILIES[self.family][1]:
            answer_text = answer_text.rsplit("Answer:", 1)[-1]
        texts = self.answers(query, labels)
        options = [[text] for text in texts]
        options[0] += [NO_RELATION]
        found = match_classes(answer_text.replace("\\", ""), options)
        if not found:
            found = self._without_prefix(answer_text, texts, query, labels)
        return ParsedAnswer(labels.classes[found[0]]) if len(found) == 1 else ParsedAnswer(matched=False)

    def _without_prefix(self, answer_text: str, texts: Sequence[str], query: Instance, labels: LabelSet) -> List[int]:
        suffixes: Dict[str, List[int]] = {}
        for i, text in enumerate(texts[1:], start=1):
            if ":" in text:
                suffixes.setdefault(normalize(text.rsplit(":", 1)[1]), []).append(i)
        words = answer_text.replace("\\", "").split()
        found: Set[int] = set()
        for word in {*words[-1:], *(word for word in words if ":" in word)}:
            classes = suffixes.get(normalize(word.rsplit(":", 1)[-1]), [])
            if len(classes) > 1:
                classes = [i for i in classes if self._prefix_fits(texts[i], labels.classes[i], query)]
            found.update(classes)
        return sorted(found)

    def _prefix_fits(self, text: str, answer: Optional[Answer], query: Instance) -> bool:
        head_type = query.second_type if answer is not None and answer.reversed else query.first_type
        prefix = "org" if head_type.upper() in ORGANIZATIONS else "per"
        return normalize(text.split(":", 1)[0]) == prefix

    def _query(self, query: Instance, labels: LabelSet, retrieved: bool) -> str:
        # The published lists have no order; "no relation" goes last.
        listed = [self._class_text(answer, labels) for answer in labels.classes if self._is_listed(answer)]
        text: str = load_template(TEMPLATE).query(
            self.directed,
            retrieved,
            self._text(query),
            *mention_texts(query),
            [*listed, self._class_text(None, labels)],
        )
        return text

    def _is_listed(self, answer: Optional[Answer]) -> bool:
        return answer is not None and (self.directed or not answer.reversed)

    def _class_text(self, answer: Optional[Answer], labels: LabelSet) -> str:
        if answer is None:
            return one_line(self.negative)
        label = one_line(answer.label)
        if labels.specs[answer.label].symmetric:
            return label
        if self.directed:
            return f"{label}(e2,e1)" if answer.reversed else f"{label}(e1,e2)"
        return f"{label}(tail,head)" if answer.reversed else label

    def _text(self, pair: Instance) -> str:
        if self.directed:
            return mark_mentions(pair, TAGS, spaced=False)
        mention_texts(pair)
        return one_line(pair.text)
