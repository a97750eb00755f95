"""TRL's GRPOTrainer with fixed completions, and what it takes in place of a processor."""

from types import SimpleNamespace

import torch
from transformers import ProcessorMixin
from trl import GRPOTrainer


class Processor(ProcessorMixin):
    """What TRL asks of a processor; a conversation is the number of its prompt."""

    def __init__(self, batch):
        sp = batch.special
        ids = {"<|image_pad|>": sp["image"], "<|video_pad|>": sp["video"]}
        self.batch = batch
        self.tokenizer = SimpleNamespace(
            pad_token="pad", pad_token_id=sp["pad"], eos_token_id=sp["im_end"],
            bos_token_id=sp["im_start"], unk_token_id=None,
            convert_tokens_to_ids=ids.get)

    def apply_chat_template(self, conversation, **_):
        return next(part["text"] for part in conversation[-1]["content"] if part["type"] == "text")

    def __call__(self, images=None, text=None, **_):
        """Patches of the listed images, in the order of the texts, as from a real processor."""
        return self.batch.media(images)

    def batch_decode(self, sequences, **_):
        return [" ".join(map(str, ids)) for ids in sequences]


class FixedGRPOTrainer(GRPOTrainer):
    """Overrides tokenization and sampling; the other overrides call TRL's method and record."""

    def __init__(self, batch, named, **kw):
        self.batch, self.named = batch, named
        self.generated, self.micro, self.seen, self.updates = [], [], [], []
        self.gradients = []
        super().__init__(**kw)

    # Fixed instead of tokenized and sampled.

    def _tokenize_prompts(self, prompts):
        self.numbers = [int(self.processing_class.apply_chat_template(p)) for p in prompts]
        images = [[part["image"] for part in p[-1]["content"] if part["type"] == "image"] or None
                  for p in prompts]
        return [self.batch.prompts[n].ids[0].tolist() for n in self.numbers], images, {}

    def _generate_single_turn(self, prompt_ids, images, multimodal_fields, num_generations, **_):
        place = [(n, i % num_generations) for i, n in enumerate(self.numbers)]
        assert all(n == self.numbers[i - k] for i, (n, k) in enumerate(place))
        return [self.batch.completions[n][k] for n, k in place], None

    # Recorded.

    def _generate_and_score_completions(self, inputs):
        out = super()._generate_and_score_completions(inputs)
        rows = torch.arange(len(inputs))
        self.generated.append(dict(out, numbers=self.numbers))
        # `row` goes through TRL's shuffle and split with the rest, and nothing reads it.
        return dict(out, row=rows, generation=torch.tensor(len(self.generated) - 1))

    def _get_per_token_logps_and_entropies(self, model, *args, **kw):
        out = super()._get_per_token_logps_and_entropies(model, *args, **kw)
        self.seen.append(out)
        return out

    def _compute_loss(self, model, inputs):
        self.seen = []
        loss = super()._compute_loss(model, inputs)
        (log_probs, entropies, _), = self.seen
        self.micro.append(dict(rows=inputs["row"], generation=int(inputs["generation"]),
                               loss=loss.detach(), log_probs=log_probs.detach(),
                               entropies=entropies.detach(), inputs=inputs))
        return loss

    def training_step(self, *args, **kw):
        out = super().training_step(*args, **kw)
        if self.accelerator.sync_gradients:
            grads = {n: p.grad.detach().clone() for n, p in self.named.items()}
            norm = torch.stack([g.double().norm() for g in grads.values()]).norm()
            self.updates.append((self.micro, norm))
            self.micro = []
            self.gradients.append(grads)
        return out

    def tensors(self):
        """What was recorded, by row of the generation batch where TRL has it shuffled."""
        generations, updates = len(self.generated), len(self.updates)
        longest = max(g["completion_ids"].shape[1] for g in self.generated)
        rows = len(self.generated[0]["advantages"])
        table = lambda n: torch.zeros(n, rows, longest, dtype=self.generated[0]["advantages"].dtype)
        log_probs, entropies = table(updates), table(updates)
        old, reference = table(generations), table(generations)
        weights = torch.zeros(updates, rows, dtype=torch.float64)
        for u, (micro, _) in enumerate(self.updates):
            for m in micro:
                width = m["log_probs"].shape[1]
                mask = m["inputs"]["completion_mask"]
                log_probs[u, m["rows"], :width] = m["log_probs"] * mask
                entropies[u, m["rows"], :width] = m["entropies"] * mask
                before = m["inputs"].get("old_per_token_logps", m["log_probs"])
                old[m["generation"], m["rows"], :width] = before * mask
                if self.beta != 0:
                    at_start = m["inputs"]["ref_per_token_logps"] * mask
                    reference[m["generation"], m["rows"], :width] = at_start
                weights[u, m["rows"]] = self.token_weights(m, len(micro))
        out = dict(
            rows=torch.stack([torch.stack([m["rows"] for m in ms]) for ms, _ in self.updates]),
            generation=torch.tensor([ms[0]["generation"] for ms, _ in self.updates]),
            prompts=torch.tensor([g["numbers"][::self.num_generations] for g in self.generated]),
            advantages=torch.stack([g["advantages"] for g in self.generated]),
            num_items=torch.stack([g["num_items_in_batch"] for g in self.generated]),
            completion_lengths=torch.stack([g["completion_mask"].sum(1) for g in self.generated]),
            losses=torch.stack([torch.stack([m["loss"] for m in ms]) for ms, _ in self.updates]),
            grad_norms=torch.stack([norm for _, norm in self.updates]),
            log_probs=log_probs, entropies=entropies, old_log_probs=old, token_weights=weights)
        if self.beta != 0:
            out["reference_log_probs"] = reference
        return out

    def token_weights(self, micro, count):
        """Weight of each token of the micro-batch's rows, by the README's normalisers."""
        lengths = micro["inputs"]["completion_mask"].sum(1).double()
        ones = torch.ones_like(lengths)
        if self.loss_type == "grpo":
            return 1 / (count * len(lengths) * lengths.clamp(min=1))
        if self.loss_type == "bnpo":
            return ones / (count * lengths.sum())
        if self.loss_type == "dr_grpo":
            return ones / (count * len(lengths) * self.max_completion_length)
        items = micro["inputs"]["num_items_in_batch"].double()
        return ones / (items * count / self.args.steps_per_generation)
