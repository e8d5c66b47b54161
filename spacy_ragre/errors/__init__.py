"""Every message of the suite, numbered: one file for what a message is about, and two classes that hold them all.

A message says what happened and how to mend it. Each file says which numbers are its own.
"""

from .annotations import AnnotationErrors, AnnotationWarnings
from .command_line import CommandLineErrors
from .components import ComponentErrors, ComponentWarnings
from .corpora import CorpusErrors, CorpusWarnings
from .corpus_annotation import CorpusAnnotationErrors
from .entities import EntityErrors, EntityWarnings
from .exporting import ExportingErrors
from .formats import FormatErrors
from .graphs import GraphErrors, GraphWarnings
from .models import ModelErrors, ModelWarnings
from .open_labels import OpenLabelErrors, OpenLabelWarnings
from .pictures import PictureErrors
from .pipelines import PipelineErrors
from .prompts import PromptErrors
from .remote import RemoteErrors, RemoteWarnings
from .retrieval import RetrievalErrors, RetrievalWarnings
from .service import ServiceErrors, ServiceWarnings
from .starting import StartingErrors, StartingWarnings
from .training import TrainingErrors, TrainingWarnings


class Errors(
    AnnotationErrors,
    CommandLineErrors,
    ComponentErrors,
    CorpusAnnotationErrors,
    CorpusErrors,
    EntityErrors,
    ExportingErrors,
    FormatErrors,
    GraphErrors,
    ModelErrors,
    OpenLabelErrors,
    PictureErrors,
    PipelineErrors,
    PromptErrors,
    RemoteErrors,
    RetrievalErrors,
    ServiceErrors,
    StartingErrors,
    TrainingErrors,
):
    """All errors that a user can mend: `Errors.R001` is the message with its number."""


class Warnings(
    AnnotationWarnings,
    ComponentWarnings,
    CorpusWarnings,
    EntityWarnings,
    GraphWarnings,
    ModelWarnings,
    OpenLabelWarnings,
    RemoteWarnings,
    RetrievalWarnings,
    ServiceWarnings,
    StartingWarnings,
    TrainingWarnings,
):
    """All warnings: `Warnings.W101` is the message with its number."""
