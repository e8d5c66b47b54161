"""What a server's form of OpenAI's chat completions takes. What it refuses is left out from then on."""

import re
from dataclasses import dataclass, replace
from typing import Any, Dict, List, Optional, Tuple

from .questions import Question

CONSTRAINTS = ("auto", "json_schema", "grammar", "logprobs", "none")
# Alternatives of a token that are asked for: what vLLM and OpenAI give at most, and what the oldest servers do.
_ALTERNATIVES = (20, 5, 0)
# Tokens that a model may use up before it answers, once an answer was cut off: some reason first.
MORE_ROOM = 4096

_LOGPROBS = re.compile(r"logprobs", re.IGNORECASE)
_SCHEMA = re.compile(r"response_format|json_schema|structured|guided|schema", re.IGNORECASE)
_LENGTH = re.compile(r"max_completion_tokens", re.IGNORECASE)
_TEMPERATURE = re.compile(r"temperature", re.IGNORECASE)
_SEED = re.compile(r"\bseed\b", re.IGNORECASE)
_SYSTEM = re.compile(r"system role|system message|role.{0,20}system|roles must alternate", re.IGNORECASE)


@dataclass(frozen=True)
class Dialect:
    """What is put into a request.

    constrain (str): how an answer is held to its form: "json_schema", "grammar", "logprobs" or "none".
    free (bool): whether that may be left out where the server refuses it.
    alternatives (int): likeliest tokens that are asked for with each token; 0 for no probabilities.
    temperature (bool): whether it takes a temperature; models that reason take their own.
    seed (bool): whether it takes a seed, for answers that are sampled.
    length (str): the name of the setting for the longest answer.
    system (bool): whether there are messages of the system.
    room (int): tokens that an answer may have before it begins.
    """

    constrain: str
    free: bool
    alternatives: int = _ALTERNATIVES[0]
    temperature: bool = True
    seed: bool = True
    length: str = "max_tokens"
    system: bool = True
    room: int = 0

    @classmethod
    def of(cls, constrain: str) -> "Dialect":
        """RETURNS (Dialect): the one to begin with, for the setting `constrain`."""
        return cls("json_schema" if constrain == "auto" else constrain, constrain == "auto")

    def messages(self, question: Question, repair: Tuple[str, str] = ("", "")) -> List[Dict[str, str]]:
        """question (Question): the question.
        repair (Tuple[str, str]): an answer that could not be read, and what was wrong with it.
        RETURNS (List[Dict[str, str]]): the messages.
        """
        asked = [{"role": "system", "content": question.system}, {"role": "user", "content": question.user}]
        if not self.system:
            asked = [{"role": "user", "content": f"{question.system}\n\n{question.user}"}]
        if repair[1]:
            again = f"This answer can't be used: {repair[1]}. Answer again, in the form that was asked for."
            asked += [{"role": "assistant", "content": repair[0] or " "}, {"role": "user", "content": again}]
        return asked

    def body(self, model: str, question: Question, repair: Tuple[str, str] = ("", "")) -> Dict[str, Any]:
        """RETURNS (Dict[str, Any]): a request as JSON."""
        body: Dict[str, Any] = {
            "model": model,
            "messages": self.messages(question, repair),
            self.length: question.answer_tokens + self.room,
            "stream": False,
        }
        if self.temperature:
            body["temperature"] = question.draw.temperature if question.draw else 0
        if question.draw and self.seed:
            body["seed"] = question.draw.seed
        if self.alternatives and not (question.form.fields or question.draw):
            body.update(logprobs=True, top_logprobs=self.alternatives)
        if self.constrain == "json_schema":
            form = {"name": "answers", "strict": True, "schema": question.schema()}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        elif self.constrain == "grammar":
            body["grammar"] = question.grammar()
        return body

    def without(self, problem: str) -> "Tuple[Optional[Dialect], str]":
        """What is left of it where a server refuses a request.

        problem (str): what the server says.
        RETURNS (Tuple[Optional[Dialect], str]): the dialect without what the server names, and what that is, where the
            answers are worse without it; None where it names nothing that can be left out.
        """
        if self.length == "max_tokens" and _LENGTH.search(problem):
            return replace(self, length="max_completion_tokens"), ""
        if self.alternatives and self.constrain != "logprobs" and _LOGPROBS.search(problem):
            fewer = _ALTERNATIVES[_ALTERNATIVES.index(self.alternatives) + 1]
            return replace(self, alternatives=fewer), ""
        if self.free and self.constrain == "json_schema" and _SCHEMA.search(problem):
            return replace(self, constrain="none"), "a JSON schema"
        if self.temperature and _TEMPERATURE.search(problem):
            return replace(self, temperature=False), "a temperature"
        if self.seed and _SEED.search(problem):
            return replace(self, seed=False), ""
        if self.system and _SYSTEM.search(problem):
            return replace(self, system=False), ""
        return None, ""
