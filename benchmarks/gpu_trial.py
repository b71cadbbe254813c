"""Everything that is to be known of one card, in one call of at most four minutes.

Exactness of scores and gradients against plain transformers, a training step against TRL with and
without Liger, sampling against `generate`, and the packed pass of checks. Every section is a
process of its own with a time of its own: one that fails or takes too long is told as such, what it
had measured is kept, and the others run. Ends with a table and one JSON object (also written to
`$OUT/gpu_trial.json` where OUT is set).

    python benchmarks/gpu_trial.py
    python benchmarks/gpu_trial.py --sections exact sample
    python benchmarks/gpu_trial.py --tiny     # to its end on a processor, for the test suite
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

# As a script this file finds its neighbours like any module of the checkout.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

Row = dict[str, Any]

STEPS, WARM = 4, 2
_SIZES = {
    "qwen2.5-0.5b": (
        "Qwen2Config",
        {
            "vocab_size": 151936,
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 24,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "max_position_embeddings": 32768,
            "tie_word_embeddings": True,
        },
    ),
    "llama-3.2-1b": (
        "LlamaConfig",
        {
            "vocab_size": 128256,
            "hidden_size": 2048,
            "intermediate_size": 8192,
            "num_hidden_layers": 16,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 64,
            "max_position_embeddings": 32768,
            "tie_word_embeddings": True,
        },
    ),
    "tiny": (
        "LlamaConfig",
        {
            "vocab_size": 512,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "tie_word_embeddings": True,
        },
    ),
}


class Job(NamedTuple):
    """A training step to time: `answers` answers of `length` tokens on a prompt."""

    model: str
    prompt: int
    length: int
    answers: int
    batch: int
    lora: int = 0

    @property
    def name(self) -> str:
        """What the table calls it."""
        shape = f"rank{self.answers}" if self.answers > 2 else f"{self.prompt}/{self.length}"
        shape += f"/{self.prompt if self.answers > 2 else self.length}"
        return f"{self.model} {shape} x{self.batch}" + (f" LoRA {self.lora}" if self.lora else "")


# The most telling first: a section that runs out of time keeps what it has.
JOBS = (
    Job("qwen2.5-0.5b", 512, 256, 2, 16),
    Job("qwen2.5-0.5b", 128, 64, 2, 64),
    Job("qwen2.5-0.5b", 512, 64, 8, 16),
    Job("qwen2.5-0.5b", 512, 256, 2, 16, lora=16),
    Job("qwen2.5-0.5b", 128, 64, 2, 32),
    Job("llama-3.2-1b", 512, 256, 2, 16),
)
TINY_JOBS = (Job("tiny", 12, 6, 2, 2), Job("tiny", 12, 4, 4, 1), Job("tiny", 12, 6, 2, 2, lora=2))


def model_folder(name: str) -> str:
    """Save a model of random weights once, with a tokenizer that is only there to be loaded."""
    import torch
    import transformers
    from tokenizers import Tokenizer, models

    folder = Path(tempfile.gettempdir()) / "accordant-trial" / name
    if not (folder / "tokenizer.json").exists():
        kind, sizes = _SIZES[name]
        config = getattr(transformers, kind)(**sizes, eos_token_id=1, pad_token_id=0)
        torch.manual_seed(0)
        with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
            model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
        model.save_pretrained(folder)
        words = Tokenizer(models.WordLevel({"<pad>": 0, "<eos>": 1, "a": 2, "b": 3}, "<pad>"))
        transformers.PreTrainedTokenizerFast(
            tokenizer_object=words, pad_token="<pad>", eos_token="<eos>"
        ).save_pretrained(folder)
    return str(folder)


def device() -> str:
    """Return where everything runs."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def guarded(what: str, measure: Callable[[], Row]) -> Row:
    """Measure a row, or say why it cannot be."""
    try:
        return {"what": what, **measure()}
    except Exception as error:
        # Whatever it is, minutes on a card are not to be lost to it.
        return {"what": what, "error": f"{type(error).__name__}: {' '.join(str(error).split())}"}


def exactness(tiny: bool) -> Iterator[Row]:
    """Compare scores and gradients of every family with plain transformers'."""
    import torch
    from tests.families import CONFIGS

    torch.backends.cuda.matmul.allow_tf32 = False
    for family in ("llama", "gemma2") if tiny else CONFIGS:
        for dtype in (torch.float32, torch.bfloat16):
            name = f"{family} {str(dtype).removeprefix('torch.')}"
            yield guarded(name, lambda f=family, d=dtype: _differences(f, d))  # type: ignore[misc]


def _differences(family: str, dtype: Any) -> Row:
    """Measure errors against float32, ours and plain transformers' in the same dtype."""
    import random

    import torch
    from tests.families import CONFIGS, VOCABULARY
    from transformers import AutoModelForCausalLM

    from accordant.scoring import install, score
    from accordant.scoring.apart import plain_logps
    from accordant.tokens.trees import TokenTree

    config = copy.deepcopy(CONFIGS[family])
    # FlexAttention on CUDA takes heads of at least 16.
    wide = {"n_embd": 64} if family == "gpt2" else {"hidden_size": 64, "head_dim": 16}
    for key, value in wide.items():
        setattr(config, key, value)
    config.initializer_range = 0.1
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).to(device(), dtype).eval()
    exact = copy.deepcopy(model).float()
    source = random.Random(0)

    def draw(count: int) -> tuple[int, ...]:
        return tuple(source.randrange(2, VOCABULARY) for _ in range(count))

    trees = [
        TokenTree(draw(source.randrange(3, 90)), tuple(draw(source.randrange(1, 40)) for _ in "ab"))
        for _ in range(4)
    ]
    trees.append(TokenTree(draw(20), tuple(draw(9) for _ in range(8))))

    def plain(policy: Any) -> Any:
        return torch.cat([part for tree in trees for part in plain_logps(policy, tree)])

    def errors(policy: Any, logps: Any) -> tuple[float, float]:
        found = torch.autograd.grad(logps.float().square().mean(), list(policy.parameters()))
        gaps = [
            float((a.float() - b).norm() / b.norm().clamp_min(1e-9))
            for a, b in zip(found, gradients, strict=True)
        ]
        return float((logps.detach().float() - expected.detach()).abs().max()), max(gaps)

    expected = plain(exact)
    gradients = torch.autograd.grad(expected.square().mean(), list(exact.parameters()))
    row: Row = {}
    if dtype != torch.float32:
        row["plain_scores"], row["plain_gradients"] = errors(model, plain(model))
    model = install(model)
    row["scores"], row["gradients"] = errors(model, score(model, trees).logps)
    return row


def matrix_rate(tiny: bool) -> float:
    """Measure the operations a second of a large bf16 product."""
    import torch

    size = 256 if tiny else 8192
    left = torch.randn(size, size, device=device()).bfloat16()
    seconds = []
    for _ in range(12):
        started = time.perf_counter()
        left @ left
        if left.is_cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / statistics.median(seconds)


def steps(side: str, tiny: bool) -> Iterator[Row]:
    """Time training steps of one side."""
    rate = matrix_rate(tiny)
    yield {"what": "matrix rate", "tflops": rate / 1e12}
    for job in TINY_JOBS if tiny else JOBS:
        yield guarded(job.name, lambda job=job: _step(side, job, rate))  # type: ignore[misc]


def _step(side: str, job: Job, rate: float) -> Row:
    """Time one training step: ours, or a peer's on the same pairs."""
    import gc
    import resource

    import torch

    from accordant.tokens.examples import Example
    from accordant.tokens.trees import TokenTree
    from benchmarks import _our_side
    from benchmarks.train_throughput import Shape, draw, operations

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    folder = model_folder(job.model)
    shape = Shape(job.name, job.prompt, (job.length,) * job.answers, job.batch)
    total = STEPS + WARM
    rows = draw(shape, job.batch * total, _SIZES[job.model][1]["vocab_size"])
    if side == "ours":
        kind = "ranking" if job.answers > 2 else "comparison"
        examples = [
            Example(kind, (TokenTree(tuple(prompt), tuple(map(tuple, answers))),), n)
            for n, (prompt, answers) in enumerate(rows)
        ]
        timer, _ = _our_side.run(folder, examples, job.batch, total, cached=False, lora=job.lora)
    else:
        from benchmarks import _trl_side

        pairs = [(p, a[n], a[n + 1]) for p, a in rows for n in range(0, len(a), 2)]
        timer, _ = _trl_side.run(
            folder, pairs, shape.pairs, total, lora=job.lora, liger=side == "liger"
        )
    # Over all timed steps together: a step that is launched ahead ends in a later one.
    seconds = (timer.marks[-1] - timer.marks[WARM]) / STEPS
    if torch.cuda.is_available():
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    row = {
        "side": side,
        "pairs_a_second": shape.pairs / seconds,
        "step_seconds": seconds,
        "first_step_seconds": timer.marks[1] - timer.marks[0],
        "peak_gb": peak / 1e9,
    }
    if not job.lora:
        # An adapter's backward leaves out the weights' gradients, so that the count is another.
        row["share_of_matrix_rate"] = operations(shape, folder) / seconds / rate
    return row


def sampling(tiny: bool) -> Iterator[Row]:
    """Time sampling against `generate`, and compare greedy answers in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    from benchmarks import sample_throughput

    folder = model_folder("tiny" if tiny else "qwen2.5-0.5b")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(device()).eval()
    model.generation_config.eos_token_id = None
    args = argparse.Namespace(prompt=128, new=64, temperature=1.0, rounds=2, clock="wall")
    if tiny:
        args.prompt, args.new, args.rounds = 12, 6, 1
    for count in (2,) if tiny else (64, 16, 1):
        name = f"{count} prompts of {args.prompt}, {args.new} new"

        def measure(count: int = count) -> Row:
            row = sample_throughput.compare(model, count, args)
            return {"ours": row["ours"], "peer": row["peer"], "ratio": row["ratio"]}

        yield guarded(name, measure)
    yield guarded("greedy, float32", lambda: _greedy(model.float(), tiny))


def _greedy(model: Any, tiny: bool) -> Row:
    """Compare greedy answers with `generate`'s, and say whether a step was captured as a graph."""
    from accordant.sampling import LocalSampler, ModelStepper, SamplingOptions
    from accordant.sampling.batch import Batch
    from benchmarks.sample_throughput import draw_prompts, generate_with_transformers

    new = 6 if tiny else 32
    prompts = draw_prompts(8, 24, model.config.vocab_size)
    options = SamplingOptions(new, temperature=0)
    ours = [list(row[0].completion) for row in LocalSampler(model).sample(prompts, options)]
    peer = generate_with_transformers(model, prompts, new, 0.0)
    batch = Batch.start(ModelStepper(model), prompts, 1, [(1, n) for n in range(8)], options)
    for _ in range(4):
        batch.step()
    tokens = zip(itertools.chain(*ours), itertools.chain(*peer), strict=True)
    same = sum(mine == theirs for mine, theirs in tokens)
    return {"same_tokens": same / (8 * new), "captured": batch.captured}


def checks(tiny: bool) -> Iterator[Row]:
    """Time the packed pass of checks against plain loops over pairs."""
    import torch
    from transformers import AutoModelForCausalLM

    from accordant.scoring import install
    from benchmarks import check_throughput

    folder = model_folder("tiny" if tiny else "qwen2.5-0.5b")
    plain, second = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(device()).eval()
        for _ in range(2)
    )
    pairs = 4 if tiny else 64
    args = argparse.Namespace(model=folder, pairs=pairs, peer_share=2, rounds=1, budget=16384)
    engine = install(second)
    for shape in ("12/6/6",) if tiny else ("512/256/256", "128/64/64"):

        def measure(shape: str = shape) -> Row:
            with torch.no_grad():
                row = check_throughput.compare(shape, (engine, plain), args)
            return {"ours": row["ours"], "peer": row["peer"], "ratio": row["ratio"]}

        yield guarded(shape, measure)


SECTIONS: dict[str, tuple[Callable[[bool], Iterator[Row]], float]] = {
    "exact": (exactness, 45),
    "ours": (lambda tiny: steps("ours", tiny), 70),
    "trl": (lambda tiny: steps("trl", tiny), 40),
    "liger": (lambda tiny: steps("liger", tiny), 40),
    "sample": (sampling, 30),
    "checks": (checks, 15),
}
"""What is measured, and the seconds it may take of the four minutes."""


def run_section(name: str, seconds: float, tiny: bool) -> list[Row]:
    """Run a section in a process of its own; rows it printed before its time was up are kept."""
    command = [sys.executable, __file__, "--section", name, *(["--tiny"] if tiny else [])]
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        try:
            code = process.wait(seconds)
            trouble = f"ended with {code}" if code else ""
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            trouble = f"stopped after {seconds:.0f} s"
        output.seek(0)
        errors.seek(0)
        lines = [line for line in output.read().splitlines() if line.startswith('{"what"')]
        rows: list[Row] = [json.loads(line) for line in lines]
        if trouble:
            rows.append({"what": name, "error": f"{trouble}: {errors.read()[-600:]}"})
    return [{"section": name, **row} for row in rows]


def show(row: Row) -> None:
    """Print a row of the table."""
    cells = [
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in row.items()
        if key not in ("section", "what", "side")
    ]
    print(f"{row['section']:>7}  {row['what']:<36} {'  '.join(cells)}", flush=True)


def against_peers(rows: list[Row]) -> list[Row]:
    """Relate our steps to the peers' where both were measured."""
    known = {(r["section"], r["what"]): r for r in rows if "pairs_a_second" in r}
    related = []
    for (section, what), peer in known.items():
        ours = known.get(("ours", what))
        if section != "ours" and ours:
            speed = ours["pairs_a_second"] / peer["pairs_a_second"]
            memory = ours["peak_gb"] / peer["peak_gb"]
            found = {"speed_ratio": speed, "memory_ratio": memory}
            related.append({"section": "against", "what": f"{what}: {section}", **found})
    return related


def machine() -> Row:
    """Name the card and the versions of what is compared."""
    from importlib.metadata import PackageNotFoundError, version

    import torch

    versions = {}
    for package in ("torch", "transformers", "trl", "liger-kernel", "triton", "peft"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "none"
    card = torch.cuda.get_device_name() if torch.cuda.is_available() else "processor"
    return {"card": card, "versions": versions}


def main() -> None:
    """Run all sections and print what they found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--seconds", type=float, default=240, help="all sections together")
    parser.add_argument("--tiny", action="store_true", help="tiny models, for a processor")
    parser.add_argument("--section", choices=SECTIONS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.section:
        for row in SECTIONS[args.section][0](args.tiny):
            print(json.dumps(row), flush=True)
        return
    ends = time.monotonic() + args.seconds
    rows: list[Row] = []
    for name in args.sections:
        # What a section left of its time is the next ones'; a tiny one is not to be cut off.
        left = ends - time.monotonic()
        rest = sum(SECTIONS[n][1] for n in args.sections[args.sections.index(name) :])
        found = run_section(name, max(5, left * SECTIONS[name][1] / rest), args.tiny)
        for row in found:
            show(row)
        rows += found
    for row in against_peers(rows):
        show(row)
        rows.append(row)
    report = json.dumps({**machine(), "rows": rows})
    if os.environ.get("OUT"):
        (Path(os.environ["OUT"]) / "gpu_trial.json").write_text(report)
    print(report)


if __name__ == "__main__":
    main()
