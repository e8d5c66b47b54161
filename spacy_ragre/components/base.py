"""What trainable components share: streams of documents with error handling, and steps of training."""

import logging
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from typing import (
    Any,
    Callable,
    ClassVar,
    Dict,
    Iterable,
    Iterator,
    List,
    Optional,
    Tuple,
)

from spacy import util
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Model, Optimizer, set_dropout_rate

from ..errors import Errors, Warnings
from ..extensions import check_extensions
from ..llm.remote.backbone import RemoteLM
from ..relations import has_entity_annotation
from ..retrieval import Retriever
from ..training import parallel
from ..training.locks import keeps_turn, one_at_a_time
from ..training.tensors import Precision, check_precision
from ..training.torch_shim import TorchShim
from .saving import Part, Saved

logger = logging.getLogger(__name__)


#: Scores examples, such as `ragre.relation_scorer.v1` makes.
Scorer = Callable[..., Dict[str, Any]]


def mentions_warning(name: str, spans_key: Optional[str], docs: Iterable[Doc]) -> Optional[str]:
    """name (str): a component's name.
    spans_key (Optional[str]): where it reads mentions, `doc.ents` if None.
    docs (Iterable[Doc]): documents that it got. Empty ones say nothing.
    RETURNS (Optional[str]): what to say where it is known of no document which mentions it has, else None.
    """
    docs = [doc for doc in docs if len(doc)]
    if not docs or any(has_entity_annotation(doc, spans_key) for doc in docs):
        return None
    if spans_key is None:
        return str(Warnings.W530.format(name=name))
    known = ", ".join(sorted({key for doc in docs for key in doc.spans})) or "none"
    return str(Warnings.W531.format(name=name, key=spans_key, known=known))


class Component(Saved, TrainablePipe):  # type: ignore[misc]
    """A trainable component. Subclasses give `predict`, `set_annotations`, `initialize`, what one step learns, and what
    is saved besides the model.

    vocab (Vocab): the shared vocabulary.
    model (Model): the model.
    name (str): the component's name in the pipeline.
    scorer (Optional[Callable]): the scoring method.
    spans_key (Optional[str]): mentions are in `doc.spans[spans_key]` instead of `doc.ents`.
    """

    #: What is raised where the model's file is missing or damaged, with a place for the `problem`.
    damaged_model: ClassVar[str] = Errors.R108

    def __init__(
        self, vocab: Vocab, model: Model[Any, Any], name: str, *, scorer: Optional[Scorer], spans_key: Optional[str]
    ) -> None:
        check_extensions()
        self.vocab = vocab
        self.model = model
        self.name = name
        self.scorer = scorer
        self.spans_key = spans_key
        self.cfg: Dict[str, Any] = {}
        self._warned = False

    # Prediction

    def __call__(self, doc: Doc) -> Doc:
        """Annotate one document. Errors go to the error handler.

        doc (Doc): the document.
        RETURNS (Doc): the same.
        """
        check_extensions()
        doc = super().__call__(doc)
        return doc

    def pipe(self, stream: Iterable[Doc], *, batch_size: int = 32) -> Iterator[Doc]:
        """Process a stream of documents in batches. Where a batch fails, its documents are tried one by one, so that
        only those that fail themselves go to the error handler.

        stream (Iterable[Doc]): the documents.
        batch_size (int): documents of a batch. They are put to the model together.
        YIELDS (Doc): the documents, in order.
        """
        handler = self.get_error_handler()
        for docs, predicted in self._begun(util.minibatch(stream, size=batch_size)):
            check_extensions()  # another package may have been imported since, and no document is at fault
            try:
                self.set_annotations(docs, predicted())
            except Exception as error:  # one by one below, where the handler gets what fails
                if len(docs) > 1:
                    logger.warning(
                        "%s: a batch of %d documents failed (%s) and is tried again document by document",
                        self.name,
                        len(docs),
                        type(error).__name__,
                    )
                for doc in docs:
                    try:
                        self.set_annotations([doc], self.predict([doc]))
                    except Exception as error:
                        handler(self.name, self, [doc], error)
                    else:
                        yield doc
            else:
                yield from docs

    def _begun(self, batches: Iterable[List[Doc]]) -> Iterator[Tuple[List[Doc], Callable[[], Any]]]:
        """While a server answers for a batch, the next one comes through the pipes before.

        batches (Iterable[List[Doc]]): batches of documents.
        YIELDS (Tuple[List[Doc], Callable[[], Any]]): each batch, and what gives its predictions.
        """
        server = getattr(self.model.shims[0], "backbone", None) if self.model.shims else None
        if not isinstance(server, RemoteLM):
            for docs in batches:
                yield docs, partial(self.predict, docs)
            return
        worker = ThreadPoolExecutor(1)
        begun: List[Tuple[List[Doc], Callable[[], Any]]] = []
        try:
            for docs in batches:
                if keeps_turn():  # inside of `asking`, where that thread would wait for this one, and ask again then
                    yield from begun
                    begun.clear()
                    yield docs, partial(self.predict, docs)
                    continue
                # Whichever thread comes first asks, and the other one gets what was answered.
                predict = one_at_a_time(cache(partial(self.predict, docs)))
                begun.append((docs, partial(self._answer, predict, worker.submit(predict))))
                if len(begun) > 1:
                    yield begun.pop(0)
            yield from begun
        except BaseException:  # or the reader of the stream went away: what nobody waits for is not paid for
            worker.shutdown(wait=False, cancel_futures=True)
            server.cancel()
            raise
        worker.shutdown(wait=False)

    def _answer(self, predict: Callable[[], Any], asked: "Future[Any]") -> Any:
        """RETURNS (Any): what `predict` gives, which another thread was told to call."""
        if keeps_turn() and not asked.done():
            # It was told so before this one kept the turn, and waits until it ends.
            asked.cancel()
            return predict()
        return asked.result()

    def _warn_without_mentions(self, docs: Iterable[Doc]) -> None:
        """Warn, once, where it is known of no document which mentions it has: then nothing will be found in any.

        docs (Iterable[Doc]): the documents of a batch. Empty ones say nothing.
        """
        message = None if self._warned else mentions_warning(self.name, self.spans_key, docs)
        if message is not None:
            self._warned = True
            warnings.warn(message, stacklevel=4)

    # Training

    def _check_training(self, get_examples: Callable[[], Iterable[Example]]) -> None:
        """Raise an error where training can't begin.

        get_examples (Callable[[], Iterable[Example]]): what `initialize` was given.
        """
        check_extensions()
        split = any(isinstance(shim, TorchShim) and shim.shard for shim in self.model.shims)
        if parallel.launched() > 1 and parallel.processes() == 1:
            warnings.warn(Warnings.W770.format(count=parallel.launched(), name=self.name), stacklevel=5)
        elif split and parallel.processes() == 1:
            warnings.warn(Warnings.W772.format(name=self.name), stacklevel=5)
        validate_get_examples(get_examples, f"{type(self).__name__}.initialize")

    @one_at_a_time
    def update(
        self,
        examples: Iterable[Example],
        *,
        drop: float = 0.0,
        sgd: Optional[Optimizer] = None,
        losses: Optional[Dict[str, float]] = None,
    ) -> Dict[str, float]:
        """Learn from a batch of examples, with gold entities.

        examples (Iterable[Example]): the examples.
        drop (float): dropout, of models that take it from here (the reader of open labels); that of a language model is
            a setting of its own.
        sgd (Optional[Optimizer]): takes a step with it; without one, gradients add up until `finish_update`.
        losses (Optional[Dict[str, float]]): the loss is added to it under the component's name.
        RETURNS (Dict[str, float]): the losses.
        """
        check_extensions()
        examples = list(examples)
        losses = {} if losses is None else losses
        losses.setdefault(self.name, 0.0)
        validate_examples(examples, f"{type(self).__name__}.update")
        set_dropout_rate(self.model, drop)
        with parallel.same_draws():
            loss = self._learn(examples)
        if loss is not None:
            losses[self.name] += parallel.total(loss)
            if sgd is not None:
                self.finish_update(sgd)
        return losses

    def _learn(self, examples: List[Example]) -> Optional[float]:
        """One forward and backward pass. Where several processes train, each goes through its share of what there is to
        learn, and losses and gradients are divided by what all of them have.

        examples (List[Example]): the examples, the same in all processes.
        RETURNS (Optional[float]): the loss; None where there is nothing to learn from in any process.
        """
        raise NotImplementedError

    @one_at_a_time
    def finish_update(self, sgd: Optimizer) -> None:
        """Take a step with the gradients of the updates since the last one.

        sgd (Optimizer): the optimizer.
        """
        self._step(sgd)

    def _step(self, sgd: Optimizer) -> None:
        self.model.finish_update(sgd)

    # Serialisation

    def _retrievers(self) -> List[Retriever]:
        """RETURNS (List[Retriever]): what is saved with the component's examples."""
        return []

    @one_at_a_time
    def shrink(self, precision: Precision) -> None:
        """Keep what was trained, and the keys of examples, in fewer bits. Answers differ a little: score the pipeline
        again.

        precision (str): of what was trained, "half" or "int8". Keys of examples are in half precision with both.
        """
        check_precision(precision)
        self._before_saving()
        stores = [own for own in self._retrievers() if len(own.store)]
        # Keys that the model's own states gave still fit it. Those that were outdated before stay so.
        fitting = [own for own in stores if own.store.fingerprint == own.encoder.fingerprint]
        for node in self.model.walk():
            for shim in node.shims:
                if isinstance(shim, TorchShim):
                    shim.shrink(precision)
        for own in fitting:
            own.store.fingerprint = own.encoder.fingerprint
        for own in stores:
            own.store.half = True

    def _model_parts(self) -> Dict[str, Part]:
        missing = self.damaged_model
        return {
            "model": Part.file(
                self.model.to_bytes, self._load_model, lambda path: missing.format(problem=f"missing ({path})")
            )
        }

    def _load_model(self, data: bytes, where: str) -> None:
        try:
            self.model.from_bytes(data)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(self.damaged_model.format(problem=f"damaged ({where}: {error})")) from error
