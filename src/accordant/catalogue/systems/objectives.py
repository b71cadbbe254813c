"""Systems that are losses, by family: from binary and pairwise to policy gradient and logic."""

from __future__ import annotations

from accordant.catalogue.system import Paper, System

OBJECTIVES = (
    System(
        id="S02",
        slug="bco",
        title="Binary classifier optimization",
        room="objectives/binary",
        works="Thumbs up and down with the reward shift and the matching of the two prompt "
        "distributions.",
        claim="Trained on thumbs from two different prompt distributions, it beats the same loss "
        "without matching.",
        paper=Paper(
            "Binary Classifier Optimization for Large Language Model Alignment", "Jung et al.", 2024
        ),
        how_to_run="accordant reproduce bco",
        reproduce="accordant_studies.claims.bco:reproduce",
    ),
    System(
        id="S04",
        slug="irepo",
        title="Implicit reward differences regressed on empirical preferences (iREPO)",
        room="objectives/regression + loop",
        works="Implicit reward differences are regressed on the logits of empirical preferences, "
        "iterated with a moving reference.",
        claim="Under annotator noise, soft labels beat hard ones.",
        paper=Paper(
            "iREPO: implicit Reward Pairwise Difference based Empirical Preference Optimization",
            "Le et al.",
            2024,
        ),
        how_to_run="accordant reproduce irepo",
        reproduce="accordant_studies.claims.irepo:reproduce",
    ),
    System(
        id="S16",
        slug="f-dpg",
        title="Distributional policy gradient for any f-divergence (f-DPG)",
        room="objectives/policy_gradient",
        works="Any f-divergence to any target that can be evaluated: constrained distributions and "
        "the KL-regularised posterior.",
        claim="Divergences trade alignment against diversity differently, with Jensen-Shannon "
        "between the two KLs.",
        paper=Paper(
            "Aligning Language Models with Preferences through f-divergence Minimization",
            "Go et al.",
            2023,
        ),
    ),
    System(
        id="S18",
        slug="rpo",
        title="DPO with the SFT term as adversarial regulariser (RPO)",
        room="objectives/pairwise",
        works="DPO plus the log-likelihood of the chosen answer.",
        claim="Under a misspecified reward, the gold reward peaks later and falls less than with "
        "DPO.",
        paper=Paper(
            "Provably Mitigating Overoptimization in RLHF: Your SFT Loss is Implicitly an "
            "Adversarial Regularizer",
            "Liu et al.",
            2024,
        ),
        how_to_run="accordant reproduce rpo",
        reproduce="accordant_studies.claims.rpo:study",
    ),
    System(
        id="S19",
        slug="ln-dpo",
        title="Length-normalised DPO and the robustness of its relatives",
        room="objectives/pairwise",
        works="DPO on mean log-ratios per token, and the study of how pairwise methods react to "
        "their options.",
        claim="Answers get shorter than with DPO at an equal win rate.",
        paper=Paper("A Practical Analysis of Human Alignment with *PO", "Ahrabian et al.", 2024),
        how_to_run="accordant reproduce ln-dpo",
        reproduce="accordant_studies.claims.ln_dpo:reproduce",
    ),
    System(
        id="S29",
        slug="cut",
        title="Contrastive unlikelihood from judgments (CUT)",
        room="objectives/token",
        works="Tokens that a judgment explains are found by contrast and made unlikely, offline "
        "and online.",
        claim="It lowers the inappropriate tokens, keeps the others, and beats plain unlikelihood.",
        paper=Paper(
            "Reasons to Reject? Aligning Language Models with Judgments", "Xu et al.", 2023
        ),
        how_to_run="accordant reproduce cut",
        reproduce="accordant_studies.claims.cut:reproduce",
    ),
    System(
        id="S34",
        slug="copg",
        title="Contrastive policy gradient for any reward off-policy",
        room="objectives/policy_gradient",
        works="Sequence-level rewards from any sampler, with the other samples as baseline.",
        claim="On the bandit it reaches the KL-regularised optimum off-policy, where plain policy "
        "gradient and wrong baselines do not.",
        paper=Paper(
            "Contrastive Policy Gradient: Aligning LLMs on sequence-level scores in a "
            "supervised-friendly fashion",
            "Flet-Berliac et al.",
            2024,
        ),
        how_to_run="accordant reproduce copg",
        reproduce="accordant_studies.claims.copg:study",
    ),
    System(
        id="S36",
        slug="pro",
        title="Preference ranking optimization",
        room="objectives/listwise",
        works="Rankings of any length with a temperature from the rewards' distances, plus an SFT "
        "term.",
        claim="Longer rankings help.",
        paper=Paper("Preference Ranking Optimization for Human Alignment", "Song et al.", 2023),
        how_to_run="accordant reproduce pro",
        reproduce="accordant_studies.claims.pro:reproduce",
    ),
    System(
        id="S40",
        slug="lipo",
        title="Listwise preference optimization as learning to rank (LiPO)",
        room="objectives/listwise",
        works="The family of ranking losses over lists, including lambda weights.",
        claim="On list data, the lambda loss beats pairwise training.",
        paper=Paper(
            "LiPO: Listwise Preference Optimization through Learning-to-Rank", "Liu et al.", 2024
        ),
        how_to_run="accordant reproduce lipo",
        reproduce="accordant_studies.claims.lipo:reproduce",
    ),
    System(
        id="S42",
        slug="preference-logic",
        title="The logic of direct preference alignment",
        room="objectives/logic",
        works="A loss is read back as a symbolic formula, a formula is compiled to a loss, and "
        "entailment between losses is decided.",
        claim="Known losses decompile to their formulas; a new loss is derived and trained.",
        paper=Paper(
            "Understanding the Logic of Direct Preference Alignment through Logic",
            "Richardson, Srikumar and Sabharwal",
            2024,
        ),
        how_to_run="accordant reproduce preference-logic",
        reproduce="accordant_studies.claims.preference_logic:reproduce",
    ),
    System(
        id="S43",
        slug="dove",
        title="Joint preferences over instruction-response pairs (DOVE)",
        room="objectives/pairwise",
        works="Two prompt-and-answer pairs are compared as wholes.",
        claim="It gains from joint labels that DPO cannot use.",
        paper=Paper(
            "Comparing Bad Apples to Good Oranges: Aligning Large Language Models via Joint "
            "Preference Optimization",
            "Bansal et al.",
            2024,
        ),
        how_to_run="accordant reproduce dove",
        reproduce="accordant_studies.claims.dove:study",
    ),
    System(
        id="S45",
        slug="aft",
        title="Alignment fine-tuning with a constraint on negatives (AFT)",
        room="objectives/listwise",
        works="The constraint alignment loss in its boundary and ranking forms.",
        claim="It does not degrade where unconstrained ranking does.",
        paper=Paper(
            "Making Large Language Models Better Reasoners with Alignment", "Wang et al.", 2023
        ),
        how_to_run="accordant reproduce aft",
        reproduce="accordant_studies.claims.aft:reproduce",
    ),
    System(
        id="S50",
        slug="poft",
        title="Preference-oriented supervised fine-tuning (PoFT)",
        room="objectives/demonstration",
        works="A Bradley-Terry comparison of the target model with aligned models on the same "
        "demonstrations.",
        claim="Corrupted demonstrations hurt it less than SFT.",
        paper=Paper(
            "Preference-Oriented Supervised Fine-Tuning: Favoring Target Model Over Aligned Large "
            "Language Models",
            "Fan et al.",
            2024,
        ),
        how_to_run="accordant reproduce poft",
        reproduce="accordant_studies.claims.poft:reproduce",
    ),
    System(
        id="S66",
        slug="d2o",
        title="Distributional dispreference optimization (D2O)",
        room="objectives/pairwise",
        works="Self-samples take the side of the chosen answer: only negatives are labelled.",
        claim="Less harm without human positives, and stable training.",
        paper=Paper(
            "Negating Negatives: Alignment with Human Negative Samples via Distributional "
            "Dispreference Optimization",
            "Duan et al.",
            2024,
        ),
        how_to_run="accordant reproduce d2o",
        reproduce="accordant_studies.claims.d2o:reproduce",
    ),
)
