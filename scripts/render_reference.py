"""Write the tables of settings in the pages of docs/, and the pages of docs/reference/, from the code.

A table stands between `<!-- settings NAME:begin -->` and `<!-- settings NAME:end -->`, where NAME is a factory or a
registered function. It has one row a setting: its default, and what its docstring says of it. docs/reference/ has a
page with a table for each registered function and one with all numbered messages. With `--check` nothing is written,
and the exit code is 1 where a page is stale.
"""

import argparse
import inspect
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import srsly
from spacy.language import Language
from spacy.util import registry

import spacy_ragre  # noqa: F401  (registers the suite)
from spacy_ragre.errors import Errors, Warnings
from spacy_ragre.registry import NAMES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(r"(<!-- settings (?P<name>[\w.]+):begin -->\n).*?(<!-- settings (?P=name):end -->)", re.DOTALL)
ARGUMENT = re.compile(r"^(?P<names>\w+(?:, \w+)*)(?: \((?P<type>.*?)\))?: (?P<text>.+)$")
POINTS = [point for point in metadata.entry_points(group="spacy_factories") if point.value.startswith("spacy_ragre.")]
FACTORIES = sorted(point.name for point in POINTS)
#: spaCy's registries with functions of this suite, and the suite's own.
REGISTRIES = ("architectures", "readers", "scorers", "loggers", "misc", *NAMES)
OWN = "ragre."


def arguments(docstring: Optional[str]) -> Dict[str, str]:
    """RETURNS (Dict[str, str]): what a docstring says of each argument, one line each."""
    found: Dict[str, str] = {}
    names: List[str] = []
    for line in inspect.cleandoc(docstring or "").splitlines():
        match = ARGUMENT.match(line)
        if match:
            names = match["names"].split(", ")
            found.update(dict.fromkeys(names, match["text"]))
        elif names and line.startswith("    ") and line.strip():
            found.update({name: f"{found[name]} {line.strip()}" for name in names})
        else:
            names = []
    return {name: text for name, text in found.items() if name not in ("RETURNS", "YIELDS")}


def summary(docstring: Optional[str]) -> str:
    """RETURNS (str): the first paragraph of a docstring, one line."""
    return " ".join(inspect.cleandoc(docstring or "").split("\n\n")[0].split())


def documented(function: Callable[..., Any]) -> Tuple[str, Dict[str, str]]:
    """RETURNS (Tuple[str, Dict[str, str]]): what a function is, and what its arguments are. A docstring that points to
    classes ("see `Retriever` for the arguments") leaves that to them and to their bases.
    """
    doc = function.__doc__ or ""
    known: Dict[str, str] = {}
    about = summary(doc)
    for name in reversed(re.findall(r"`(\w+)`", doc)):
        made = getattr(function, "__globals__", {}).get(name)
        if inspect.isclass(made):
            for owner in reversed(made.__mro__):
                known.update(arguments(owner.__doc__))
            about = summary(made.__doc__) if doc.startswith("Registered maker") else about
    return about, {**known, **arguments(doc)}


def cell(value: str) -> str:
    return value.replace("|", "\\|")


def table(rows: Sequence[Tuple[str, str, str]]) -> str:
    """RETURNS (str): a Markdown table of settings, defaults and what they do."""
    lines = ["| setting | default | what it does |", "|---|---|---|"]
    lines += [f"| `{name}` | {default} | {cell(text)} |" for name, default, text in rows]
    return "\n".join(lines) + "\n"


def default_of(value: Any) -> str:
    if isinstance(value, dict):
        name = next((str(known) for key, known in value.items() if str(key).startswith("@")), None)
        return f"`{name}`" if name else f"`{srsly.json_dumps(value)}`"
    return f"`{srsly.json_dumps(value)}`"


def factory_rows(name: str) -> List[Tuple[str, str, str]]:
    """RETURNS (List[Tuple[str, str, str]]): the settings of a factory, nested blocks with their own name."""
    _, known = documented(next(point for point in POINTS if point.name == name).load())
    config: Dict[str, Any] = dict(Language.get_factory_meta(name).default_config or {})
    return list(_rows("", config, known))


def _rows(prefix: str, config: Dict[str, Any], known: Dict[str, str]) -> Iterator[Tuple[str, str, str]]:
    """Plain settings first, then blocks; of the block `model`, its settings, too."""
    blocks = {key: value for key, value in config.items() if isinstance(value, dict) and _registered(value)}
    for key, value in config.items():
        if key not in blocks and not key.startswith("@"):
            yield f"{prefix}{key}", default_of(_plain(value)), known[key]
    for key, value in blocks.items():
        yield f"{prefix}{key}", default_of(value), known[key]
        place, name = _registered(value) or ("", "")
        function = registry.get(place, name)
        inside = {k: v for k, v in value.items() if isinstance(v, dict) and _registered(v)}
        if key == "model":
            parameters = inspect.signature(function).parameters.values()
            inside = {**{p.name: p.default for p in parameters if p.default is not p.empty}, **value}
        if inside:
            yield from _rows(f"{prefix}{key}.", inside, documented(function)[1])


def _registered(value: Dict[str, Any]) -> Optional[Tuple[str, str]]:
    return next(((key[1:], str(name)) for key, name in value.items() if key.startswith("@")), None)


def function_rows(function: Callable[..., Any]) -> List[Tuple[str, str, str]]:
    """RETURNS (List[Tuple[str, str, str]]): the settings of a registered function."""
    _, known = documented(function)
    rows = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        default = "" if parameter.default is parameter.empty else default_of(_plain(parameter.default))
        rows.append((name, default, known[name]))
    return rows


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


def functions() -> Iterator[Tuple[str, str, Callable[..., Any]]]:
    """YIELDS (Tuple[str, str, Callable]): registry, name and function of all that the suite registers."""
    for place in REGISTRIES:
        for name in sorted(getattr(registry, place).get_all()):
            if name.startswith(OWN):
                yield place, name, registry.get(place, name)


def settings_page() -> str:
    """RETURNS (str): a table for each registered function."""
    lines = [
        "# Registered functions",
        "",
        "Written by `python scripts/render_reference.py` from the code. What a config names by `@registry`, with its "
        "settings. The settings of the components are in their own pages.",
    ]
    last = ""
    for place, name, function in functions():
        if place != last:
            lines += ["", f"## `@{place}`"]
            last = place
        lines += ["", f"### `{name}`", "", documented(function)[0]]
        rows = function_rows(function)
        if rows:
            lines += ["", table(rows).rstrip()]
    return "\n".join(lines) + "\n"


def messages_page() -> str:
    """RETURNS (str): all numbered messages with what mends them."""
    lines = [
        "# Errors and warnings",
        "",
        "Written by `python scripts/render_reference.py` from the code. Every message has a number, says what "
        "happened, and how to mend it. Words in braces stand for the values.",
    ]
    for title, owner in (("Errors", Errors), ("Warnings", Warnings)):
        lines += ["", f"## {title}", ""]
        codes = [code for code in dir(owner) if re.fullmatch(r"[RW]\d{3}", code)]
        for code in sorted(codes):
            message = str(getattr(owner, code)).replace(f"[{code}] ", "")
            escaped = message.replace("<", "&lt;").replace("*", "\\*").replace("_", "\\_").replace("[", "\\[")
            lines.append(f'- <a id="{code.lower()}"></a>**{code}** ' + " ".join(escaped.split()))
    return "\n".join(lines) + "\n"


def render(text: str) -> str:
    """RETURNS (str): a page with its tables of settings filled."""

    def fill(match: "re.Match[str]") -> str:
        name = match["name"]
        rows = factory_rows(name) if name in FACTORIES else function_rows(_find(name))
        return f"{match[1]}\n{table(rows)}\n{match[3]}"

    return BLOCK.sub(fill, text)


def _find(name: str) -> Callable[..., Any]:
    return next(function for _, known, function in functions() if known == name)


def pages() -> Dict[Path, str]:
    """RETURNS (Dict[Path, str]): what each page that has something from the code should be."""
    made = {path: render(path.read_text(encoding="utf8")) for path in sorted(DOCS.rglob("*.md"))}
    made = {path: text for path, text in made.items() if BLOCK.search(text)}
    made[DOCS / "reference" / "functions.md"] = settings_page()
    made[DOCS / "reference" / "messages.md"] = messages_page()
    return made


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a page is stale")
    args = parser.parse_args(argv)
    stale = []
    for path, text in pages().items():
        if path.exists() and path.read_text(encoding="utf8") == text:
            continue
        stale.append(path)
        if not args.check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf8")
    if args.check and stale:
        names = ", ".join(str(path.relative_to(ROOT)) for path in stale)
        print(f"Not as the code: {names}. Run python scripts/render_reference.py.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
