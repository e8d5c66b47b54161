"""Which language model of a pipeline can be served, and what it is asked to see that it still answers the same."""

from typing import List, NamedTuple, cast

from spacy.language import Language

from ..errors import Errors
from ..instances import Instance
from ..llm.causal import CausalLM
from ..llm.exporting import Probe
from ..llm.remote.backbone import RemoteLM
from ..prompts.responses import NONE
from ..prompts.supplements import GENERATED
from .base import Component
from .etrag.predictor import ETRAGPredictor
from .predictor import Predictor
from .relations.predictor import RelationPredictor
from .supplements.predictor import TaskPredictor

# Texts that prompts are made of, each with two names. Any will do: what is compared is the same model twice.
_TEXTS = (
    ("Microsoft was founded by Bill Gates in Albuquerque.", "Microsoft", "Bill Gates"),
    ("Turmeric helped with the joint pain, so she kept taking it.", "Turmeric", "joint pain"),
    ("The headquarters stand in Oslo, where Ada Berg lives.", "Oslo", "Ada Berg"),
)


class Served(NamedTuple):
    """A language model that a server can run in place of a component's own.

    component (str): the component's name.
    backbone (CausalLM): the language model, with what was trained in it.
    probes (List[Probe]): some of the prompts that the component puts to it, with answers.
    by_head (List[str]): tasks that the component answers with its label head, which is not exported.
    """

    component: str
    backbone: CausalLM
    probes: List[Probe]
    by_head: List[str]


def find_language_model(nlp: Language, name: str) -> Served:
    """Find the language model that a pipeline's answers come from.

    nlp (Language): the pipeline.
    name (str): what it is called, for messages.
    RETURNS (Served): that of the first component with a language model. A ValueError is raised where there is none, and
        where the component's answers are not what a language model writes.
    """
    for component, pipe in nlp.pipeline:
        predictor = getattr(pipe, "predictor", None)
        if isinstance(pipe, Component) and isinstance(predictor, Predictor):
            _check(component, predictor, name)
            predictor.prepare()
            backbone = cast(CausalLM, predictor.backbone)
            return Served(component, backbone, _probes(predictor), _by_head(predictor))
    raise ValueError(Errors.R740.format(name=name, components=", ".join(nlp.pipe_names) or "none"))


def _check(component: str, predictor: Predictor, name: str) -> None:
    reason = ""
    if isinstance(predictor, ETRAGPredictor):
        reason = "it reads retrieved examples as vectors, which servers do not take"
    elif isinstance(predictor.backbone, RemoteLM):
        reason = f"its language model {predictor.backbone.name!r} is on a server already"
    elif predictor.mode == "open":
        reason = (
            "its relations come from a reader of labels, which compares states and writes nothing. A language model "
            "answers with the setting weights = null, or answer = 'trie'"
        )
    elif not isinstance(predictor.backbone, CausalLM):
        reason = f"its language model {predictor.backbone.name!r} has an encoder and a decoder, which few servers take"
    if reason:
        raise ValueError(Errors.R742.format(component=component, name=name, reason=reason))
    writes = isinstance(predictor, TaskPredictor) and set(predictor.stores) & set(GENERATED)
    if predictor.mode == "head" and not writes:
        raise ValueError(Errors.R741.format(component=component, name=name))


def _by_head(predictor: Predictor) -> List[str]:
    if not isinstance(predictor, TaskPredictor) or predictor.mode != "head":
        return []
    return [task for task in predictor.stores if task not in GENERATED]


def _probes(predictor: Predictor) -> List[Probe]:
    probes = []
    for text, first, second in _TEXTS:
        one, other = ((text.index(words), text.index(words) + len(words)) for words in (first, second))
        if isinstance(predictor, RelationPredictor):
            pair = Instance(text, one, other)
            probes.append(Probe(predictor.pieces(pair), predictor.prompt.answers(pair, predictor.labels)))
        elif isinstance(predictor, TaskPredictor):
            for task in predictor.stores:
                whole = (0, len(text))
                spans = (whole, whole) if task in GENERATED else (one, other if task == "re" else one)
                written = [f" {NONE}", f" {first}"] if task in GENERATED else predictor.prompt.answers(task)
                probes.append(Probe(predictor.pieces(task, Instance(text, *spans)), written))
    return probes
