"""The server's sampler against a real HTTP server that speaks the protocol over a tiny model."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from accordant.base.errors import UserError
from accordant.sampling.sampler import LocalSampler
from accordant.sampling.samples import SamplingOptions
from accordant.sampling.server import ServerSampler
from tests.families import tiny_model
from tests.sampling.test_streaming import byte_tokenizer

LOCAL = LocalSampler(tiny_model("llama"))
TOKENIZER = byte_tokenizer()
PROMPTS = [[5, 9, 3], [70], [40, 41, 42, 43]]
OPTIONS = SamplingOptions(
    max_new_tokens=6, seed=3, stop_ids=tuple(range(60, 100)), samples_per_prompt=3
)


class Handler(BaseHTTPRequestHandler):
    """`/v1/completions`, in the dialect that the test sets on the server."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body, self.headers.get("Authorization")))
        if self.server.failures:
            code = self.server.failures.pop(0)
            if code is None:
                # Gone in the middle of an answer.
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"{")
                self.close_connection = True
                return
            self.answer(code, {"error": {"message": "not now"}}, wait="0")
            return
        time.sleep(self.server.delay)
        prompt = body["prompt"]
        if isinstance(prompt, str):
            prompt = TOKENIZER(prompt, add_special_tokens=False)["input_ids"]
        options = SamplingOptions(
            max_new_tokens=body["max_tokens"],
            temperature=body["temperature"],
            top_p=body["top_p"],
            top_k=body.get("top_k", 0),
            seed=body["seed"],
            stop_ids=tuple(body.get("stop_token_ids", ())),
            samples_per_prompt=body["n"],
        )
        (samples,) = LOCAL.sample([prompt], options)
        choices = [self.choice(i, sample, body) for i, sample in enumerate(samples)]
        # Servers answer in the order in which samples end.
        self.answer(200, {"choices": choices[::-1]})

    def choice(self, index, sample, body):
        nulls = [None] * self.server.missing
        choice = {
            "index": index,
            "text": TOKENIZER.decode(sample.tokens),
            "finish_reason": "stop" if sample.finished else "length",
            "logprobs": {"token_logprobs": [*sample.logps[: -self.server.missing or None], *nulls]},
        }
        if body.get("return_token_ids") and self.server.ids:
            choice["token_ids"] = list(sample.completion)
        return choice

    def do_GET(self):
        pages = {
            "/v1/models": {"data": [{"id": "tiny", "root": "me/tiny", "created": 7}]},
            "/version": {"version": "0.22"},
        }
        self.answer(200 if self.path in pages else 404, pages.get(self.path, {}))

    def answer(self, code, content, wait=None):
        data = json.dumps(content).encode() if not self.server.babble else b"<html>hello"
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        if wait is not None:
            self.send_header("Retry-After", wait)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.asked, found.failures, found.delay, found.ids, found.babble = [], [], 0.0, True, False
    found.missing = 0
    thread = threading.Thread(target=found.serve_forever, daemon=True)
    thread.start()
    yield found
    found.shutdown()
    found.server_close()
    thread.join()


def sampler(server, **settings):
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    return ServerSampler(url, "tiny", **{"pause": 0.01, **settings})


def test_ids_and_log_probabilities_are_those_of_the_served_model(server):
    found = sampler(server).sample(PROMPTS, OPTIONS)
    assert found == [LOCAL.sample([prompt], OPTIONS)[0] for prompt in PROMPTS]
    assert any(sample.finished for row in found for sample in row)


def test_it_asks_for_what_the_options_say(server):
    bent = SamplingOptions(4, temperature=0.5, top_k=7, top_p=0.9, min_p=0.1, seed=8)
    ((sample,),) = sampler(server, api_key="k").sample([[5, 9]], bent)
    ((path, body, key),) = server.asked
    assert (path, key) == ("/v1/completions", "Bearer k")
    expected = {"model": "tiny", "prompt": [5, 9], "n": 1, "max_tokens": 4, "temperature": 0.5}
    expected |= {"top_p": 0.9, "top_k": 7, "min_p": 0.1, "seed": 8, "logprobs": 0}
    assert expected.items() <= body.items()
    assert sample.logps
    # Of the bent distribution the server says nothing.
    assert sample.drawn_logps == ()


def test_a_repeated_prompt_is_asked_with_another_seed(server):
    first, again = sampler(server).sample([[5, 9], [5, 9]], OPTIONS)
    assert [body["seed"] for _, body, _ in sorted(server.asked, key=lambda a: a[1]["seed"])] == [
        3,
        4,
    ]
    assert first != again


def test_text_is_read_by_the_tokenizer_where_there_are_no_ids(server):
    server.ids = False
    options = SamplingOptions(max_new_tokens=6, seed=3)
    # ASCII, so that text and tokens are one to one.
    prompts = [TOKENIZER("abc", add_special_tokens=False)["input_ids"]]
    (row,) = sampler(server, tokenizer=TOKENIZER, send_text=True).sample(prompts, options)
    (exact,) = LOCAL.sample(prompts, options)
    assert server.asked[0][1]["prompt"] == "abc"
    text = TOKENIZER.decode(exact[0].tokens)
    assert row[0].tokens == tuple(TOKENIZER(text, add_special_tokens=False)["input_ids"])
    assert row[0].logps in ((), exact[0].logps)
    with pytest.raises(UserError, match="no tokenizer"):
        sampler(server).sample(prompts, options)


def test_a_busy_server_is_asked_again(server):
    server.failures = [503, 429]
    assert sampler(server).sample([[5, 9]], OPTIONS) == LOCAL.sample([[5, 9]], OPTIONS)
    assert len(server.asked) == 3
    server.failures = [503] * 9
    with pytest.raises(UserError, match="503"):
        sampler(server, retries=1).sample([[5, 9]], OPTIONS)


def test_a_server_that_says_when_it_has_time_is_asked_then(server):
    server.failures = [429, 503]
    # The pause of our own would take half a minute.
    assert sampler(server, pause=15.0).sample([[5, 9]], OPTIONS) == LOCAL.sample([[5, 9]], OPTIONS)


def test_a_server_that_goes_away_in_the_middle_is_asked_again(server):
    server.failures = [None]
    assert sampler(server).sample([[5, 9]], OPTIONS) == LOCAL.sample([[5, 9]], OPTIONS)
    server.failures = [None, None]
    with pytest.raises(UserError, match="no answer after 2 tries"):
        sampler(server, retries=1).sample([[5, 9]], OPTIONS)


def test_log_probabilities_that_are_not_complete_are_none(server):
    server.missing = 1
    (row,) = sampler(server).sample([[5, 9]], OPTIONS)
    assert all(sample.completion and sample.logps == () for sample in row)


def test_a_server_tells_its_version(server):
    assert sampler(server).version() == "tiny me/tiny 7 0.22"
    url = f"http://127.0.0.1:{server.server_address[1]}"
    with pytest.raises(UserError, match=r"no model 'other'.*\n?.*It holds tiny"):
        ServerSampler(url, "other").version()


def test_it_stops_at_texts_and_sends_biases_that_json_can_hold(server):
    bias = ((7, 2.5), (8, -float("inf")))
    options = SamplingOptions(4, stop_strings=("\n\n",), stop_ids=(65,), logit_bias=bias)
    sampler(server, tokenizer=TOKENIZER).sample([[5, 9]], options)
    ((_, body, _),) = server.asked
    assert body["stop"] == ["\n\n", TOKENIZER.decode([65])]
    assert body["logit_bias"] == {"7": 2.5, "8": -100.0}


def test_a_refusal_is_told_at_once(server):
    server.failures = [404, 404]
    with pytest.raises(UserError, match=r"404: .*not now.*\n?.*'tiny'"):
        sampler(server).sample([[5, 9]], OPTIONS)
    assert len(server.asked) == 1


def test_a_slow_or_absent_server_is_named(server):
    server.delay = 0.5
    with pytest.raises(UserError, match="no answer after 1 tries"):
        sampler(server, timeout=0.05, retries=0).sample([[5, 9]], OPTIONS)
    with pytest.raises(UserError, match="Start the server"):
        ServerSampler("http://127.0.0.1:9", "tiny", retries=1, pause=0.01).sample([[5]], OPTIONS)


def test_what_is_no_completion_is_shown(server):
    server.babble = True
    with pytest.raises(UserError, match="<html>hello"):
        sampler(server).sample([[5, 9]], OPTIONS)
