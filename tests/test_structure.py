"""How the suite is put together: who imports whom, what is registered, and what a fresh process finds."""

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from importlib import import_module, metadata
from pathlib import Path
from pkgutil import walk_packages
from typing import Any, Dict, Iterator, List, Set, Tuple, get_type_hints

import pytest
import spacy
from spacy.util import registry

import spacy_ragre
from spacy_ragre.registry import NAMES

PACKAGE = Path(spacy_ragre.__file__).parent
GOLDEN = Path(__file__).parent / "golden" / "registered.txt"

# The rooms from the ground up: a room may import rooms of lower floors, and itself.
FLOORS: Tuple[Set[str], ...] = (
    {"errors", "registry", "bundled", "files", "plain", "coreference", "relations", "extensions"}
    | {"entity_types", "instances", "labels", "pair_weights", "pipelines"},
    {"training", "calibration", "corpora", "candidates", "prompts"},
    {"llm", "scoring", "graph"},
    {"retrieval", "visual"},
    {"components"},
    {"serve", "assist", "annotate"},
    {"cli"},
)
# What the modules of the ground floor may import of one another.
GROUND: Dict[str, Set[str]] = {
    "errors": set(),
    "registry": set(),
    "bundled": set(),
    "files": {"errors"},
    "plain": {"errors"},
    "coreference": {"errors"},
    "relations": {"coreference", "errors", "plain"},
    "extensions": {"errors", "relations"},
    "instances": set(),
    "pair_weights": {"errors", "plain", "relations"},
    "pipelines": set(),
    "entity_types": set(),
    "labels": {"entity_types", "errors", "instances"},
}
# Slow to import, and needed only once weights are loaded or a store is searched.
HEAVY = (
    "transformers",
    "faiss",
    "peft",
    "bitsandbytes",
    "sentence_transformers",
    "gguf",
    "openvino",
    "nncf",
    "starlette",
    "uvicorn",
    "ray",
    "pyarrow",
    "qdrant_client",
)


def modules() -> List[str]:
    """Names of all modules, relative to the package."""
    return [info.name[len("spacy_ragre.") :] for info in walk_packages([str(PACKAGE)], "spacy_ragre.")]


def imported(module: str) -> Iterator[str]:
    """The suite's modules that a module imports, at any level of its code, relative to the package."""
    path = PACKAGE / Path(*module.split("."))
    is_package = path.is_dir()
    file = path / "__init__.py" if is_package else path.with_suffix(".py")
    parts = ["spacy_ragre", *module.split(".")]
    if not is_package:
        parts = parts[:-1]
    for node in ast.walk(ast.parse(file.read_text(encoding="utf8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = parts[: len(parts) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            # "from .. import errors" names a module, "from ..errors import Errors" what is in one.
            names = [f"{source}.{alias.name}" if source == "spacy_ragre" else source for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("spacy_ragre."):
                yield name[len("spacy_ragre.") :]


def entry_points() -> List[Any]:
    return list(metadata.distribution("spacy-ragre").entry_points)


def run_python(code: str, *args: str, **env: str) -> str:
    """Run code in a fresh process, away from this folder; a failure shows what it wrote."""
    environment = {**os.environ, **env}
    done = subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, env=environment, cwd=Path(sys.prefix)
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


# Imports


def test_imports_go_down_only() -> None:
    floor = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
    wrong = []
    for module in modules():
        room = module.split(".")[0]
        for target in imported(module):
            other = target.split(".")[0]
            fine = other == room or floor[other] < floor[room] or other in GROUND.get(room, set())
            if not fine:
                wrong.append(f"{module} imports {target}")
    assert not wrong


def test_the_check_sees_imports() -> None:
    # Were `imported` to find nothing, the test above would pass for nothing.
    assert {"errors", "bundled"} <= set(imported("llm.resolve"))
    assert "llm.resolve" in set(imported("llm.base"))
    assert "llm.base" in set(imported("llm"))
    assert "llm.label_model" in set(imported("components.relations.predictor"))


def test_importing_the_suite_loads_no_heavy_library() -> None:
    names = sorted({"spacy_ragre", *(point.module for point in entry_points())})
    code = (
        "import sys, importlib\n"
        "for name in sys.argv[2].split(','):\n"
        "    importlib.import_module(name)\n"
        "print([m for m in sys.argv[1].split(',') if m in sys.modules])"
    )
    assert run_python(code, ",".join(HEAVY), ",".join(names)).strip() == "[]"


def test_importing_the_package_imports_the_annotations_alone() -> None:
    # Spacy itself imports torch where it can: here it can't, so that the package would fail if it needed it.
    code = (
        "import sys\n"
        "sys.modules.update(torch=None, transformers=None)\n"
        "import spacy_ragre\n"
        "names = [name for name in sys.modules if name.startswith('spacy_ragre')]\n"
        "print(sorted(name for name in names if not name.startswith('spacy_ragre.errors.')))"
    )
    own = ["", ".coreference", ".errors", ".extensions", ".plain", ".relations"]
    assert run_python(code).strip() == str([f"spacy_ragre{name}" for name in own])


def test_public_names_are_imported_when_they_are_asked_for() -> None:
    for name in spacy_ragre.__all__:
        assert getattr(spacy_ragre, name) is not None and name in dir(spacy_ragre)
    factories = {point.name: point.load() for point in entry_points() if point.group == "spacy_factories"}
    assert {get_type_hints(maker)["return"].__name__ for maker in factories.values()} <= set(spacy_ragre.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        spacy_ragre.Nothing  # noqa: B018


def test_files_are_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf8").splitlines()) for path in PACKAGE.rglob("*.py")}
    long = {path.relative_to(PACKAGE).as_posix() for path, length in lengths.items() if length > 500}
    assert lengths and long == set()


# Names


def test_registered_names_are_those_of_the_golden_list() -> None:
    # A name that changes breaks saved pipelines. Where one was added on purpose, add its line and install again.
    text = (PACKAGE.parent / "pyproject.toml").read_text(encoding="utf8")
    blocks = re.findall(r"^\[project\.entry-points\.(\w+)\]\n((?:[^\[\n].*\n)+)", text, re.MULTILINE)
    declared = {f"{group} {name}" for group, lines in blocks for name in re.findall(r'^"?([\w.]+)"? = ', lines, re.M)}
    assert sorted(declared) == GOLDEN.read_text(encoding="utf8").splitlines()
    # An older installation may lack the newest.
    assert {f"{point.group} {point.name}" for point in entry_points()} <= declared


def test_registered_functions_carry_a_version() -> None:
    names = [point.name for point in entry_points() if point.group not in ("spacy_factories", "spacy_cli")]
    assert names and all(re.fullmatch(r"ragre\.\w+\.v\d+", name) for name in names)


@pytest.mark.parametrize("point", entry_points(), ids=lambda point: point.name)
def test_entry_points_lead_to_what_is_registered_under_their_name(point: Any) -> None:
    loaded = point.load()
    if point.group == "spacy_factories":
        assert spacy.blank("en").get_factory_meta(point.name).factory == point.name
    elif point.group == "spacy_cli":
        assert point.name == "ragre"
    else:
        name = point.group[len("spacy_") :]
        assert name in (*NAMES, "architectures", "loggers", "misc", "readers", "scorers")
        assert getattr(registry, name).get(point.name) is loaded


# Errors


def error_codes() -> List[Tuple[str, str]]:
    """Names and messages of the classes of errors/, in the order of its files."""
    found = []
    for path in sorted((PACKAGE / "errors").glob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf8")).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith(("Errors", "Warnings")):
                owner = "Errors" if node.name.endswith("Errors") else "Warnings"
                for item in node.body:
                    if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
                        found.append((f"{owner}.{item.targets[0].id}", ast.literal_eval(item.value)))
    return found


def test_error_codes_are_numbered_and_unique() -> None:
    names = [name for name, _ in error_codes()]
    assert len(names) > 50
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert all(re.fullmatch(r"Errors\.R\d{3}|Warnings\.W\d{3}", name) for name in names)


def test_messages_begin_with_their_code() -> None:
    for name, message in error_codes():
        owner, code = name.split(".")
        value = getattr(getattr(import_module("spacy_ragre.errors"), owner), code)
        assert value == f"[{code}] {message}"


def test_every_error_is_raised_somewhere_and_every_raised_one_exists() -> None:
    used: Set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                if node.value.id in ("Errors", "Warnings"):
                    used.add(f"{node.value.id}.{node.attr}")
    assert used == {name for name, _ in error_codes()}


# Fresh processes


@pytest.fixture(scope="module")
def saved_pipeline(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> Path:
    """A pipeline with entities and the relation extractor on a tiny model, on disk."""
    nlp = spacy.blank("en")
    ruler = nlp.add_pipe("entity_ruler")
    ruler.add_patterns([{"label": "ORG", "pattern": "Microsoft"}, {"label": "PERSON", "pattern": "Bill Gates"}])  # type: ignore[attr-defined]
    config = {
        "labels": {"founded_by": "was founded by"},
        "model": {
            "@architectures": "ragre.LabelModel.v1",
            "backbone": {"@ragre_backbones": "ragre.CausalLM.v1", "name": str(tiny_llama), "device": "cpu"},
        },
        "retriever": {
            "@ragre_retrievers": "ragre.Retriever.v1",
            "encoder": {"@ragre_encoders": "ragre.BackboneEncoder.v1"},
        },
    }
    nlp.add_pipe("rag_relation_extractor", config=config)
    path = tmp_path_factory.mktemp("saved") / "pipeline"
    nlp.to_disk(path)
    return path


LOAD_AND_RUN = """
import sys
import spacy
assert not any(name.startswith("spacy_ragre") for name in sys.modules)
nlp = spacy.load(sys.argv[1])
docs = list(nlp.pipe(["Microsoft was founded by Bill Gates.", ""]))
print([len(doc.ents) for doc in docs], docs[1]._.relations)
print(nlp.get_pipe("rag_relation_extractor").labels)
for relation in docs[0]._.relations:
    assert relation.label == "founded_by" and 0 <= relation.score <= 1
"""


def test_a_saved_pipeline_loads_without_importing_the_suite(saved_pipeline: Path) -> None:
    assert run_python(LOAD_AND_RUN, str(saved_pipeline)).splitlines() == ["[2, 0] []", "('founded_by',)"]


WITHOUT_SPACY_TRANSFORMERS = """
import sys
import catalogue

sys.modules["spacy_transformers"] = None

class Others:
    # The entry points of what is installed, spacy-transformers left out.
    whole = catalogue.AVAILABLE_ENTRY_POINTS
    def select(self, group):
        return [point for point in self.whole.select(group=group) if not point.module.startswith("spacy_transformers")]

catalogue.AVAILABLE_ENTRY_POINTS = Others()
"""


def test_everything_works_without_spacy_transformers(saved_pipeline: Path) -> None:
    code = f"""{WITHOUT_SPACY_TRANSFORMERS}
{LOAD_AND_RUN}
from importlib import import_module
for name in sys.argv[2].split(","):
    import_module(name)
from spacy.util import registry
assert "transformer" not in registry.factories.get_all()
"""
    names = ",".join(f"spacy_ragre.{name}" for name in modules())
    assert run_python(code, str(saved_pipeline), names).splitlines() == ["[2, 0] []", "('founded_by',)"]
