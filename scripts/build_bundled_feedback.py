"""Rebuild the bundled feedback: prompts of this project, answers of the embedded model, one rule.

    python scripts/build_bundled_feedback.py --work-dir build/bundled

Every prompt of `bundled_prompts.txt` gets a few answers. Where none keeps the rule, the model is
asked again under a system message that wants one sentence (the message is not in the data); where
none breaks it, more are sampled. One pair per prompt is kept: an answer that keeps the rule of
`accordant.rewards.rules.is_concise` over one that breaks it. Samples are stored in the work
folder as they are made, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

from accordant.models.loading import LoadedModel, load_model
from accordant.rewards.rules import is_concise
from accordant.sampling import LocalSampler, SamplingOptions

PROMPTS = Path(__file__).with_name("bundled_prompts.txt")
BUNDLE = Path(__file__).parents[1] / "src" / "accordant" / "data" / "bundled"
SEED = 20261124
HELD_OUT_EVERY = 5
MAX_PAIR_TOKENS = 260
COARSE = re.compile(
    r"\b(?:bitch|shit|fuck\w*|damn|sex\w*|porn\w*|nazi\w*|kill\w*|rape\w*)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Round:
    """One way of sampling answers."""

    name: str
    samples: int
    most: int
    temperature: float
    system: str | None = None


OWN = Round("own", 4, 160, 0.7)
BRIEF = Round("brief", 6, 80, 0.7, system="Answer in one short sentence.")
MORE = Round("more", 8, 160, 1.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """One sampled answer; `tokens` is its length without the end of turn."""

    prompt: str
    text: str
    finished: bool
    tokens: int
    round: str

    @property
    def keeps_rule(self) -> bool:
        """Whether it may be the chosen one."""
        return is_concise(self.text, self.finished)


def read_prompts() -> list[str]:
    """The prompts, in file order; lines that start with '#' are headings."""
    lines = PROMPTS.read_text(encoding="utf-8").splitlines()
    prompts = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    repeated = [prompt for prompt, count in Counter(prompts).items() if count > 1]
    if repeated:
        raise SystemExit(f"prompts stand twice in {PROMPTS.name}: {repeated}")
    return prompts


def render(loaded: LoadedModel, prompt: str, system: str | None = None) -> list[int]:
    """Token ids of the prompt up to where the answer starts."""
    messages = [{"role": "system", "content": system}] if system else []
    messages.append({"role": "user", "content": prompt})
    rendered = loaded.tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, return_dict=True
    )
    return list(rendered["input_ids"])


def sample_round(loaded: LoadedModel, prompts: Sequence[str], how: Round, store: Path) -> None:
    """Sample what this round still lacks, a few prompts at a time, and append it to `store`."""
    done = {answer.prompt for answer in read_answers(store) if answer.round == how.name}
    missing = [prompt for prompt in prompts if prompt not in done]
    options = SamplingOptions(
        max_new_tokens=how.most,
        temperature=how.temperature,
        seed=SEED,
        stop_ids=(loaded.tokenizer.eos_token_id,),
        samples_per_prompt=how.samples,
        batch_size=64,
    )
    group = options.batch_size // how.samples
    for start in range(0, len(missing), group):
        began = time.perf_counter()
        now = missing[start : start + group]
        prompts = [render(loaded, x, how.system) for x in now]
        rows = LocalSampler(loaded.model).sample(prompts, options)
        with store.open("a", encoding="utf-8") as file:
            for prompt, sample in ((p, s) for p, row in zip(now, rows, strict=True) for s in row):
                answer = Answer(
                    prompt=prompt,
                    text=loaded.tokenizer.decode(sample.tokens, skip_special_tokens=True),
                    finished=sample.finished,
                    tokens=len(sample.tokens),
                    round=how.name,
                )
                file.write(json.dumps(asdict(answer), ensure_ascii=False) + "\n")
        speed = sum(len(s.completion) for row in rows for s in row) / (time.perf_counter() - began)
        print(f"{how.name}: {start + len(now)}/{len(missing)}, {speed:.0f} tokens/s")


def read_answers(store: Path) -> list[Answer]:
    """Answers stored so far."""
    if not store.exists():
        return []
    return [Answer(**json.loads(line)) for line in store.read_text("utf-8").splitlines()]


def choose_pair(
    loaded: LoadedModel, prompt: str, answers: list[Answer]
) -> tuple[Answer, Answer] | str:
    """The first answer that keeps the rule over the first that breaks it, or why there is none.

    Among the rejected, answers that the model ended itself come first: they show what too long is,
    while a cut one also differs by its broken end.
    """
    usable = [a for a in answers if a.text.strip() and not COARSE.search(a.text)]
    chosen = [a for a in usable if a.keeps_rule]
    rejected = sorted((a for a in usable if not a.keeps_rule), key=lambda a: not a.finished)
    rejected = [a for a in rejected if a.round != BRIEF.name]
    if not chosen:
        return "no answer keeps the rule"
    if not rejected:
        return "no answer breaks the rule"
    overhead = len(render(loaded, prompt)) + 4
    for good, bad in product(chosen, rejected):
        if overhead + good.tokens + bad.tokens <= MAX_PAIR_TOKENS:
            return good, bad
    return f"longer than {MAX_PAIR_TOKENS} tokens"


def as_row(good: Answer, bad: Answer) -> dict[str, list[dict[str, str]]]:
    """The pair in the ecosystem's conversational columns."""
    return {
        "prompt": [{"role": "user", "content": good.prompt}],
        "chosen": [{"role": "assistant", "content": good.text.strip()}],
        "rejected": [{"role": "assistant", "content": bad.text.strip()}],
    }


def write_atomically(path: Path, text: str) -> None:
    """Write beside the file and rename."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def build(loaded: LoadedModel, prompts: list[str], answers: list[Answer]) -> None:
    """Write both files and the README beside them."""
    rows: dict[str, list[dict[str, list[dict[str, str]]]]] = {"feedback": [], "held_out": []}
    dropped: Counter[str] = Counter()
    by_prompt = {prompt: [a for a in answers if a.prompt == prompt] for prompt in prompts}
    for index, prompt in enumerate(prompts):
        pair = choose_pair(loaded, prompt, by_prompt[prompt])
        if isinstance(pair, str):
            dropped[pair] += 1
            continue
        part = "held_out" if index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1 else "feedback"
        rows[part].append(as_row(*pair))
    BUNDLE.mkdir(parents=True, exist_ok=True)
    for part, content in rows.items():
        lines = (json.dumps(row, ensure_ascii=False) for row in content)
        write_atomically(BUNDLE / f"{part}.jsonl", "\n".join(lines) + "\n")
    write_atomically(BUNDLE / "README.md", describe(rows, prompts, answers, dropped))
    print({part: len(content) for part, content in rows.items()}, dict(dropped))


def describe(
    rows: dict[str, list[dict[str, list[dict[str, str]]]]],
    prompts: list[str],
    answers: list[Answer],
    dropped: Counter[str],
) -> str:
    """The README of the bundle, with its counts."""
    reasons = "; ".join(f"{reason}: {count}" for reason, count in sorted(dropped.items()))
    own = [answer for answer in answers if answer.round == OWN.name]
    kept = sum(answer.keeps_rule for answer in own) / len(own)
    counts = {
        how.name: len({answer.prompt for answer in answers if answer.round == how.name})
        for how in (BRIEF, MORE)
    }
    return f"""# Bundled feedback

Comparisons (`prompt`, `chosen`, `rejected`, conversational) for trying accordant out.

| file | pairs |
| --- | --- |
| `feedback.jsonl` | {len(rows["feedback"])} |
| `held_out.jsonl` | {len(rows["held_out"])} |

- **Prompts**: {len(prompts)} short questions and tasks written for this project
  (`scripts/bundled_prompts.txt`). Every fifth is held out; no prompt is in both files.
- **Answers**: {len(answers)} samples of the embedded SmolLM2-135M-Instruct, by accordant's sampler,
  seed {SEED}.
  - {OWN.samples} per prompt at temperature {OWN.temperature}, at most {OWN.most} tokens.
  - Where none of them keeps the rule ({counts[BRIEF.name]} prompts): {BRIEF.samples} under the
    system message "{BRIEF.system}", at most {BRIEF.most} tokens.
    They serve as `chosen` only, and the message is not part of the data.
  - Where all of them keep it ({counts[MORE.name]} prompts): {MORE.samples} more at
    temperature {MORE.temperature}.
- **Rule** (`accordant.rewards.rules.is_concise`): the model ended the answer itself, it ends
  with final punctuation, and it has at most two sentences and 3 to 60 words. `chosen` keeps the
  rule, `rejected` breaks it. {kept:.0%} of the first samples keep it.
- **Dropped** prompts: {sum(dropped.values())}
  ({reasons or "none"}).
- **Not judged**: truth and usefulness. Many chosen answers are wrong: they come from a model of 135
  million weights. The set teaches a style and serves to see training work, nothing else.
- **Coarse words**: answers with words of a short list in the script are never used.
- **Licence**: Apache-2.0, as the project and the model.

Rebuild with `python scripts/build_bundled_feedback.py`. Another processor may round differently in
bfloat16 and so sample some answers differently.
"""


def main() -> None:
    """Sample both rounds and write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work-dir", type=Path, default=Path("build/bundled"))
    store = parser.parse_args().work_dir / "answers.jsonl"
    store.parent.mkdir(parents=True, exist_ok=True)
    prompts, loaded = read_prompts(), load_model(None)
    sample_round(loaded, prompts, OWN, store)
    own = [answer for answer in read_answers(store) if answer.round == OWN.name]
    keeping = {answer.prompt for answer in own if answer.keeps_rule}
    breaking = {answer.prompt for answer in own if not answer.keeps_rule}
    sample_round(loaded, [prompt for prompt in prompts if prompt not in keeping], BRIEF, store)
    sample_round(loaded, [prompt for prompt in prompts if prompt not in breaking], MORE, store)
    build(loaded, prompts, read_answers(store))


if __name__ == "__main__":
    main()
