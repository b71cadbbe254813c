"""The laboratory in which papers' claims are re-run in miniature. How to write a reproduction:

1. Choose where. `worlds.arms(20, contexts=4)` or `worlds.strings()` when the claim is mathematics:
   every answer can be listed, so the optimum, KL, expected reward and win rate (`exact`) carry no
   sampling noise. A small transformer when the claim is about language: `language` has prompts,
   writers and gold programs, `transformer.start_model(seed)` a model taught by a fallible writer
   in about ten seconds, `transformer.sample` its answers, `gold_rankings` their labels.
2. Make the data with `labelling`: draw pairs, let voters vote by Bradley-Terry, and get the
   project's own `Example`s. They reach the objective by `objectives.assemble`, as a user's do.
3. Train with `training.train(policy, "dpo", [Batch(examples)], steps=200, lr=0.05)`, naming a
   registered objective: a reproduction never holds a copy of a loss. All pairs with their
   probabilities as `Batch.weights` are the population, without sampling noise.
4. Measure per seed, and let `study.repeat` collect. State the claim's shape as checks
   (`reproduce.beats`, `not_worse`), paired by seed, on at least three seeds.

    from accordant_studies.laboratory import exact
    from accordant_studies.laboratory import labelling
    from accordant_studies.laboratory import worlds
    from accordant_studies.laboratory.study import repeat
    from accordant_studies.laboratory.training import Batch, train
    from accordant_studies.reproduce import Reproduction, beats

    def reproduce(seeds: tuple[int, ...] | None) -> Reproduction:
        study = repeat(_measure, seeds or (0, 1, 2, 3, 4))
        check = beats("dpo gains", study.values("dpo", "reward"), study.values("start", "reward"))
        return Reproduction(study.rows(), (check,), study.seeds)

    def _measure(seed: int) -> dict[str, dict[str, float]]:
        world = worlds.arms(10, contexts=4)
        policy = worlds.random_policy(world, seed)
        rewards = worlds.random_policy(world, seed + 1000).table()[:, 0]
        start = exact.expectation(policy.logps().detach(), rewards)
        pairs = labelling.draw_pairs(world, policy.logps(), 500, seed)
        votes = labelling.vote(pairs, rewards, seed)
        examples = labelling.comparisons(world, labelling.majority(pairs, votes, 1))
        train(policy, "dpo", [Batch(examples)], steps=100, lr=0.05)
        end = exact.expectation(policy.logps().detach(), rewards)
        return {"start": {"reward": start}, "dpo": {"reward": end}}

A file per system: `catalogue/reproductions/<slug with _>.py` with `reproduce(seeds)`; name it in
the record: `reproduce="accordant_studies.claims.rpo:reproduce"`, with `how_to_run`.
This package is imported by reproductions alone, so that the catalogue itself stays without torch.
"""
