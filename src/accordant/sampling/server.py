"""A sampler behind an OpenAI-compatible server: vLLM, llama.cpp, or `accordant serve`.

Knows `/v1/completions` and a tokenizer's ids. Knows nothing of models' weights. A server has random
numbers of its own: the same seed repeats its samples only as far as the server promises.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.sampling.samples import Prompt, Sample, SamplingOptions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP states that may pass: too many requests, a server that starts or restarts."""


@dataclass(frozen=True)
class ServerSampler:
    """A model served over HTTP.

    Prompts are sent as token ids. Ids of the answer are taken as the server gives them (vLLM's
    `return_token_ids`), or else the tokenizer makes them of the text.

    Args:
        url: of the server, with or without `/v1`, such as `http://localhost:8000`.
        model: its name there.
        tokenizer: of the served model; needed for servers that answer with text alone, and to send
            prompts as text.
        send_text: send prompts as text, to servers that take no token ids.
        api_key: sent as a bearer token; empty for none.
        timeout: seconds to wait for an answer.
        retries: times a request is sent again where the server is busy or away.
        pause: seconds before the first of them, twice as many before each next one.
        connections: requests under way together.
    """

    url: str
    model: str
    tokenizer: PreTrainedTokenizerBase | None = None
    send_text: bool = False
    api_key: str = ""
    timeout: float = 600.0
    retries: int = 4
    pause: float = 1.0
    connections: int = 16

    def sample(self, prompts: Sequence[Prompt], options: SamplingOptions) -> list[list[Sample]]:
        """Continue every prompt; a prompt that occurs again is sent with another seed.

        Raises:
            UserError: the server cannot be reached, refuses the request, or answers in a way that
                cannot be read.
        """
        places: Counter[tuple[int, ...]] = Counter()
        bodies = []
        for prompt in map(tuple, prompts):
            bodies.append(self._body(prompt, options, places[prompt]))
            places[prompt] += 1
        with ThreadPoolExecutor(self.connections) as pool:
            answers = list(pool.map(self._post, bodies))
        return [self._samples(answer, options) for answer in answers]

    def _body(
        self, prompt: tuple[int, ...], options: SamplingOptions, place: int
    ) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.model,
            "prompt": self._text(prompt) if self.send_text else list(prompt),
            "n": options.samples_per_prompt,
            "max_tokens": options.max_new_tokens,
            "temperature": options.temperature,
            "top_p": options.top_p,
            "seed": options.seed + place,
            "logprobs": 0,
        }
        # Beyond the protocol: sent only where they are asked for, as a strict server refuses them.
        if options.top_k:
            body["top_k"] = options.top_k
        if options.min_p:
            body["min_p"] = options.min_p
        if options.repetition_penalty != 1:
            body["repetition_penalty"] = options.repetition_penalty
        if options.stop_ids and self.tokenizer is not None:
            # Servers stop at texts; vLLM at ids too, also where a special token has no text.
            body["stop"] = [self._text((i,)) for i in options.stop_ids][:4]
        if not self.send_text:
            body |= {"stop_token_ids": list(options.stop_ids), "return_token_ids": True}
        return body

    def _text(self, ids: Sequence[int]) -> str:
        if self.tokenizer is None:
            raise UserError(
                "prompts are to be sent as text, but there is no tokenizer.",
                where=self.url,
                mend="Give the tokenizer of the served model.",
            )
        return str(self.tokenizer.decode(list(ids)))

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request until it is answered or out of tries."""
        for attempt in range(self.retries + 1):
            try:
                return self._post_once(body)
            except urllib.error.HTTPError as error:
                if error.code not in RETRIED or attempt == self.retries:
                    raise self._refused(error) from error
            except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
                if attempt == self.retries:
                    raise UserError(
                        f"no answer after {attempt + 1} tries: {getattr(error, 'reason', error)}.",
                        where=self.url,
                        mend="Start the server, or give it more time (timeout, retries).",
                    ) from error
            time.sleep(self.pause * 2**attempt)
        raise AssertionError("unreachable")

    def _post_once(self, body: dict[str, Any]) -> dict[str, Any]:
        root = self.url.rstrip("/").removesuffix("/v1")
        headers = {"Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        request = urllib.request.Request(
            f"{root}/v1/completions", json.dumps(body).encode(), headers
        )
        with urllib.request.urlopen(request, timeout=self.timeout) as answer:
            content = answer.read()
        try:
            read = json.loads(content)
            return {"choices": sorted(read["choices"], key=lambda c: c.get("index", 0))}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"the answer is no completion: {content[:200]!r}.",
                where=self.url,
                mend="Give the address of an OpenAI-compatible server.",
            ) from error

    def _refused(self, error: urllib.error.HTTPError) -> UserError:
        text = error.read().decode(errors="replace")[:500]
        mends = {
            401: "Give the server's api_key.",
            404: f"Does the server hold a model called {self.model!r}? Its /v1/models lists them.",
        }
        return UserError(
            f"the server answers {error.code}: {text}",
            where=self.url,
            mend=mends.get(error.code, "Change what it names."),
        )

    def _samples(self, answer: dict[str, Any], options: SamplingOptions) -> list[Sample]:
        choices = answer["choices"]
        if len(choices) != options.samples_per_prompt:
            raise UserError(
                f"{len(choices)} samples of a prompt, expected {options.samples_per_prompt}.",
                where=self.url,
                mend="Take a server that knows `n`, or ask for one sample a prompt.",
            )
        return [self._sample(choice, options) for choice in choices]

    def _sample(self, choice: dict[str, Any], options: SamplingOptions) -> Sample:
        ids = choice.get("token_ids")
        if ids is None:
            if self.tokenizer is None:
                raise UserError(
                    "the server answers with text alone, and there is no tokenizer.",
                    where=self.url,
                    mend="Give the tokenizer of the served model.",
                )
            ids = self.tokenizer(choice["text"], add_special_tokens=False)["input_ids"]
        logps = (choice.get("logprobs") or {}).get("token_logprobs") or []
        # Text that is read again may fall into other tokens: then no number belongs to any.
        known = tuple(map(float, logps)) if len(logps) == len(ids) else ()
        finished = choice.get("finish_reason") == "stop"
        stop_id = ids[-1] if finished and ids and ids[-1] in options.stop_ids else None
        return Sample(tuple(ids), known, known if _unbent(options) else (), finished, stop_id)


def _unbent(options: SamplingOptions) -> bool:
    """Say whether tokens are drawn from the model's own distribution."""
    return (
        options.temperature == 1
        and options.top_k == 0
        and options.top_p == 1
        and options.min_p == 0
        and options.repetition_penalty == 1
    )
