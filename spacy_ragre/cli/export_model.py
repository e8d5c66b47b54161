"""`ragre export-model`: the language model of a trained pipeline, for servers."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict

from wasabi import msg

from ..errors import Errors
from ._util import Arg, Opt, load_pipeline, ragre_cli, user_errors

if TYPE_CHECKING:
    from ..llm.exporting import Agreement

# Says which files are of an export, and how far it agrees.
MANIFEST = "ragre_export.json"


@ragre_cli.command("export-model")
def export_model_cli(
    pipeline: str = Arg(..., metavar="PIPELINE", help="Folder or package of a trained pipeline"),
    output_path: Path = Arg(..., metavar="OUT", help="Folder to write"),
    merge: bool = Opt(True, "--merge/--adapter", help="A model with the adapter in its weights, or the adapter alone"),
    gguf: bool = Opt(False, "--gguf", help="Write model.gguf, too, with the converter of llama.cpp (--merge)"),
) -> None:
    """
    Write the language model of a pipeline as a Hugging Face folder, which vLLM and other servers load.

    With --merge, the folder holds a whole model; with --adapter, a LoRA adapter in the form of peft, whose config names
    its base model. What was written is loaded again and compared with the pipeline on a few prompts.
    """
    with user_errors(export_model_cli):
        export_model(pipeline, output_path, merge=merge, gguf=gguf)


def export_model(pipeline: str, output_path: Path, *, merge: bool = True, gguf: bool = False) -> "Agreement":
    """Write the language model of a pipeline.

    pipeline (str): its folder or package. One whose answers no language model writes raises a ValueError.
    output_path (Path): the folder, in place of an earlier export. It is as it was where anything fails.
    merge (bool): a whole model, or else the adapter alone.
    gguf (bool): make a GGUF file of it, too.
    RETURNS (Agreement): how far its answers are those of the pipeline.
    """
    from ..components.exporting import find_language_model
    from ..files import replace_folder
    from ..llm.exporting import find_converter, write_adapter, write_gguf, write_merged

    owned = _exported(output_path)
    if gguf and not merge:
        raise ValueError(Errors.R323.format(option="--gguf", needed="--merge", why="it is made of a whole model"))
    converter = find_converter() if gguf else None
    served = find_language_model(load_pipeline(pipeline), pipeline)
    backbone = served.backbone
    about: Dict[str, Any] = {"component": served.component, "base": backbone.name, "hash": backbone.fingerprint}
    if merge and backbone.quantization is not None:
        values = {"component": served.component, "base": backbone.name, "quantization": backbone.quantization}
        raise ValueError(Errors.R743.format(**values))
    if not merge and not backbone.has_adapter:
        raise ValueError(Errors.R744.format(component=served.component, base=backbone.name))
    trained = backbone.has_adapter
    dtype = str(backbone.dtype).removeprefix("torch.")
    with replace_folder(output_path, owned) as folder:
        folder.mkdir(exist_ok=True)
        agreement = (write_merged if merge else write_adapter)(backbone, folder, served.probes)
        if not agreement.difference <= agreement.limit:
            raise ValueError(Errors.R745.format(component=served.component, dtype=dtype, **agreement._asdict()))
        if converter is not None:
            write_gguf(converter, folder)
        about.update(form="merged" if merge else "adapter", dtype=dtype, agreement=agreement._asdict())
        about["files"] = sorted(file.name for file in folder.iterdir())
        (folder / MANIFEST).write_text(json.dumps(about, indent=2) + "\n", encoding="utf8")
    what = ("model" if trained else "base model, which was not trained,") if merge else "adapter"
    msg.good(f"Wrote the {what} of {served.component} to {output_path} ({dtype})")
    msg.info(
        f"{agreement.prompts} prompts: log-likelihoods differ from the pipeline's by up to {agreement.difference:.2g} "
        f"(at most {agreement.limit:g}); the likeliest answer is the same in {agreement.same:.0%}"
    )
    if served.by_head:
        msg.warn(f"Its label head answers {', '.join(served.by_head)}, and stays with the pipeline")
    return agreement


def _exported(folder: Path) -> "list[str]":
    """RETURNS (List[str]): the files of an earlier export in a folder. What else is there raises a ValueError."""
    if not folder.exists():
        return []
    names = {item.name for item in folder.iterdir()} if folder.is_dir() else {"a file"}
    known = set()
    if MANIFEST in names:
        try:
            known = {MANIFEST, *json.loads((folder / MANIFEST).read_text(encoding="utf8"))["files"]}
        except (ValueError, KeyError, TypeError):  # not one of ours: all of it stays
            known = set()
    if names - known:
        raise ValueError(Errors.R748.format(path=folder, item=sorted(names - known)[0]))
    return sorted(known)
