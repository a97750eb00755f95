"""The runs by name.

`args` are changes to the common arguments in make_goldens.py, `gradient` is the update whose
gradient is stored, `full` also stores a matrix as it is, `decay` says which parameters decay.
"""

BATCH = 8
LENGTH = 14

KL = dict(beta=0.04)  # TRL's default: the KL term times the importance ratio
K3 = dict(beta=0.04, use_bias_correction_kl=False)
HALVES = dict(per_device_train_batch_size=4, gradient_accumulation_steps=2)
# Four prompts a generation batch. TRL scores an unshuffled generation batch in parts of the batch
# size, and Qwen2.5-VL cannot run a part without a picture, so parts of 4 (one text) are impossible.
OFF = dict(steps_per_generation=2, learning_rate=3e-4)
FOUR = dict(gradient_accumulation_steps=2, learning_rate=3e-4)
# At 1e-3 three tokens of four are clipped and KL reaches 200.
TWICE = dict(num_iterations=2, max_steps=4, learning_rate=3e-4)


def run(loss_type, *changes, **rest):
    args = {"loss_type": loss_type}
    for change in changes:
        args.update(change)
    return dict(rest, args=args)


RUNS = {}
for kind in ("grpo", "dapo", "dr_grpo"):
    RUNS[kind] = run(kind, full=kind != "dr_grpo", gradient=1)
    RUNS[kind + "-kl"] = run(kind, KL, **(dict(gradient=2) if kind == "grpo" else {}))
    RUNS[kind + "-k3"] = run(kind, K3, gradient=2)
    RUNS[kind + "-halves"] = run(kind, HALVES)
    RUNS[kind + "-off-policy"] = run(kind, OFF, gradient=2)
    RUNS[kind + "-twice"] = run(kind, TWICE, gradient=2)
    RUNS[kind + "-twice-kl"] = run(kind, TWICE, KL, gradient=2)
    RUNS[kind + "-twice-k3"] = run(kind, TWICE, K3, full=kind == "dapo", gradient=2)
    RUNS[kind + "-twice-k3-decay-all"] = run(kind, TWICE, K3, decay="all")
RUNS["bnpo-halves"] = run("bnpo", HALVES, gradient=1)
RUNS["cispo-twice"] = run("cispo", TWICE, dict(epsilon_high=1.1), gradient=2)
RUNS["grpo-four-k3"] = run("grpo", FOUR, K3, gradient=2)
RUNS["dapo-four-k3"] = run("dapo", FOUR, K3, gradient=2)
RUNS["dapo-twice-high"] = run("dapo", TWICE, dict(epsilon_high=0.28), gradient=2)
RUNS["dapo-batch-scale"] = run("dapo", dict(scale_rewards="batch"), gradient=1)
RUNS["dr_grpo-no-scale"] = run("dr_grpo", dict(scale_rewards="none"), gradient=1)
RUNS["dapo-mask-truncated"] = run("dapo", dict(mask_truncated_completions=True), gradient=1)
RUNS["grpo-mask-truncated"] = run("grpo", dict(mask_truncated_completions=True), gradient=1)
# The tower is steep: at 1e-3 rounding grows a thousandfold in three updates.
RUNS["dapo-twice-k3-all"] = run(
    "dapo", TWICE, K3, dict(learning_rate=1e-4), trained="all", gradient=2)
