"""Checkpoints of training, and training on several processes: R770 to R784, W770 to W774."""

from .codes import WithCodes


class TrainingErrors(metaclass=WithCodes):
    R770 = (
        "{what} needs [training] seed, which is null: without it, batches come in another order each time. Set it to a "
        "whole number."
    )
    R771 = (
        "The checkpoint {folder} is of other settings: {sections} differ(s). Train with the settings that it was begun "
        "with, or delete {folder} to begin anew."
    )
    R772 = (
        "The checkpoint {folder} was made after {steps} steps on other documents than these, or in another order. "
        "Train on the files that it was begun with, or delete {folder} to begin anew."
    )
    R773 = "The checkpoint {folder} is damaged: {problem}. Delete it to begin anew."
    R774 = "The setting every of ragre.Checkpoint.v1 is {value}. Give the steps between two checkpoints, 1 or more."
    R775 = (
        "{name} reads the states of another component (ragre.TransformerEncoder.v1), whose batches can't be shared "
        "among {count} processes. Give it an encoder of its own (ragre.HuggingFaceEncoder.v1), or train with one."
    )
    R776 = (
        "Can't join the {count} processes of this training: {problem}. Start it by `accelerate launch` or `torchrun`, "
        "which set RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT."
    )


class TrainingWarnings(metaclass=WithCodes):
    W770 = (
        "{count} processes were started, and each trains {name} on its own: they share no work, and write over one "
        "another. `python -m spacy ragre train` shares it."
    )
    W771 = (
        "accelerate started a single process, which trains alone. Where you asked it for several on CPUs: it starts "
        "them on GPUs only, and `torchrun --nproc_per_node 2 -m spacy ragre train ...` does so on CPUs."
    )
    W772 = (
        "{name} is to split its language model among processes (shard = true), and trains in one, which holds all of "
        "it. Start several by `torchrun` or `accelerate launch`: `-m spacy ragre train ...`."
    )
