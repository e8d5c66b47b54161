"""How a sentence encoder says that it is to be used: the files that sentence-transformers writes beside the weights.

    modules.json                          [Transformer, Pooling, Normalize]
    1_Pooling/config.json                 {"pooling_mode_cls_token": true, ...}
    config_sentence_transformers.json     {"prompts": {"query": "query: ", "document": "passage: "}, ...}

Only these are read, and not by sentence-transformers itself, whose import takes three times that of torch and
transformers (17 s against 4 s on a busy machine with two cores). Vectors are brought to unit
length whether or not a model says so, since the index compares by cosine.
"""

import json
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Union

from ..errors import Errors, Warnings

MODULES = "modules.json"
PROMPTS = "config_sentence_transformers.json"
DEFAULT_POOLING = "mean"
# The modes of sentence-transformers by the names of `TextEncoder`. Divided by another number, a mean has the same
# direction.
_MODES = {"mean": "mean", "mean_sqrt_len_tokens": "mean", "cls": "cls", "max": "max", "lasttoken": "last"}
# The same, as older versions write them, each with true or false.
_OLD_MODES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_READ = ("Transformer", "Pooling", "Normalize")
_PASSAGES = ("document", "passage", "corpus")

ReadFile = Callable[[str], Any]


class OwnSettings(NamedTuple):
    """What a model says of its use.

    pooling (str): "mean", "cls", "max" or "last".
    query_prefix (str): stands before queries.
    passage_prefix (str): stands before what is found.
    """

    pooling: str = DEFAULT_POOLING
    query_prefix: str = ""
    passage_prefix: str = ""


def read_own_settings(source: Union[str, Path], name: str, pooling: bool = True) -> OwnSettings:
    """Read the files of an encoder. One that has none is pooled by the mean, without prefixes.

    source (Union[str, Path]): a folder or a hub id.
    name (str): what it is called in the settings, for messages.
    pooling (bool): whether its pooling is asked for. A ValueError is raised where it is one that can't be computed.
    RETURNS (OwnSettings): the settings. An OSError is raised where a file is damaged.
    """
    try:
        read = _reader(source)
        modules = {str(module["type"]).split(".")[-1]: str(module["path"]) for module in read(MODULES) or []}
        prompts = read(PROMPTS) or {}
        own = OwnSettings(DEFAULT_POOLING, *_prefixes(prompts))
        if not pooling or "Pooling" not in modules:
            return own
        found = read(f"{modules['Pooling']}/config.json") or {}
        modes = _pooling_modes(found)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OSError(Errors.R201.format(name=name, reason=f"its settings are damaged ({error!r})")) from error
    if len(modes) != 1 or modes[0] not in _MODES or (not found.get("include_prompt", True) and any(own[1:])):
        prompt = "" if found.get("include_prompt", True) else " without the prompt"
        raise ValueError(Errors.R130.format(name=name, pooling=" and ".join(modes) + prompt))
    left_out = [module for module in modules if module not in _READ]
    if left_out:
        warnings.warn(Warnings.W130.format(name=name, modules=", ".join(left_out)), stacklevel=2)
    return own._replace(pooling=_MODES[modes[0]])


def _reader(source: Union[str, Path]) -> ReadFile:
    def read(file: str) -> Any:
        path: Optional[Union[str, Path]] = Path(source) / file
        if not isinstance(source, Path):
            from transformers.utils.hub import cached_file

            path = cached_file(
                source,
                file,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
            )
        if path is None or not Path(path).is_file():
            return None
        return json.loads(Path(path).read_text(encoding="utf8"))

    return read


def _pooling_modes(config: Dict[str, Any]) -> List[str]:
    mode = config.get("pooling_mode") or [name for key, name in _OLD_MODES.items() if config.get(key)]
    return [mode] if isinstance(mode, str) else list(mode) or [DEFAULT_POOLING]


def _prefixes(config: Dict[str, Any]) -> List[str]:
    """RETURNS (List[str]): those of queries and of what is found, as sentence-transformers chooses them."""
    prompts = config.get("prompts") or {}
    default = prompts.get(config.get("default_prompt_name") or "") or ""
    passage = next((prompts[key] for key in _PASSAGES if prompts.get(key) is not None), default)
    query = prompts["query"] if prompts.get("query") is not None else default
    return [str(query), str(passage)]
