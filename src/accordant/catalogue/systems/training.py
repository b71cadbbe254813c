"""Systems that shape training itself: distillation, control tokens, stabilisers, optimisation."""

from __future__ import annotations

from accordant.catalogue.system import Paper, System

TRAINING = (
    System(
        id="S03",
        slug="mix-cpt",
        title="Domain knowledge and format alignment apart (Mix-CPT)",
        room="training/distillation",
        works="Pretraining on a mixture of knowledge, self-distillation with swapped logits, and "
        "format alignment from few samples.",
        claim="It learns the domain's facts with less loss on general text than plain continual "
        "pretraining.",
        paper=Paper(
            "Mix-CPT: A Domain Adaptation Framework via Decoupling Knowledge Learning and Format "
            "Alignment",
            "Jiang et al.",
            2024,
        ),
    ),
    System(
        id="S41",
        slug="bialign",
        title="Bidirectional alignment of a student (BiAlign)",
        room="training/distillation",
        works="A ranking loss over input preferences beside the match of output distributions.",
        claim="The student is better from few examples than with output distillation alone.",
        paper=Paper(
            "Improving In-context Learning via Bidirectional Alignment", "Qin et al.", 2023
        ),
    ),
    System(
        id="S47",
        slug="meet",
        title="Control tokens by parameter-efficient tuning (MEET)",
        room="training",
        works="Control tokens are learned first, by prompt tuning or LoRA, then the model.",
        claim="They control better than tokens trained together with the model.",
        paper=Paper(
            "Parameter-Efficient Tuning Helps Language Model Alignment", "Xue et al.", 2023
        ),
    ),
    System(
        id="S57",
        slug="ppo-max",
        title="PPO with every stabiliser (PPO-max)",
        room="training",
        works="PPO with the paper's stabilisers, a value model, and generalised advantages.",
        claim="It stays stable where plain PPO collapses.",
        paper=Paper("Secrets of RLHF in Large Language Models Part I: PPO", "Zheng et al.", 2023),
    ),
    System(
        id="S68",
        slug="baichuan-alignment",
        title="A staged alignment pipeline (Baichuan Alignment)",
        room="training",
        works="Packing, prompt augmentation, weights of samples, merging of models, and the staged "
        "pipeline.",
        claim="The staged pipeline runs as one configuration.",
        paper=Paper("Baichuan Alignment Technical Report", "Lin et al.", 2024),
    ),
    System(
        id="S72",
        slug="target-surrogate",
        title="Target-based surrogates for stochastic optimisation",
        room="training/optimisation",
        works="Surrogates built in the space of logits and minimised with several cheap steps.",
        claim="It needs fewer expensive gradients than SGD to the same loss.",
        paper=Paper(
            "Target-based Surrogates for Stochastic Optimization", "Lavington et al.", 2023
        ),
    ),
)
