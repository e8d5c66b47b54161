"""Answers to the questions of several tasks by one language model, with a store of examples for each task."""

import warnings
from collections import OrderedDict
from typing import Any, ClassVar, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import numpy as np
from numpy.typing import NDArray
from thinc.api import Model, Optimizer

from ...errors import Errors, Warnings
from ...instances import Instance
from ...llm.attention.packing import TokenPrompt, batches
from ...llm.base import Pieces
from ...llm.copy_grammar import CopyGrammar, Piece
from ...llm.label_scoring import fit_examples, score_texts
from ...llm.remote.backbone import Documents, RemoteLM
from ...llm.remote.tasks import AskedTask
from ...prompts.responses import NONE, Parsed, response_pieces, split_pieces_of
from ...prompts.shortening import MENTION_WORDS, cut_mentions, cut_text, most_context
from ...prompts.supplements import GENERATED, KINDS, LABELS, TRIPLE_RELATIONS, Task, TaskPrompt, label_text
from ...retrieval import Neighbour, Retriever
from ...retrieval.state_keys import BackboneEncoder
from ...training.parallel import own_share
from ..predictor import Predictor
from .model import MultiTaskShim, Trained

# What names end with besides words: "vitamin E (natural)", "multivitamin +", "HbA1c 9%".
_ENDS = frozenset(")+%")
# Each task's rows of the label head.
_ROWS: Dict[Task, slice] = {}
for _task, _labels in LABELS.items():
    _first = max((rows.stop for rows in _ROWS.values()), default=0)
    _ROWS[_task] = slice(_first, _first + len(_labels))
# While responses are generated, a step costs little more for more rows, and of a token only keys and values are held,
# which take less than what a pass computes: so many times the tokens of a pass.
_HELD = 4


Scores = NDArray[np.float32]


class TaskAnswer(NamedTuple):
    """The answer to one question.

    text (str): a label, or a response; "" for a question that a server did not answer.
    score (float): the label's probability; 1 for a response.
    neighbours (Sequence[Neighbour]): the examples that were shown.
    items (Optional[Parsed]): what a server listed in place of a response.
    """

    text: str
    score: float = 1.0
    neighbours: Sequence[Neighbour] = ()
    items: Optional[Parsed] = None


class TaskPredictor(Predictor):
    """Asks a language model the questions of several tasks.

    model (Model): a multi-task model; see `spacy_ragre.components.supplements.model`.
    prompt (TaskPrompt): how a question is put.
    retriever (Retriever): encoder and settings of the stores; each task gets a store of its own.
    tasks (Sequence[str]): the tasks.
    answer (str): how questions with labels are answered: "head", "trie", or "auto" for the head once it is trained.
    n_examples (int): most examples in a prompt.
    label_smoothing (float): share of the target that training spreads over all labels.
    max_new_tokens (int): most tokens of a generated response.
    constrained (bool): generate names that stand in the text only.
    """

    remote_modes: ClassVar[Tuple[str, ...]] = ("auto",)

    def __init__(
        self,
        model: Model[Any, Any],
        prompt: TaskPrompt,
        retriever: Retriever,
        tasks: Sequence[Task],
        *,
        answer: str = "auto",
        n_examples: int = 0,
        label_smoothing: float = 0.0,
        max_new_tokens: int = 160,
        constrained: bool = True,
    ) -> None:
        super().__init__(model, answer=answer, n_examples=n_examples, label_smoothing=label_smoothing)
        if isinstance(retriever.encoder, BackboneEncoder):
            raise ValueError(Errors.R531)
        self.prompt = prompt
        self.max_new_tokens = max_new_tokens
        self.constrained = constrained
        self.stores: Dict[Task, Retriever] = {task: retriever.fresh(task) for task in tasks}
        self._warned = False
        self._keys: Dict[str, NDArray[np.float32]] = {}
        # What is found for a text does not change while a model is trained. The oldest use first.
        self._found_before: OrderedDict[Tuple[Task, Instance], List[Neighbour]] = OrderedDict()

    @property
    def shim(self) -> MultiTaskShim:
        """RETURNS (MultiTaskShim): the torch side of the model."""
        return self.model.shims[0]  # type: ignore[return-value]

    # Examples

    def add_examples(self, task: Task, instances: Sequence[Instance]) -> int:
        """Put examples that are not there yet into a task's store.

        task (str): the task.
        instances (Sequence[Instance]): questions with responses.
        RETURNS (int): how many are new.
        """
        store = self.stores[task]
        known = set(store.store.instances)
        new = [instance for instance in dict.fromkeys(instances) if instance not in known]
        store.add(new)
        self.forget()
        return len(new)

    def clear_examples(self) -> None:
        """Empty the stores."""
        for store in self.stores.values():
            store.clear()
        self.forget()

    def forget(self) -> None:
        """Forget which examples were found for a text, as after a change of the stores."""
        self._found_before.clear()
        self._keys.clear()

    def found(self, task: Task, instances: Sequence[Instance]) -> List[List[Neighbour]]:
        """RETURNS (List[List[Neighbour]]): the examples for each question, most similar first, none of its own text."""
        store = self.stores[task]
        if self.n_examples < 1 or not len(store) or not instances:
            return [[] for _ in instances]
        return store.retrieve(instances, k=self.n_examples, keys=self._query_keys(store, instances))

    def _query_keys(self, store: Retriever, instances: Sequence[Instance]) -> Scores:
        """The keys of queries. All tasks ask about the same texts, which are encoded once.

        RETURNS (numpy.ndarray): *Shape* (queries, width).
        """
        if getattr(store.encoder, "reads_mentions", True):
            return store.query_keys(instances)
        texts = {instance.text: instance for instance in instances}
        if not texts.keys() <= self._keys.keys():
            # Those of the last batch of texts only.
            self._keys = dict(zip(texts, store.query_keys(list(texts.values()))))
        return np.stack([self._keys[instance.text] for instance in instances])

    def _found_once(self, task: Task, instances: Sequence[Instance]) -> List[List[Neighbour]]:
        """As `found`, with what was found in the last steps remembered: as many questions as the stores hold, which are
        those of an epoch. Documents with other names, as `swap_mentions` makes them at each step, never come back.
        """
        if self.n_examples < 1 or not len(self.stores[task]):
            return [[] for _ in instances]
        known = self._found_before
        new = [instance for instance in dict.fromkeys(instances) if (task, instance) not in known]
        result = dict(zip(new, self.found(task, new)))
        for instance in dict.fromkeys(instances):
            neighbours = result.setdefault(instance, known.get((task, instance), []))
            known[task, instance] = neighbours
            known.move_to_end((task, instance))
        most = sum(map(len, self.stores.values()))
        while len(known) > most:
            known.popitem(last=False)
        return [result[instance] for instance in instances]

    # Prompts

    def prompt_ids(self, task: Task, instances: Sequence[Instance]) -> List[Tuple[int, ...]]:
        """RETURNS (List[Tuple[int, ...]]): token ids of the prompts of a task's questions, with examples."""
        return [prompt.ids for prompt in self._prompts(task, instances, self.found(task, instances))]

    def _prompts(
        self, task: Task, instances: Sequence[Instance], found: Sequence[Sequence[Neighbour]]
    ) -> List[TokenPrompt]:
        return [self.backbone.tokenize(self.pieces(task, i, n)) for i, n in zip(instances, found)]

    def pieces(self, task: Task, instance: Instance, neighbours: Sequence[Neighbour] = ()) -> Pieces:
        """The pieces of a question's prompt, with as many examples as fit.

        task (str): the task.
        instance (Instance): the question.
        neighbours (Sequence[Neighbour]): examples, most similar first.
        RETURNS (Tuple[str, Tuple[str, ...], Sequence[str]]): instruction, document, and the pieces of the question.
        """
        shown = [neighbour.instance for neighbour in neighbours]

        def build(number: int) -> Pieces:
            # The most similar example stands next to the question.
            segments = self.prompt.segments(task, instance, shown[:number][::-1])
            # All questions of a task about one text are shown the same examples, which are read once.
            return segments.instruction, (segments.document, *segments.example_pieces()), segments.query_pieces()

        return fit_examples(self.backbone, build, len(shown)) or self._shortened(task, instance)

    def fits(self, task: Task, instance: Instance) -> bool:
        """Whether the model's window takes a question without examples. The first one that it does not take is said.

        task (str): the task.
        instance (Instance): the question.
        RETURNS (bool): whether it does.
        """
        server = self.backbone
        if isinstance(server, RemoteLM):
            length = server.task_length(task, self.prompt, instance)
        else:
            length = server.count_tokens(self._bare(task, instance))
        fine = length <= self.backbone.max_length
        if not fine and not self._warned:
            self._warned = True
            values = {"length": length, "model": self.backbone.name, "limit": self.backbone.max_length}
            warnings.warn(Warnings.W140.format(task=task, **values), stacklevel=2)
        return fine

    def _bare(self, task: Task, instance: Instance) -> Pieces:
        segments = self.prompt.segments(task, instance)
        return segments.instruction, (segments.document,), segments.query_pieces()

    def _shortened(self, task: Task, instance: Instance) -> Pieces:
        """RETURNS (Pieces): a question about mentions with as much of its text around them as fits."""

        def fits(shorter: Instance) -> bool:
            return self.fits(task, shorter)

        if task not in GENERATED and not fits(instance):
            for shorter in (instance, cut_mentions(instance, MENTION_WORDS)):
                if fits(cut_text(shorter, 0)):
                    return self._bare(task, most_context(shorter, fits))
        return self._bare(task, instance)  # too long, which is raised where it becomes token ids

    def _response_ids(self, text: str) -> Tuple[int, ...]:
        result: List[int] = []
        for piece in response_pieces(text):
            result.extend(self.backbone.inner_ids(piece))
        return tuple(result)

    def _grammar(self, task: Task, text: str) -> CopyGrammar:
        pieces = []
        for piece, (start, _) in split_pieces_of(text):
            spaced = start > 0 and text[start - 1].isspace()
            first = self._response_ids(f" {piece}")
            inside = first if spaced else self._response_ids(piece)
            if not first or not inside:  # characters that the tokenizer leaves out, as of no width
                continue
            word = piece.replace("_", "").isalnum()
            pieces.append(Piece(first, inside, word, word or piece in _ENDS))
        if task == "ner":
            fields: List[Any] = [None, [self._response_ids(f" ({kind})") for kind in KINDS]]
        else:
            between = [self._response_ids(f" | {label_text(relation)} |") for relation in TRIPLE_RELATIONS]
            fields = [None, between, None]
        end = self.backbone.tokenizer.eos_token_id
        return CopyGrammar(
            pieces,
            fields,
            separator=self._response_ids(";"),
            none=self._response_ids(f" {NONE}"),
            end=self.backbone.pad_id if end is None else end,
        )

    # Answering

    def predict(
        self, questions: Mapping[Task, Sequence[Instance]], documents: Optional[Mapping[Task, Sequence[int]]] = None
    ) -> Dict[Task, List[TaskAnswer]]:
        """Answer questions of any task, whatever the way to answer. Those with labels are computed together.

        questions (Mapping[str, Sequence[Instance]]): the questions of each task.
        documents (Optional[Mapping[str, Sequence[int]]]): the number of each question's document, for servers, which
            read it at once.
        RETURNS (Dict[str, List[TaskAnswer]]): the answers to the questions of each task.
        """
        asked = {task: items for task, items in questions.items() if items}
        answers: Dict[Task, List[TaskAnswer]] = {task: [] for task in questions}
        if isinstance(self.backbone, RemoteLM):
            for task, items in asked.items():
                answers[task] = self._ask(self.backbone, task, items, None if documents is None else documents[task])
            return answers
        if asked:
            self.prepare()
        answers.update(self._choose({task: items for task, items in asked.items() if task not in GENERATED}))
        answers.update((task, self._respond(task, asked[task])) for task in GENERATED if task in asked)
        return answers

    def _ask(self, server: RemoteLM, task: Task, items: Sequence[Instance], documents: Documents) -> List[TaskAnswer]:
        found = self.found(task, items)
        asked = AskedTask(task, self.prompt, items, [[near.instance for near in own] for own in found], documents)
        if task in GENERATED:
            lists = server.list_task(asked)
            return [TaskAnswer("", neighbours=near, items=listed) for near, listed in zip(found, lists)]
        scores = server.score_task(asked)
        silent = np.isnan(scores).any(axis=1)
        answers = self._answered(task, np.where(silent[:, None], 0.0, scores), found)
        return [TaskAnswer("") if none else answer for none, answer in zip(silent.tolist(), answers)]

    def _choose(self, questions: Mapping[Task, Sequence[Instance]]) -> Dict[Task, List[TaskAnswer]]:
        if not questions:
            return {}
        found = {task: self.found(task, items) for task, items in questions.items()}
        scores = self._head_scores(questions, found) if self.mode == "head" else self._text_scores(questions, found)
        return {task: self._answered(task, scores[task], found[task]) for task in questions}

    def _head_scores(
        self, questions: Mapping[Task, Sequence[Instance]], found: Mapping[Task, List[List[Neighbour]]]
    ) -> Dict[Task, Scores]:
        prompts = [p.ids for task, items in questions.items() for p in self._prompts(task, items, found[task])]
        logits = np.asarray(self.shim.label_logits(prompts))
        scores, start = {}, 0
        for task, items in questions.items():
            scores[task] = logits[start : start + len(items), _ROWS[task]]
            start += len(items)
        return scores

    def _text_scores(
        self, questions: Mapping[Task, Sequence[Instance]], found: Mapping[Task, List[List[Neighbour]]]
    ) -> Dict[Task, Scores]:
        scores = {}
        for task, items in questions.items():
            pieces = [self.pieces(task, i, n) for i, n in zip(items, found[task])]
            scores[task] = score_texts(self.backbone, pieces, [self.prompt.answers(task)] * len(pieces))
        return scores

    def _answered(self, task: Task, scores: Scores, found: Sequence[Sequence[Neighbour]]) -> List[TaskAnswer]:
        """scores (numpy.ndarray): *Shape* (questions, labels).
        RETURNS (List[TaskAnswer]): the likeliest label of each question.
        """
        if not np.isfinite(scores).all():
            raise ValueError(Errors.R504.format(model=self.backbone.name))
        weights = np.exp(scores - scores.max(axis=1, keepdims=True))
        probability = weights / weights.sum(axis=1, keepdims=True)
        best = probability.argmax(axis=1).tolist()
        return [
            TaskAnswer(LABELS[task][label], float(row[label]), near)
            for row, label, near in zip(probability, best, found)
        ]

    def _respond(self, task: Task, instances: Sequence[Instance]) -> List[TaskAnswer]:
        """RETURNS (List[TaskAnswer]): a generated response to each question."""
        ids = self.prompt_ids(task, instances)
        answers = [TaskAnswer("")] * len(ids)
        for batch in batches([len(prompt) for prompt in ids], _HELD * self.backbone.batch_tokens, fill=0.0):
            grammars = [self._grammar(task, instances[i].text) for i in batch] if self.constrained else None
            generated = self.shim.generate([ids[i] for i in batch], self.max_new_tokens, grammars)
            for i, response in zip(batch, generated):
                answers[i] = TaskAnswer(self.backbone.tokenizer.decode(response, skip_special_tokens=True))
        return answers

    # Training

    def init_heads(self) -> None:
        """Make the adapter and the label heads, which answer once they have learned something."""
        # With a space in front, as words stand inside a text.
        self.shim.init_head([f" {label_text(label)}" for labels in LABELS.values() for label in labels])
        self.trained = False

    def train(self, questions: Mapping[Task, Sequence[Instance]], weights: Mapping[Task, float]) -> float:
        """One forward and backward pass over a batch of all tasks. Gradients add up until `finish_update`.

        questions (Mapping[str, Sequence[Instance]]): each task's questions with their answers. Of several processes,
            each takes its share.
        weights (Mapping[str, float]): what a question of each task weighs.
        RETURNS (float): the weighted mean loss; of several processes, this one's part of it.
        """
        total = sum(weights[task] * len(items) for task, items in questions.items())
        if not total:
            return 0.0
        asked: List[Trained] = []
        for task, items in questions.items():
            if not items:
                continue
            share = weights[task] / total
            responses = [self._response_ids(f" {item.response}") for item in items] if task in GENERATED else []
            items = own_share(items)
            prompts = [prompt.ids for prompt in self._prompts(task, items, self._found_once(task, items))]
            if task not in GENERATED:
                targets = [LABELS[task].index(item.answers[0].label) for item in items if item.answers]
                asked.extend(Trained(p, share, _ROWS[task], target) for p, target in zip(prompts, targets, strict=True))
                continue
            # Each token weighs the same. Were it each response, the few tokens of an empty or a short list would
            # outweigh those of a long one, and lists would be ended early.
            size = sum(len(response) + 1 for response in responses) / len(responses)
            asked.extend(Trained(p, share / size, response=r) for p, r in zip(prompts, own_share(responses)))
        loss = self.shim.train(asked, self.label_smoothing)
        self._has_gradients = True
        return loss

    def finish_update(self, sgd: Optimizer) -> None:
        """Take a step with the gradients that added up. Does nothing where there are none.

        sgd (Optimizer): the optimizer.
        """
        if self._has_gradients:
            self.model.finish_update(sgd)
            self._has_gradients = False
            self.trained = True


def mixing_weights(counts: Mapping[Task, int], answers: Mapping[Task, int], temperature: float) -> Dict[Task, float]:
    """What a question of each task weighs, so that the tasks' shares of the loss are in proportion to their sizes to
    the power of 1 / temperature (Arivazhagan et al. 2019, arXiv 1907.05019). Weights in place of sampling use every
    question once an epoch. A task's size is the number of its answers: a list of three mentions says as much as three
    labels.

    counts (Mapping[str, int]): the number of questions of each task.
    answers (Mapping[str, int]): the number of their answers; see `count_answers`.
    temperature (float): 1 for shares in proportion to size; the larger, the more equal.
    RETURNS (Dict[str, float]): the weights, 1 in the mean over all questions.
    """
    shares = {task: answers[task] ** (1 / temperature) for task, count in counts.items() if count}
    whole = sum(shares.values())
    total = sum(counts.values())
    known = {task: share / whole * total / counts[task] for task, share in shares.items()}
    return {task: known.get(task, 1.0) for task in counts}
