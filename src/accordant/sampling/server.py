"""A sampler behind an OpenAI-compatible server: vLLM, llama.cpp, or `accordant serve`.

Knows `/v1/completions` and a tokenizer's ids. Knows nothing of models' weights. A server has random
numbers of its own: the same seed repeats its samples only as far as the server promises.
"""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from accordant.base.errors import UserError
from accordant.sampling.samples import Prompt, Sample, SamplingOptions

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# HTTP states that may pass: too many requests, a server that starts or restarts.
RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})

# Texts to stop at that the protocol allows.
MOST_STOPS = 4

# Options under which tokens are drawn from the model's own distribution.
_UNBENT: dict[str, Any] = {
    "temperature": 1,
    "top_k": 0,
    "top_p": 1,
    "min_p": 0,
    "repetition_penalty": 1,
    "logit_bias": (),
}


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
            answers = list(pool.map(self._choices, bodies))
        for choices in answers:
            if len(choices) != options.samples_per_prompt:
                raise UserError(
                    f"{len(choices)} samples of a prompt, expected {options.samples_per_prompt}.",
                    where=self.url,
                    mend="Take a server that knows `n`, or ask for one sample a prompt.",
                )
        return [[self._sample(choice, options) for choice in choices] for choices in answers]

    def version(self) -> str:
        """Name what answers: the server's software and model, as far as it tells.

        Samples that are kept are known by it: another version may draw others.

        Raises:
            UserError: the server cannot be reached, or holds no such model.
        """
        models = {entry["id"]: entry for entry in self._request("/v1/models")["data"]}
        if self.model not in models:
            raise UserError(
                f"the server holds no model {self.model!r}.",
                where=self.url,
                mend=f"It holds {', '.join(sorted(models))}.",
            )
        try:
            # vLLM's own; the protocol has no place for it.
            software = self._request("/version").get("version", "")
        except UserError:
            software = ""
        entry = models[self.model]
        parts = (self.model, *(entry.get(key) for key in ("root", "created")), software)
        return " ".join(str(part) for part in parts if part)

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
        for name in ("top_k", "min_p", "repetition_penalty"):
            if getattr(options, name) != _UNBENT[name]:
                body[name] = getattr(options, name)
        if options.logit_bias:
            # The protocol's range; minus infinity is no number of JSON.
            body["logit_bias"] = {str(i): max(-100.0, min(v, 100.0)) for i, v in options.logit_bias}
        stops = list(options.stop_strings)
        if self.tokenizer is not None:
            # Servers stop at texts; vLLM at ids too, also where a special token has no text.
            stops += [self._text((i,)) for i in options.stop_ids]
        if stops:
            body["stop"] = stops[:MOST_STOPS]
        if not self.send_text:
            body |= {"stop_token_ids": list(options.stop_ids), "return_token_ids": True}
        return body

    def _text(self, ids: Sequence[int]) -> str:
        return str(self._known_tokenizer("prompts are to be sent as text").decode(list(ids)))

    def _known_tokenizer(self, why: str) -> PreTrainedTokenizerBase:
        if self.tokenizer is None:
            raise UserError(
                f"{why}, and there is no tokenizer.",
                where=self.url,
                mend="Give the tokenizer of the served model.",
            )
        return self.tokenizer

    def _choices(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self._request("/v1/completions", body)
        try:
            return sorted(answer["choices"], key=lambda choice: choice.get("index", 0))
        except (KeyError, TypeError, AttributeError) as error:
            raise self._unreadable(answer) from error

    def _request(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a request until it is answered or out of tries; without a body, ask for a page."""
        pause = self.pause
        for attempt in range(self.retries + 1):
            try:
                return self._request_once(path, body)
            except urllib.error.HTTPError as error:
                if error.code not in RETRIED or attempt == self.retries:
                    raise self._refused(error) from error
                # A server that says when it has time knows best.
                after = error.headers.get("Retry-After", "")
                wait = float(after) if after.isdigit() else pause
            except (OSError, http.client.HTTPException) as error:
                # Absent, too slow, or gone in the middle of its answer.
                if attempt == self.retries:
                    raise UserError(
                        f"no answer after {attempt + 1} tries: {getattr(error, 'reason', error)}.",
                        where=self.url,
                        mend="Start the server, or give it more time (timeout, retries).",
                    ) from error
                wait = pause
            time.sleep(wait)
            pause *= 2
        raise AssertionError("unreachable")

    def _request_once(self, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        root = self.url.rstrip("/").removesuffix("/v1")
        headers = {"Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(root + path, data, headers)
        with urllib.request.urlopen(request, timeout=self.timeout) as answer:
            content = answer.read()
        try:
            return dict(json.loads(content))
        except (ValueError, TypeError) as error:
            raise self._unreadable(content) from error

    def _unreadable(self, content: object) -> UserError:
        return UserError(
            f"the answer is no completion: {str(content)[:200]}.",
            where=self.url,
            mend="Give the address of an OpenAI-compatible server.",
        )

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

    def _sample(self, choice: dict[str, Any], options: SamplingOptions) -> Sample:
        ids = choice.get("token_ids")
        if ids is None:
            tokenizer = self._known_tokenizer("the server answers with text alone")
            ids = tokenizer(choice["text"], add_special_tokens=False)["input_ids"]
        finished = choice.get("finish_reason") == "stop"
        stop_id = ids[-1] if finished and ids and ids[-1] in options.stop_ids else None
        logps = (choice.get("logprobs") or {}).get("token_logprobs") or []
        # Text that is read again may fall into other tokens, and a number may be missing (null):
        # half of the log-probs would pass for all of them.
        whole = len(logps) == len(ids) and None not in logps
        known = tuple(map(float, logps)) if whole else ()
        # Of a distribution that was bent the server says nothing.
        unbent = replace(options, **_UNBENT) == options
        return Sample(tuple(ids), known, known if unbent else (), finished, stop_id)
