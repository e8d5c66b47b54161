"""What the four components share: streams of documents with error handling, steps of training, and what is saved."""

import json
import logging
import warnings
from pathlib import Path
from typing import (
    Any,
    Callable,
    ClassVar,
    Dict,
    Iterable,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Union,
)

import srsly
from spacy import util
from spacy.pipeline.trainable_pipe import TrainablePipe
from spacy.tokens import Doc
from spacy.training import Example, validate_examples, validate_get_examples
from spacy.vocab import Vocab
from thinc.api import Model, Optimizer, set_dropout_rate

from ..errors import Errors, Warnings
from ..extensions import check_extensions
from ..files import atomic_write, remove_leftovers
from ..relations import has_entity_annotation
from ..training.locks import one_at_a_time
from .manifest import check_manifest, write_manifest

logger = logging.getLogger(__name__)


#: Scores examples, such as `ragre.relation_scorer.v1` makes.
Scorer = Callable[..., Dict[str, Any]]


class Part(NamedTuple):
    """How one part of a component is saved, in a message and as a file or folder of the component's folder.

    to_bytes (Callable[[], bytes]): gives the part.
    from_bytes (Callable[[bytes], object]): takes what `to_bytes` gave.
    to_disk (Callable[[Path], object]): writes the part to a path.
    from_disk (Callable[[Path], object]): takes what `to_disk` wrote.
    """

    to_bytes: Callable[[], bytes]
    from_bytes: Callable[[bytes], object]
    to_disk: Callable[[Path], object]
    from_disk: Callable[[Path], object]

    @classmethod
    def of(cls, owner: Any) -> "Part":
        """owner (Any): has the four methods.
        RETURNS (Part): the part that it saves.
        """
        return cls(owner.to_bytes, owner.from_bytes, owner.to_disk, owner.from_disk)

    @classmethod
    def file(
        cls,
        dump: Callable[[], bytes],
        load: Callable[[bytes, str], object],
        missing: Optional[Callable[[Path], str]] = None,
    ) -> "Part":
        """A part that is one file.

        dump (Callable[[], bytes]): gives the content.
        load (Callable[[bytes, str], object]): takes the content, and where it is from, for messages.
        missing (Optional[Callable[[Path], str]]): the message of the OSError that is raised where there is no file;
            nothing is loaded then where None.
        RETURNS (Part): the part.
        """

        def from_disk(path: Path) -> None:
            if missing is not None and not path.exists():
                raise OSError(missing(path))
            load(path.read_bytes() if path.exists() else b"", str(path))

        return cls(dump, lambda data: load(data, "bytes"), lambda path: _write(path, dump()), from_disk)


class Component(TrainablePipe):  # type: ignore[misc]
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
    #: Parts that had another name in what version 0.1.0 saved.
    old_names: ClassVar[Mapping[str, str]] = {}

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
        for docs in util.minibatch(stream, size=batch_size):
            check_extensions()  # another package may have been imported since, and no document is at fault
            try:
                self.set_annotations(docs, self.predict(docs))
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

    def _warn_without_mentions(self, docs: Iterable[Doc]) -> None:
        """Warn, once, where it is known of no document which mentions it has: then nothing will be found in any.

        docs (Iterable[Doc]): the documents of a batch. Empty ones say nothing.
        """
        docs = [doc for doc in docs if len(doc)]
        if self._warned or not docs or any(has_entity_annotation(doc, self.spans_key) for doc in docs):
            return
        self._warned = True
        if self.spans_key is None:
            message = Warnings.W530.format(name=self.name)
        else:
            known = ", ".join(sorted({key for doc in docs for key in doc.spans})) or "none"
            message = Warnings.W531.format(name=self.name, key=self.spans_key, known=known)
        warnings.warn(message, stacklevel=4)

    # Training

    def _check_training(self, get_examples: Callable[[], Iterable[Example]]) -> None:
        """Raise an error where training can't begin.

        get_examples (Callable[[], Iterable[Example]]): what `initialize` was given.
        """
        check_extensions()
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
        loss = self._learn(examples)
        if loss is not None:
            losses[self.name] += loss
            if sgd is not None:
                self.finish_update(sgd)
        return losses

    def _learn(self, examples: List[Example]) -> Optional[float]:
        """One forward and backward pass.

        examples (List[Example]): the examples.
        RETURNS (Optional[float]): the loss; None where there is nothing to learn from.
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

    def _settings(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): what is saved as `cfg`, plain data."""
        raise NotImplementedError

    def _apply(self, settings: Dict[str, Any]) -> None:
        """settings (Dict[str, Any]): what `_settings` gave."""
        raise NotImplementedError

    def _parts(self) -> Dict[str, Part]:
        """RETURNS (Dict[str, Part]): what is saved besides cfg, vocab and model, by name, in the order of loading."""
        return {}

    def _before_saving(self) -> None:
        """Bring what is saved up to date."""

    def _after_loading(self) -> None:
        """Forget what does not belong to what was loaded."""

    def _all_parts(self, exclude: Iterable[str]) -> Dict[str, Part]:
        """RETURNS (Dict[str, Part]): all parts that are saved and loaded, by name."""
        nested = list(exclude)
        parts = {
            "cfg": Part.file(self._dump_cfg, self._load_cfg, lambda path: Errors.R210.format(file=path)),
            "vocab": Part(
                lambda: self.vocab.to_bytes(exclude=nested),
                lambda data: self.vocab.from_bytes(data, exclude=nested),
                lambda path: self.vocab.to_disk(path, exclude=nested),
                lambda path: self.vocab.from_disk(path, exclude=nested),
            ),
            "model": Part.file(
                self.model.to_bytes,
                self._load_model,
                lambda path: self.damaged_model.format(problem=f"missing ({path})"),
            ),
            **self._parts(),
        }
        left_out = {*nested, *(new for new, old in self.old_names.items() if old in nested)}
        return {name: part for name, part in parts.items() if name not in left_out}

    def _dump_cfg(self) -> bytes:
        self.cfg = self._settings()
        return str(srsly.json_dumps(self.cfg)).encode("utf8")

    def _load_cfg(self, data: bytes, where: str) -> None:
        try:
            settings = json.loads(data)
        except ValueError as error:
            raise ValueError(Errors.R211.format(file=where, problem=error)) from error
        if settings:
            self.cfg = settings
            self._apply(settings)

    def _load_model(self, data: bytes, where: str) -> None:
        try:
            self.model.from_bytes(data)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(self.damaged_model.format(problem=f"damaged ({where}: {error})")) from error

    @one_at_a_time
    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """exclude (Iterable[str]): names of parts to leave out; see `to_disk`.
        RETURNS (bytes): settings, all that was trained, and examples; not the base model.
        """
        self._before_saving()
        return util.to_bytes({name: part.to_bytes for name, part in self._all_parts(exclude).items()}, ())

    @one_at_a_time
    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "Component":
        """Load what `to_bytes` gave, in place.

        bytes_data (bytes): the message.
        exclude (Iterable[str]): names of parts to leave as they are.
        RETURNS (Component): the component.
        """
        message = srsly.msgpack_loads(bytes_data)
        if "pipe" in message:  # version 0.1.0 had cfg, vocab and model in a message of their own
            message = {**srsly.msgpack_loads(message["pipe"]), **message}
        for new, old in self.old_names.items():
            if old in message:
                message.setdefault(new, message[old])
        util.from_dict(message, {name: part.from_bytes for name, part in self._all_parts(exclude).items()}, ())
        self._after_loading()
        return self

    @one_at_a_time
    def to_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> None:
        """Save settings, all that was trained, and examples; not the base model. Each file appears when it is whole,
        and a manifest keeps the checksums of all files.

        path (Union[str, Path]): the folder.
        exclude (Iterable[str]): names of parts to leave out: cfg, vocab, model, and those of the component.
        """
        self._before_saving()
        parts = self._all_parts(exclude)
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        remove_leftovers(folder)
        for name, part in parts.items():
            part.to_disk(folder / name)
        for new, old in self.old_names.items():
            if new in parts:
                (folder / old).unlink(missing_ok=True)
        # Last: until then, the checksums of those before show that files were replaced.
        write_manifest(folder, parts)

    @one_at_a_time
    def from_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> "Component":
        """Load what `to_disk` saved, in place. The language model is not loaded before it is needed. Raises a
        ValueError for a file that is damaged, an OSError for one that is missing.

        path (Union[str, Path]): the folder.
        exclude (Iterable[str]): names of parts to leave as they are.
        RETURNS (Component): the component.
        """
        folder = Path(path)
        parts = self._all_parts(exclude)
        remove_leftovers(folder)
        check_manifest(folder, parts)
        for name, part in parts.items():
            part.from_disk(self._place(folder, name))
        self._after_loading()
        return self

    def _place(self, folder: Path, name: str) -> Path:
        """RETURNS (Path): where a part is; version 0.1.0 may have saved it under another name."""
        old = self.old_names.get(name)
        return folder / old if old and not (folder / name).exists() and (folder / old).exists() else folder / name


def _write(path: Path, data: bytes) -> None:
    with atomic_write(path) as file:
        file.write(data)
