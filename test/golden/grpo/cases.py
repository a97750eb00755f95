"""Prompts, completions and rewards of the GRPO goldens, and a check of the README's formulas."""

import common
import torch
from common import i32

vl = common.script("vl", "make_goldens")
GENERATIONS = 4
TEMPERATURE = 0.9
# Prompts in the order of the data set; two make a generation batch.
MEDIA = [[], [("image", (1, 6, 4))],
         [("image", (1, 4, 4)), common.words(61, 2), ("image", (1, 2, 6))], [],
         [("image", (1, 4, 2))], []]
STARTS = [0, 0, 30, 0, 70, 0]
# Lengths by prompt and completion; 14 is the limit, and those of -14 do not end in im_end there.
LENGTHS = [[7, -14, 1, 4], [5, 9, 14, 3], [6, 2, 11, 8],
           [10, 1, 5, 9], [3, -14, 8, 6], [12, 4, -14, 1]]
# The last text has equal rewards: its advantages are 0.
REWARDS = [[1.0, 0.2, 0.0, 0.35], [0.0, 0.9, 0.3, 0.3], [0.25, 0.5, 1.2, 0.0],
           [0.7, 0.0, 0.1, 1.0], [0.15, 1.0, 0.6, 0.0], [0.5, 0.5, 0.5, 0.5]]


def table(completions, rewards, **_):
    """The reward function: each row's own entry of the fixed table."""
    return [rewards[i][i % GENERATIONS] for i in range(len(completions))]


def sample(model, case, length, seed, end):
    """A completion from the starting policy, of ordinary words; ends in `end` where that is said."""
    gen = torch.Generator().manual_seed(seed)
    kw = vl.forward_kwargs(case)
    del kw["labels"]
    ids, positions, nxt = case.ids, case.positions, int(case.positions.max()) + 1
    words = length if end is None else length - 1
    for step in range(words):
        kw.update(input_ids=ids, attention_mask=torch.ones_like(ids), position_ids=positions)
        with torch.no_grad():
            logits = model(**kw, use_cache=False).logits[0, -1, :140].double() / TEMPERATURE
        token = torch.multinomial(logits.softmax(-1), 1, generator=gen).reshape(1, 1)
        ids = torch.cat([ids, token], dim=1)
        positions = torch.cat([positions, torch.full((3, 1, 1), nxt + step)], dim=2)
    return ids[0, case.ids.shape[1]:].tolist() + ([] if end is None else [end])


class Batch:
    """All prompts with their completions."""

    def __init__(self, model):
        self.special = sp = vl.A
        self.prompts = [
            vl.Case(model, sp, vl.turn(sp, 60 + 7 * i, 2 + i % 3, media, 3 + i, 12),
                    start=STARTS[i]).prompt()
            for i, media in enumerate(MEDIA)]
        self.completions = [
            [sample(model, case, abs(n), 900 + 10 * p + k, None if n < 0 else sp["im_end"])
             for k, n in enumerate(LENGTHS[p])] for p, case in enumerate(self.prompts)]

    def rows(self):
        """The data set as TRL takes it; an image is its patch rows of the pool and its grid."""
        out = []
        for number, case in enumerate(self.prompts):
            at, images = case.image_range[0], []
            for grid in case.image_grid.tolist():
                count = grid[0] * grid[1] * grid[2]
                images.append({"begin": at, "end": at + count, "grid": grid})
                at += count
            out.append(dict(prompt=[{"role": "user", "content": str(number)}], images=images,
                            rewards=REWARDS[number]))
        return out

    def media(self, images):
        flat = [image for of_row in images for image in of_row or []]
        pool = common.pixel_pool().to(torch.float32)
        return dict(pixel_values=torch.cat([pool[image["begin"]:image["end"]] for image in flat]),
                    image_grid_thw=torch.tensor([image["grid"] for image in flat]))

    def tensors(self):
        out = {"rewards": torch.tensor(REWARDS)}
        for p, case in enumerate(self.prompts):
            inputs = {n: v for n, v in case.inputs().items() if n != "labels"}
            inputs["next_position"] = i32([int(case.positions.max()) + 1])
            out.update(common.row(inputs, p))
            for k, ids in enumerate(self.completions[p]):
                out[f"completion.{p}.{k}"] = i32(ids)
        return out


def token_losses(run, policy, old, reference, advantage):
    """Loss per token by the README's formulas."""
    ratio = (policy - old).exp()
    clipped = ratio.clamp(1 - run.epsilon_low, 1 + run.epsilon_high)
    loss = -torch.min(ratio * advantage, clipped * advantage)
    if run.loss_type == "cispo":
        loss = -ratio.clamp(max=run.epsilon_high) * advantage * policy
    if run.beta != 0:
        kl = (reference - policy).exp() - (reference - policy) - 1
        loss = loss + run.beta * kl * (ratio if run.args.use_bias_correction_kl else 1)
    return loss


def check(run, batch):
    """The recorded numbers follow from each other, and log-probabilities from unpadded passes."""
    out = run.tensors()
    near = lambda a, b, by: torch.testing.assert_close(
        torch.as_tensor(a).double(), torch.as_tensor(b).double(), rtol=by, atol=by)
    logged = [e for e in run.state.log_history if "grad_norm" in e]
    near([e["grad_norm"] for e in logged], out["grad_norms"], 1e-5)
    near([e["loss"] for e in logged], out["losses"].sum(1), 6e-5)
    steps = torch.arange(out["log_probs"].shape[2])
    for u, g in enumerate(out["generation"].tolist()):
        mask = (steps < out["completion_lengths"][g][:, None]).double()
        reference = out.get("reference_log_probs", out["old_log_probs"])[g]
        loss = token_losses(run, out["log_probs"][u].double(), out["old_log_probs"][g].double(),
                            reference.double(), out["advantages"][g].double()[:, None])
        by_row = (loss * mask).sum(1) * out["token_weights"][u].double()
        near(by_row[out["rows"][u]].sum(1), out["losses"][u], 2e-6)
    for g, generated in enumerate(run.generated):
        rewards = torch.tensor(REWARDS)[generated["numbers"][::GENERATIONS]].double()
        spread = rewards.std(1, keepdim=True)
        divisors = {"group": spread + 1e-4, "batch": rewards.std() + 1e-4, "none": 1}
        centred = rewards - rewards.mean(1, keepdim=True)
        near((centred / divisors[run.scale_rewards]).flatten(), out["advantages"][g], 1e-5)
    fresh = vl.load("tiny-a")
    for row, number in enumerate(run.generated[0]["numbers"]):
        length = int(out["completion_lengths"][0, row])
        if length > 0 and row in out["rows"][0]:
            near(alone(fresh, batch, number, row % GENERATIONS), out["log_probs"][0, row, :length],
                 5e-5)


def alone(model, batch, number, k):
    """Log-probabilities of one completion in a pass without padding, at the README's positions."""
    case, completion = batch.prompts[number], torch.tensor([batch.completions[number][k]])
    nxt, length = int(case.positions.max()) + 1, completion.shape[1]
    kw = vl.forward_kwargs(case)
    del kw["labels"]
    ids = torch.cat([case.ids, completion], dim=1)
    tail = torch.arange(nxt, nxt + length).expand(3, 1, length)
    kw.update(input_ids=ids, attention_mask=torch.ones_like(ids),
              position_ids=torch.cat([case.positions, tail], dim=2))
    with torch.no_grad():
        logits = model(**kw, use_cache=False).logits[0, -length - 1:-1]
    return (logits / TEMPERATURE).log_softmax(-1).gather(1, completion[0][:, None])[:, 0]
