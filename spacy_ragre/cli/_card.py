"""What a trained pipeline says of itself: `card.json` in its folder, which the evaluation writes."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Mapping

from ..bundled import BUNDLED
from ..errors import Errors

CARD = "card.json"


@dataclass(frozen=True)
class Check:
    """A figure that anybody can measure again.

    name (str): what it is, in words.
    data (str): the annotated documents, a path in the folder of assets.
    sha256 (str): of that file.
    score (str): name of the score, such as "semeval_macro_f".
    value (float): the score, from 0 to 1.
    tolerance (float): how far another machine's figure may be from it.
    entities (str): "gold", or "own" for those that the pipeline finds.
    documents (int): the first so many documents; 0 for all.
    labels (Dict[str, str]): for data with labels of their own, the pipeline's label of each. Relations of other labels
        are left out; where empty, labels are taken as they are.
    """

    name: str
    data: str
    sha256: str
    score: str
    value: float = 0.0
    tolerance: float = 0.005
    entities: str = "gold"
    documents: int = 0
    labels: Dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """A pipeline's card.

    needs (List[str]): embedded models that it is loaded with, names in `spacy_ragre.bundled.BUNDLED`.
    checks (List[Check]): its figures. The first is the headline.
    about (Dict[str, Any]): what else the page says: data, licence, calibration, speed, limits.
    """

    needs: List[str]
    checks: List[Check]
    about: Dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Card":
        """folder (Path): the pipeline's folder.
        RETURNS (Card): its card. A ValueError is raised where there is none, or a damaged one.
        """
        file = folder / CARD
        if not file.is_file():
            raise ValueError(Errors.R654.format(folder=folder, file=CARD))
        return cls.parse(file.read_bytes(), str(file))

    @classmethod
    def parse(cls, data: bytes, where: str) -> "Card":
        """data (bytes): the content of a card's file.
        where (str): the file, for messages.
        RETURNS (Card): the card. A ValueError is raised where it is damaged.
        """
        try:
            content: Mapping[str, Any] = json.loads(data)
            needs = [str(name) for name in content["needs"]]
            checks = [Check(**check) for check in content["checks"]]
            about = dict(content["about"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(Errors.R211.format(file=where, problem=error)) from error
        unknown = [name for name in needs if name not in BUNDLED]
        if unknown:
            raise ValueError(Errors.R211.format(file=where, problem=f"there are no embedded models {unknown}"))
        return cls(needs, checks, about)

    def dump(self) -> bytes:
        """RETURNS (bytes): the content of the card's file."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode("utf8")
