"""A small finder of entities that has learned two types on a handful of texts."""

import json
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest

TEXTS: Tuple[Tuple[str, Tuple[Tuple[str, str], ...]], ...] = (
    ("Ann Lee met Bob", (("Ann Lee", "PERSON"), ("Bob", "PERSON"))),
    ("Acme Corp hired Ann Lee", (("Acme Corp", "FIRM"), ("Ann Lee", "PERSON"))),
    ("Bob left Initech", (("Bob", "PERSON"), ("Initech", "FIRM"))),
    ("rain fell on Initech", (("Initech", "FIRM"),)),
)
WORDS = {"PERSON": ("person",), "FIRM": ("company",)}


@pytest.fixture(scope="session")
def entity_files(make_bert: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Tuple[Path, Path]:
    """Folders of a small encoder, and of weights of a finder on it that has learned the texts above."""
    import torch

    from benchmarks.open_entities.data import Text, TypedTexts
    from benchmarks.open_entities.train import Sampler, step_loss
    from spacy_ragre.components.open_entities.finder import EntityFinder
    from spacy_ragre.components.relations.open_labels import save_weights
    from spacy_ragre.files import file_hash

    words = sorted({word for text, _ in TEXTS for word in text.lower().split()} | {"person", "company"})
    encoder = make_bert(64, words=words, width=32)
    folder = tmp_path_factory.mktemp("entities")
    texts = []
    for text, ents in TEXTS:
        texts.append(Text(text, tuple((text.index(ent), text.index(ent) + len(ent), type_) for ent, type_ in ents)))
    schema = TypedTexts("test", "openrel", WORDS, texts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vocab = len((encoder / "vocab.txt").read_text(encoding="utf8").splitlines())
        sizes = dict(vocab=vocab, width=32, heads=2, inner=64, layers=2, dropout=0.0, view=16)
        finder = EntityFinder.build(sizes, {}, encoder)
        sampler = Sampler(finder, [schema], 0, 40, {"openrel": 1.0})
        optimizer = torch.optim.AdamW([value for value in finder.model.parameters() if value.requires_grad], lr=5e-3)
        for _ in range(150):
            step_loss(finder.model.train(), sampler.groups()).backward()
            optimizer.step()
            optimizer.zero_grad()
        save_weights(finder.model.eval(), folder / "open_entities.safetensors")
    about = {"caution": 0.0, "sha256": file_hash(folder / "open_entities.safetensors")}
    (folder / "open_entities.json").write_text(json.dumps(about), encoding="utf8")
    return encoder, folder


@pytest.fixture
def entity_settings(entity_files: Tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Dict[str, object]:
    """Settings of a component with the small finder."""
    encoder, folder = entity_files
    monkeypatch.setattr("spacy_ragre.components.relations.open_shim.locate", lambda name: encoder)
    return {"weights": str(folder), "types": {type_: words[0] for type_, words in WORDS.items()}}


@pytest.fixture(scope="session")
def known_texts() -> List[str]:
    return [text for text, _ in TEXTS]
