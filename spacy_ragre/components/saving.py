"""What a component saves: parts, each in a file or folder of its own, with a manifest of their checksums."""

import json
from pathlib import Path
from typing import Any, Callable, ClassVar, Dict, Iterable, Mapping, NamedTuple, Optional, Union

import srsly
from spacy import util
from spacy.vocab import Vocab

from ..errors import Errors
from ..files import atomic_write, remove_leftovers
from ..training.locks import one_at_a_time
from .manifest import check_manifest, write_manifest


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


class Saved:
    """A component that is saved in parts: its settings as `cfg`, the vocabulary, and what subclasses add. Subclasses
    give `_settings` and `_apply`.
    """

    vocab: Vocab
    cfg: Dict[str, Any]

    #: Parts that had another name in what version 0.1.0 saved.
    old_names: ClassVar[Mapping[str, str]] = {}

    def _settings(self) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): what is saved as `cfg`, plain data."""
        raise NotImplementedError

    def _apply(self, settings: Dict[str, Any]) -> None:
        """settings (Dict[str, Any]): what `_settings` gave."""
        raise NotImplementedError

    def _model_parts(self) -> Dict[str, Part]:
        """RETURNS (Dict[str, Part]): the model, of a component that has one."""
        return {}

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
            **self._model_parts(),
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

    @one_at_a_time
    def to_bytes(self, *, exclude: Iterable[str] = ()) -> bytes:
        """exclude (Iterable[str]): names of parts to leave out; see `to_disk`.
        RETURNS (bytes): settings, all that was trained, and examples; not the base model.
        """
        self._before_saving()
        return util.to_bytes({name: part.to_bytes for name, part in self._all_parts(exclude).items()}, ())

    @one_at_a_time
    def from_bytes(self, bytes_data: bytes, *, exclude: Iterable[str] = ()) -> "Saved":
        """Load what `to_bytes` gave, in place.

        bytes_data (bytes): the message.
        exclude (Iterable[str]): names of parts to leave as they are.
        RETURNS (Saved): the component.
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
    def from_disk(self, path: Union[str, Path], *, exclude: Iterable[str] = ()) -> "Saved":
        """Load what `to_disk` saved, in place. The language model is not loaded before it is needed. Raises a
        ValueError for a file that is damaged, an OSError for one that is missing.

        path (Union[str, Path]): the folder.
        exclude (Iterable[str]): names of parts to leave as they are.
        RETURNS (Saved): the component.
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
