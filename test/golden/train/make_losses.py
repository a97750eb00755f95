"""Losses, gradients, metrics and advantages of TRL's own code in float64, for test/train/.

Written with trl 1.16.0 and torch 2.15; run: python make_losses.py > losses.json

`GRPOTrainer._compute_loss` runs unbound on an object that holds its settings; the forward pass is
replaced by given log-probabilities and entropies, gradients are autograd's. Everything is float64:
the default dtype is, and `.float()` of a tensor gives float64 too, for TRL casts some values.

The ratios of `vllm_importance_sampling_mode`, their metrics and the advantages are computed inside
of `_generate_and_score_completions`, which needs a model. Those statements are cut out of its source
and executed. What TRL does not have is its source with one expression replaced (`REPLACED`); the
replacements are verl's `kl_penalty`, NeMo-RL's `calculate_kl` and MiniMax' CISPO.
"""

import ast
import inspect
import itertools
import json
import math
import random
import textwrap
from collections import defaultdict
from types import SimpleNamespace

import torch
import trl
import trl.trainer.grpo_trainer as module
from trl import GRPOTrainer
from trl.trainer.utils import nanmax, nanmin, nanstd

torch.set_default_dtype(torch.float64)
torch.Tensor.float = lambda tensor: tensor.double()

KL = "torch.exp(ref_per_token_logps - per_token_logps) - (ref_per_token_logps - per_token_logps) - 1"
CISPO = "torch.clamp(coef_1, max=self.epsilon_high).detach()"
MINIMUM = "per_token_loss = -torch.min(per_token_loss1, per_token_loss2)"
REPLACED = {
    "kl": (KL, "kl_term(per_token_logps, ref_per_token_logps, self)"),
    "cispo": (CISPO, "torch.clamp(coef_1, 1 - self.epsilon_low, 1 + self.epsilon_high).detach()"),
    "cispo_metric": ("(coef_1 > self.epsilon_high)", "(coef_1 > 1 + self.epsilon_high)"),
    "dual": (
        MINIMUM,
        MINIMUM + "\n        "
        "per_token_loss = torch.where(advantages < 0,"
        " torch.min(-advantages * self.dual, per_token_loss), per_token_loss)",
    ),
}


def kl_term(logp, ref, settings):
    """verl's kl_penalty_forward with NeMo's options, and the three gradients."""
    r = ref - logp
    if settings.kl_input_clamp_value is not None:
        r = torch.clamp(r, min=-settings.kl_input_clamp_value, max=settings.kl_input_clamp_value)
    value = {
        "k1": lambda: -r,
        "k2": lambda: 0.5 * r.square(),
        "k3": lambda: torch.exp(r) - r - 1,
        "abs": lambda: r.abs(),
    }[settings.kl_estimator]()
    if settings.kl_output_clamp_value is not None:
        limit = settings.kl_output_clamp_value
        value = torch.clamp(value, min=-limit, max=limit)
    if settings.kl_gradient == "straight_through":
        backward = 0.5 * (logp - ref).square()
        return backward - backward.detach() + value.detach()
    if settings.kl_gradient == "score_function":
        return torch.exp(logp - logp.detach()) * value
    return value


SOURCE = textwrap.dedent(inspect.getsource(GRPOTrainer._compute_loss))


def loss_function(replaced):
    source = SOURCE
    for name in replaced:
        old, new = REPLACED[name]
        assert source.count(old) == 1, name
        source = source.replace(old, new)
    space = dict(module.__dict__, kl_term=kl_term)
    exec(source, space)
    return space["_compute_loss"]


def statements(first):
    """The `if` statements of _generate_and_score_completions whose source begins so."""
    source = textwrap.dedent(inspect.getsource(GRPOTrainer._generate_and_score_completions))
    tree = ast.parse(source)
    return [
        textwrap.dedent(" " * node.col_offset + ast.get_source_segment(source, node))
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and ast.get_source_segment(source, node).startswith(first)
    ]


CORRECTION = statements("if self.use_vllm and self.vllm_importance_sampling_correction")
(RATIOS,) = [s for s in CORRECTION if "sequence_level_is = " in s]
(RATIO_METRICS,) = [s for s in CORRECTION if "sampling_logp_difference" in s]
(AGGREGATION,) = [s for s in statements("if self.multi_objective") if "normalize_then_sum" in s]

DEFAULTS = dict(
    loss_type="dapo",
    importance_sampling_level="token",
    epsilon=0.2,
    epsilon_high=None,
    delta=None,
    clip_ratio_c=None,
    sapo_temperature_pos=1.0,
    sapo_temperature_neg=1.05,
    vespo_k_pos=2.0,
    vespo_lambda_pos=3.0,
    vespo_k_neg=3.0,
    vespo_lambda_neg=2.0,
    beta=0.0,
    kl_estimator="k3",
    kl_gradient="differentiated",
    use_bias_correction_kl=True,
    kl_input_clamp_value=None,
    kl_output_clamp_value=None,
    entropy_coef=0.0,
    top_entropy_quantile=1.0,
    off_policy_mask_threshold=None,
    importance_sampling_mode=None,
    importance_sampling_clip_max=3.0,
    importance_sampling_clip_min=None,
    mask_truncated_completions=False,
)
CONFIG = {
    name: field.default
    for name, field in trl.GRPOConfig.__dataclass_fields__.items()
    if name in DEFAULTS
}


class Local:
    """accelerate on one process."""

    num_processes = 1
    sync_gradients = True
    device = "cpu"

    def gather(self, x):
        return x

    def reduce(self, x, reduction):
        return x

    def pad_across_processes(self, x, dim, pad_index):
        return x


def padded(values, lengths):
    """[tokens] to [rows, longest], zeros behind."""
    rows, at = torch.zeros(len(lengths), max(lengths)), 0
    for i, n in enumerate(lengths):
        rows[i, :n] = torch.tensor(values[at : at + n])
        at += n
    return rows


def flat(rows, lengths):
    return [x for row, n in zip(rows.tolist(), lengths) for x in row[:n]]


def run(batch, settings):
    s = SimpleNamespace(**settings)
    lengths = batch["lengths"]
    mask = padded([1.0] * sum(lengths), lengths)
    if s.mask_truncated_completions:
        keep = torch.tensor([0.0 if t else 1.0 for t in batch["truncated"]])
        mask = mask * keep.unsqueeze(1)
    l = padded(batch["logp"], lengths).requires_grad_()
    h = padded(batch["entropy"], lengths).requires_grad_()
    old, ref = padded(batch["old"], lengths), padded(batch["reference"], lengths)
    sampling = padded([math.nan if x is None else x for x in batch["sampling"]], lengths)
    advantages = torch.tensor(batch["advantage"])
    minimax = s.loss_type == "cispo_minimax"
    mode = s.importance_sampling_mode
    metrics = defaultdict(list)
    me = SimpleNamespace(
        **{**settings, "loss_type": "cispo" if minimax else s.loss_type},
        args=SimpleNamespace(**settings, steps_per_generation=1),
        accelerator=Local(),
        model=SimpleNamespace(training=True),
        aux_loss_enabled=False,
        epsilon_low=s.epsilon,
        current_gradient_accumulation_steps=1,
        max_completion_length=batch["maxCompletionLength"],
        use_vllm=mode is not None,
        vllm_importance_sampling_correction=mode is not None,
        vllm_importance_sampling_mode=mode,
        vllm_importance_sampling_clip_max=s.importance_sampling_clip_max,
        vllm_importance_sampling_clip_min=s.importance_sampling_clip_min,
        use_adaptive_entropy=False,
        _entropy_bonus_enabled=s.entropy_coef != 0,
        _metrics=dict(train=metrics),
        get_off_policy_mask=GRPOTrainer.get_off_policy_mask,
        get_gamma_weights=GRPOTrainer.get_gamma_weights,
        _get_per_token_logps_and_entropies=lambda *a, **k: (l, h, None),
        dual=s.clip_ratio_c,
    )
    me.epsilon_high = s.epsilon if s.epsilon_high is None else s.epsilon_high
    me.get_high_entropy_mask = lambda *a: GRPOTrainer.get_high_entropy_mask(me, *a)
    nothing = torch.zeros(len(lengths), 0)
    inputs = dict(
        prompt_ids=nothing,
        prompt_mask=nothing,
        completion_ids=torch.zeros_like(mask),
        completion_mask=mask,
        advantages=advantages,
        old_per_token_logps=old,
        ref_per_token_logps=ref,
        num_items_in_batch=mask.sum(),
    )
    if mode is not None or s.off_policy_mask_threshold is not None:
        inputs["sampling_per_token_logps"] = sampling
    if mode is not None:
        space = dict(
            module.__dict__,
            self=me,
            completion_mask=mask,
            tool_mask=None,
            old_per_token_logps=old,
            sampling_per_token_logps=sampling,
            mode="train",
            device="cpu",
        )
        exec(RATIOS, space)
        exec(RATIO_METRICS, space)
        inputs["importance_sampling_ratio"] = space["vllm_importance_sampling_ratio"]
    kl = ("kl_estimator", "kl_gradient", "kl_input_clamp_value", "kl_output_clamp_value")
    replaced = ["kl"] if any(settings[k] != DEFAULTS[k] for k in kl) else []
    replaced += ["cispo", "cispo_metric"] if minimax else []
    replaced += ["dual"] if s.clip_ratio_c is not None else []
    loss = loss_function(replaced)(me, None, inputs)
    loss.backward()
    result = dict(
        loss=loss.item(),
        dLogp=flat(l.grad, lengths),
        metrics={k: v[0] for k, v in metrics.items()},
    )
    if s.entropy_coef != 0:
        result["dEntropy"] = flat(h.grad, lengths)
    return result


def batch(rng, rows, longest, spread, truncated=0.0, level=0.0, lengths=None):
    """Random columns; entropies are multiples of 2^-10, so that all precisions order them alike."""
    lengths = lengths or [rng.randint(1, longest) for _ in range(rows)]
    n = sum(lengths)
    old = [-rng.expovariate(1.0) for _ in range(n)]
    near = lambda width: [x + rng.gauss(0, width) for x in old]
    return dict(
        lengths=lengths,
        maxCompletionLength=longest + 2,
        truncated=[rng.random() < truncated for _ in lengths],
        logp=near(spread),
        old=old,
        reference=near(spread),
        sampling=[None if rng.random() < 0.05 else x for x in near(spread / 2)],
        entropy=[rng.randint(0, 3000) / 1024 for _ in range(n)],
        advantage=[0.0 if rng.random() < level else rng.gauss(0, 1) for _ in lengths],
    )


def make_batches():
    rng = random.Random(7)
    return dict(
        plain=batch(rng, 6, 6, 0.3),
        truncated=batch(rng, 6, 6, 0.3, truncated=0.5),
        level=batch(rng, 6, 5, 0.3, level=0.6),
        short=batch(rng, 5, 1, 0.4),
        wild=batch(rng, 5, 7, 1.5, truncated=0.3, lengths=[7, 1, 4, 1, 6]),
        lonely=batch(rng, 1, 5, 0.5, lengths=[5]),
        mixed=batch(rng, 5, 6, 0.4, truncated=0.3),
        silent=dict(batch(rng, 3, 4, 0.3), truncated=[True] * 3),
    )


def cases(batches):
    """Each loss and level with every variation of every kind, and random mixtures."""
    rng = random.Random(11)
    losses = "grpo bnpo dr_grpo dapo cispo cispo_minimax sapo luspo vespo".split()
    kls = [
        dict(),
        dict(beta=0.04, use_bias_correction_kl=False),
        dict(beta=0.04),
        dict(beta=0.1, kl_estimator="k1", use_bias_correction_kl=False),
        dict(beta=0.1, kl_estimator="k2"),
        dict(beta=0.1, kl_estimator="abs", use_bias_correction_kl=False),
        dict(beta=0.1, kl_gradient="straight_through", use_bias_correction_kl=False),
        dict(beta=0.1, kl_estimator="k1", kl_gradient="straight_through"),
        dict(beta=0.1, kl_gradient="score_function", use_bias_correction_kl=False),
        dict(beta=0.1, kl_input_clamp_value=0.3, kl_output_clamp_value=0.03),
        dict(
            beta=0.1,
            kl_input_clamp_value=0.3,
            kl_output_clamp_value=0.03,
            kl_gradient="score_function",
        ),
    ]
    masks = [
        dict(),
        dict(mask_truncated_completions=True),
        dict(top_entropy_quantile=0.4),
        dict(top_entropy_quantile=0.0, entropy_coef=0.01),
        dict(off_policy_mask_threshold=0.02),
        dict(off_policy_mask_threshold=0.12),
        dict(entropy_coef=0.01, mask_truncated_completions=True, top_entropy_quantile=0.7),
        dict(importance_sampling_mode="token_truncate", importance_sampling_clip_max=1.2),
        dict(
            importance_sampling_mode="token_mask",
            importance_sampling_clip_max=1.2,
            importance_sampling_clip_min=0.8,
        ),
        dict(importance_sampling_mode="sequence_truncate", importance_sampling_clip_min=0.9),
        dict(importance_sampling_mode="sequence_mask", importance_sampling_clip_max=1.3),
    ]
    clips = [
        dict(),
        dict(epsilon=0.1, epsilon_high=0.28),
        dict(delta=1.1),
        dict(delta=1.5),
        dict(clip_ratio_c=1.1),
        dict(clip_ratio_c=3.0, epsilon_high=0.4),
    ]
    soft = dict(sapo_temperature_pos=1.4, sapo_temperature_neg=0.7)
    gamma = dict(vespo_k_pos=1.0, vespo_lambda_pos=1.5, vespo_k_neg=0.5, vespo_lambda_neg=0.0)
    chosen = []
    for loss, level in itertools.product(losses, ["token", "sequence"]):
        base = dict(loss_type=loss, importance_sampling_level=level)
        own = clips if loss in losses[:4] + ["luspo"] else [dict()]
        if loss == "cispo":
            own = [dict(epsilon_high=high) for high in (5.0, 1.25, 1.05)]
        if loss == "cispo_minimax":
            own = clips[:2]
        if loss in ("sapo", "vespo"):
            own = [dict(), soft if loss == "sapo" else gamma]
        kinds = [dict(o) for o in own] + kls[1:] + masks[1:]
        kinds += [
            {**rng.choice(own), **rng.choice(kls), **rng.choice(masks)} for _ in range(4)
        ]
        for kind in kinds:
            if loss == "vespo" and kind.get("importance_sampling_mode", "token")[:3] == "seq":
                continue
            if loss == "cispo" and "epsilon_high" not in kind:
                kind = dict(kind, epsilon_high=1.25)
            chosen.append({**base, **kind})
    # A batch for each in turn; where it has a side to the batch, one that shows it.
    turn = itertools.cycle(["plain", "truncated", "level", "wild", "mixed", "short", "lonely"])
    rows = []
    for settings in chosen:
        name = next(turn)
        if settings.get("mask_truncated_completions"):
            name = rng.choice(["truncated", "wild", "mixed"])
        rows.append((name, settings))
    for loss in losses:
        high = dict(epsilon_high=1.25) if loss == "cispo" else {}
        for beta in (0.0, 0.04):
            rows.append(
                ("silent", dict(loss_type=loss, beta=beta, mask_truncated_completions=True, **high))
            )
    return rows


FIXTURE = dict(
    lengths=[4, 3, 4, 2],
    maxCompletionLength=8,
    truncated=[False, False, True, False],
    logp=[-0.5, -1, -0.2, -0.8, -1.5, -0.3, -0.7, -0.4, -2, -0.9, -0.1, -1.2, -0.6],
    old=[-0.7, -1, -0.3, -0.8, -1.2, -0.5, -0.7, -0.4, -1.4, -0.9, -0.2, -1.2, -0.2],
    reference=[-0.6, -1.1, -0.2, -0.9, -1.4, -0.3, -0.9, -0.5, -1.8, -0.7, -0.1, -1, -0.6],
    sampling=[-0.75, -0.9, -0.4, -0.85, -1.3, -0.6, -0.7, -0.4, -1.2, -0.8, -0.1, -1.9, -0.7],
    entropy=[0.9, 1.2, 0.3, 0.8, 1.4, 0.5, 0.7, 0.6, 1.6, 1, 0.2, 1.1, 0.4],
)

NONE = [0.65, -0.15, -0.15, -0.35]
ON_POLICY = dict(old=FIXTURE["logp"])
PLAIN = dict(beta=0.04, use_bias_correction_kl=False)
SEQUENCE = dict(importance_sampling_level="sequence")
D = "dapo"
# TRL's temperature has torch's default precision, which was single when these were printed.
SINGLE = torch.tensor(1.05, dtype=torch.float32).item()


def correct(mode, high, low=None):
    return dict(
        importance_sampling_mode=mode,
        importance_sampling_clip_max=high,
        importance_sampling_clip_min=low,
    )


# Loss, columns other than FIXTURE's, settings, and the numbers as they were once printed: by TRL at
# f2cd57710 (1.10.0.dev0), and where `by` says so by NeMo-RL at 7ea279abf.
PRINTED = [
    ("grpo", {}, {}, dict(
        loss=-0.04907681, region=0.307692, low=0.230769, high=0.076923, low_min=0, high_max=0.25,
        entropy=0.823077,
        grad=[0, -0.091586, -0.101218, -0.091586, 0, 0.034420, 0.028180, 0.021135, 0, 0.021135,
              0.023358, 0.098631, 0])),
    ("grpo", ON_POLICY, {}, dict(loss=0.0)),
    ("bnpo", {}, {}, dict(loss=-0.19585359)),
    ("dr_grpo", {}, {}, dict(
        loss=-0.07956552,
        grad=[0, -0.045793, -0.050609, -0.045793, 0, 0.012907, 0.010568, 0.010568, 0, 0.010568,
              0.011679, 0.024658, 0])),
    (D, {}, {}, dict(
        loss=-0.19585359,
        grad=[0, -0.112721, -0.124577, -0.112721, 0, 0.031772, 0.026013, 0.026013, 0, 0.026013,
              0.028748, 0.060696, 0])),
    (D, dict(advantage=NONE), {}, dict(loss=-0.08687500)),
    (D, {}, dict(epsilon_high=0.28), dict(loss=-0.19826614, region=0.230769)),
    (D, {}, dict(delta=1.1), dict(loss=-0.18455531, high=0)),
    ("grpo", {}, PLAIN, dict(loss=-0.04873473, kl=0.008266)),
    (D, {}, PLAIN, dict(
        loss=-0.19552295, kl=0.008266,
        grad=[0.000293, -0.112429, -0.124577, -0.112429, -0.000324, 0.031772, 0.026570, 0.026305,
              -0.000681, 0.025331, 0.028748, 0.060015, 0])),
    (D, {}, dict(beta=0.04), dict(loss=-0.19555349, kl=0.007503)),
    ("grpo", {}, SEQUENCE, dict(
        loss=-0.07699553, region=0,
        grad=[-0.098719] * 4 + [0.027257] * 3 + [0.018652] * 4 + [0.080752] * 2)),
    (D, {}, SEQUENCE, dict(loss=-0.21931125)),
    ("cispo", {}, dict(epsilon_high=1.25), dict(
        loss=0.07751642, cispo=0,
        grad=[-0.137678, -0.112721, -0.124577, -0.112721, 0.019271, 0.031772, 0.026013, 0.026013,
              0.014276, 0.026013, 0.028748, 0.060696, 0.040686])),
    ("cispo", {}, dict(epsilon_high=1.05), dict(loss=0.06809335, cispo=0.153846)),
    ("sapo", {}, dict(sapo_temperature_neg=SINGLE), dict(
        loss=-0.10509302,
        grad=[-0.110504, -0.091586, -0.100939, -0.091586, 0.020495, 0.033959, 0.028180, 0.021135,
              0.010972, 0.021135, 0.023287, 0.098631, 0.064173])),
    ("luspo", {}, SEQUENCE, dict(loss=-0.71276156)),
    ("vespo", {}, {}, dict(
        loss=0.01450970, phi=0.651635,
        grad=[-0.071905] * 4 + [0.023311] * 3 + [0.012750] * 4 + [0.035348] * 2)),
    # Printed for 0.5, where the threshold is a token's own entropy, 0.8: rounded to single precision
    # it was above it. 0.49 keeps what that kept; single-precision entropies do not have the problem.
    (D, {}, dict(top_entropy_quantile=0.49), dict(loss=-0.11965819)),
    (D, {}, dict(top_entropy_quantile=0.2), dict(loss=-0.07110125)),
    (D, {}, dict(off_policy_mask_threshold=0.05), dict(loss=-0.29743744)),
    (D, ON_POLICY, {}, dict(loss=-0.14740502)),
    (D, ON_POLICY, PLAIN, dict(loss=-0.14707438)),
    (D, {}, dict(entropy_coef=0.01), dict(loss=-0.20408436, policy_loss=-0.195854)),
    (D, {}, dict(mask_truncated_completions=True), dict(loss=-0.42963185, entropy=0.811111)),
    ("grpo", {}, dict(mask_truncated_completions=True), dict(loss=-0.13161368)),
    (D, {}, correct("token_truncate", 2.0), dict(loss=-0.12220036, gap=0.161538, gap_max=0.7)),
    (D, {}, correct("token_mask", 1.2), dict(loss=-0.32364960)),
    (D, {}, correct("sequence_truncate", 3.0), dict(loss=-0.04447430)),
    (D, {}, correct("sequence_mask", 3.0), dict(loss=-0.37223370)),
    (D, {}, dict(clip_ratio_c=1.1), dict(by="NeMo-RL", loss=-0.19914611)),
    (D, {}, dict(PLAIN, kl_estimator="k1"), dict(by="NeMo-RL", loss=-0.19616128)),
    (D, {}, dict(PLAIN, kl_estimator="k2"), dict(by="NeMo-RL", loss=-0.19553051)),
    (D, {}, dict(PLAIN, kl_gradient="score_function"), dict(
        by="NeMo-RL", loss=-0.19552295, grad=[0.000308, -0.112414, -0.124577, -0.112414])),
    ("cispo_minimax", {}, {}, dict(by="NeMo-RL", loss=0.05637716)),
    (D, {}, correct("token_truncate", 10.0), dict(by="NeMo-RL", loss=-0.12136562, ratio=1.124136)),
    (D, {}, correct("token_truncate", 1.2, 0.0), dict(by="NeMo-RL", loss=-0.19254584)),
    (D, {}, correct("token_mask", 1.2, 0.9), dict(by="NeMo-RL", loss=-0.34068748)),
]


def advantages(rewards_per_func, weights, group, scale, how):
    me = SimpleNamespace(
        multi_objective_aggregation=how,
        reward_weights=torch.tensor(weights),
        scale_rewards=scale,
        num_generations=group,
        reward_funcs=rewards_per_func[0],
    )
    rewards_per_func = torch.tensor(rewards_per_func)
    space = dict(
        module.__dict__,
        self=me,
        device="cpu",
        num_generations=group,
        rewards_per_func=rewards_per_func,
        unscorable_mask=torch.isnan(rewards_per_func).all(dim=1),
    )
    exec(AGGREGATION, space)
    return torch.nan_to_num(space["advantages"], nan=0.0).tolist()


def reinforce(rewards, lengths, group):
    """NeMo-RL's ReinforcePlusPlusAdvantageEstimator."""
    r = torch.tensor(rewards).view(-1, group)
    adv = (r - r.mean(dim=1, keepdim=True)).view(-1, 1).expand(len(rewards), max(lengths))
    mask = padded([1.0] * sum(lengths), lengths)
    mean = (adv * mask).sum() / mask.sum()
    var = ((adv - mean).pow(2) * mask).sum() / mask.sum()
    return ((adv - mean) * var.clamp(min=1e-8).rsqrt())[:, 0].tolist()


def leave_one_out(rewards, group, scaled):
    """NeMo-RL's formula (4.2 of its advantage table); rloo is the same without the deviation."""
    result = []
    for i, r in enumerate(rewards):
        first = i // group * group
        others = torch.tensor([x for j, x in enumerate(rewards[first : first + group], first) if j != i])
        n = len(others)
        var = (others.square().mean() - others.mean().square()).clamp(min=0)
        std = (var * n / (n - 1)).sqrt().item()
        advantage = r - others.mean().item()
        result.append(advantage / (std + 1e-6) if scaled and std > 1e-7 else advantage)
    return result


def advantage_cases():
    rng = random.Random(3)
    rows = []
    for rewards, group in [
        ([1.0, 0.2, 0.2, 0.0], 4),
        ([1.0, 0.2, 0.2, 0.0, 0.2, 0.2, 0.2, 0.2], 4),
        ([rng.gauss(0, 1) for _ in range(24)], 8),
        ([rng.random() for _ in range(6)], 3),
    ]:
        lengths = [rng.randint(1, 9) for _ in rewards]
        columns = [[r] for r in rewards]
        trl_s = {
            scale: advantages(columns, [1.0], group, scale, "sum_then_normalize")
            for scale in ("group", "batch", "none")
        }
        rows.append(
            dict(
                rewards=rewards,
                group=group,
                lengths=lengths,
                advantages={
                    **trl_s,
                    "loo": leave_one_out(rewards, group, True),
                    "rloo": leave_one_out(rewards, group, False),
                    "reinforce++": reinforce(rewards, lengths, group),
                },
            )
        )
    gdpo = []
    for parts, weights, group in [
        ([[1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]], [0.2, 0.8], 4),
        ([[rng.random() for _ in range(12)] for _ in range(3)], [0.5, 1.0, 0.25], 4),
        ([[rng.gauss(0, 1) for _ in range(8)], [math.nan] * 2 + [1.0, 0.0, 1.0, 1.0, 0.0, 1.0]], [1.0, 2.0], 4),
        ([[math.nan] + [rng.random() for _ in range(7)], [math.nan] + [rng.random() for _ in range(7)]], [1.0, 1.0], 4),
    ]:
        columns = [list(column) for column in zip(*parts)]
        gdpo.append(
            dict(
                components=[[None if math.isnan(x) else x for x in part] for part in parts],
                weights=weights,
                group=group,
                advantages=advantages(columns, weights, group, "group", "normalize_then_sum"),
            )
        )
    return dict(totals=rows, gdpo=gdpo)


def adaptive_entropy():
    """The controller of _compute_loss over ten steps of changing entropy."""
    rng = random.Random(5)
    given = dict(entropy_target=1.0, entropy_coef_delta=0.005, entropy_coef_min=0.0, entropy_coef_max=0.012)
    me = None
    steps = []
    for _ in range(10):
        entropy = rng.choice([0.5, 0.7, 1.6])
        settings = dict(DEFAULTS, **given, steps_per_generation=1)
        l = torch.zeros(1, 2, requires_grad=True)
        h = torch.full((1, 2), entropy, requires_grad=True)
        if me is None:
            me = SimpleNamespace(
                **DEFAULTS,
                args=SimpleNamespace(**settings),
                accelerator=Local(),
                model=SimpleNamespace(training=True),
                aux_loss_enabled=False,
                epsilon_low=0.2,
                current_gradient_accumulation_steps=1,
                use_vllm=False,
                use_adaptive_entropy=True,
                _entropy_bonus_enabled=True,
                _last_world_entropy=float("inf"),
                _entropy_window_stats=None,
                _metrics=dict(train=defaultdict(list)),
            )
            me.epsilon_high = 0.2
            me.entropy_coef = 0.004
        me._get_per_token_logps_and_entropies = lambda *a, **k: (l, h, None)
        one = torch.ones(1, 2)
        inputs = dict(
            prompt_ids=one, prompt_mask=one, completion_ids=one, completion_mask=one,
            advantages=torch.zeros(1), num_items_in_batch=torch.tensor(2.0),
        )
        loss_function([])(me, None, inputs).backward()
        steps.append(dict(entropy=entropy, active=-h.grad.sum().item(), coef=me.entropy_coef))
    return dict(settings=given, coef=0.004, steps=steps)


def finite(value):
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def main():
    batches = make_batches()
    fixture = dict(FIXTURE)
    fixture["advantage"] = advantages(
        [[1.0], [0.2], [0.2], [0.0]], [1.0], 4, "group", "sum_then_normalize"
    )
    batches["fixture"] = fixture
    rows = []
    for name, given in cases(batches):
        settings = dict(DEFAULTS, **given)
        if settings["use_bias_correction_kl"] == CONFIG["use_bias_correction_kl"]:
            given.pop("use_bias_correction_kl", None)
        rows.append(dict(batch=name, settings=given, **run(batches[name], settings)))
    printed = []
    for loss, columns, given, numbers in PRINTED:
        settings = dict(DEFAULTS, loss_type=loss, **given)
        result = run(dict(fixture, **columns), settings)
        given = dict(loss_type=loss, **given)
        printed.append(dict(settings=given, columns=columns, printed=numbers, **result))
    golden = dict(
        versions=dict(trl=trl.__version__, torch=torch.__version__),
        defaults=CONFIG,
        batches=batches,
        printed=printed,
        cases=rows,
        advantages=advantage_cases(),
        adaptive=adaptive_entropy(),
    )
    lists = lambda value: json.dumps(finite(value))
    print("{")
    for key in ("versions", "defaults", "batches", "printed", "advantages", "adaptive"):
        print(f'"{key}": {lists(golden[key])},')
    print('"cases": [\n' + ",\n".join(lists(row) for row in rows) + "\n]\n}")


main()
