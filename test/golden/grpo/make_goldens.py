"""Golden files of whole GRPO steps: TRL's own GRPOTrainer on ../vl/tiny-a (f32, eager, CPU).

TRL samples nothing here and has no tokenizer: prompts, completions and rewards are fixed (cases.py).
All that follows, from advantages to AdamW, is TRL's code and that of transformers' Trainer.
README.md says what the files hold.

    python test/golden/grpo/make_goldens.py             # every run
    python test/golden/grpo/make_goldens.py grpo dapo   # these runs (runs.json keeps the others)
    NOISE=1 python ...                                  # also each run's distance from f64
"""

import json
import os
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", CI="1")
HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.dirname(HERE)]
import common  # noqa: E402
import cases  # noqa: E402
import torch  # noqa: E402
import trl  # noqa: E402
from common import i32, summary  # noqa: E402
from datasets import Dataset  # noqa: E402
from fixed import FixedGRPOTrainer, Processor  # noqa: E402
from runs import BATCH, LENGTH, RUNS  # noqa: E402
from transformers.trainer_callback import PrinterCallback  # noqa: E402
from trl import GRPOConfig  # noqa: E402

assert trl.__version__ == "1.16.0", trl.__version__
vl = cases.vl
FULL = {"model.layers.1.self_attn.q_proj.weight"}


def arguments(spec, folder):
    """Everything that differs from TRL's defaults."""
    common_args = dict(
        output_dir=folder, use_cpu=True, bf16=False, gradient_checkpointing=False, report_to="none",
        save_strategy="no", logging_steps=1, logging_first_step=True, disable_tqdm=True, seed=42,
        learning_rate=1e-3, lr_scheduler_type="constant", weight_decay=0.01, adam_epsilon=1e-6,
        max_grad_norm=1.0, optim="adamw_torch", shuffle_dataset=False, temperature=cases.TEMPERATURE,
        num_generations=cases.GENERATIONS, max_completion_length=LENGTH,
        max_steps=3, per_device_train_batch_size=BATCH)
    return GRPOConfig(**{**common_args, **spec["args"]})


def trained(model, which):
    """Freezes the tower if asked to; the trained parameters by the hub's names."""
    for name, p in model.named_parameters():
        p.requires_grad_(which == "all" or not vl.hub_name(name).startswith("visual."))
    return {vl.hub_name(n): p for n, p in model.named_parameters() if p.requires_grad}


def train(spec, batch):
    model = vl.load("tiny-a")
    if torch.float32 is torch.float64:  # the wide pass of NOISE
        model = model.double()
    named = trained(model, spec.get("trained", "decoder"))
    optimizers = (None, None)
    with tempfile.TemporaryDirectory() as folder:
        args = arguments(spec, folder)
        if spec.get("decay") == "all":
            optimizer = torch.optim.AdamW(
                list(named.values()), lr=args.learning_rate, eps=args.adam_epsilon,
                betas=(args.adam_beta1, args.adam_beta2), weight_decay=args.weight_decay)
            optimizers = (optimizer, None)
        trainer = FixedGRPOTrainer(
            batch, named, model=model, args=args, processing_class=Processor(batch),
            reward_funcs=cases.table, train_dataset=Dataset.from_list(batch.rows()),
            optimizers=optimizers)
        if trainer.ref_model is not None:
            if torch.float32 is torch.float64:
                trainer.ref_model.double()
            for name, p in trainer.ref_model.named_parameters():
                assert torch.equal(p, model.get_parameter(name)), name
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return trainer, named


def listed(prefix, values, full):
    """Small tensors and those of `full` as they are, summaries of the others."""
    out = {}
    for name, value in values.items():
        small = name in full or value.numel() <= 67
        out[f"{prefix}{'' if small else '_summary'}.{name}"] = value if small else summary(value)
    return out


def stored(spec, trainer, named):
    """The tensors of a run, from what the trainer recorded."""
    out = {k: v.detach().float() if v.is_floating_point() else i32(v)
           for k, v in trainer.tensors().items()}
    full = FULL if spec.get("full") else set()
    out.update(listed("after", {n: p.detach() for n, p in named.items()}, full))
    if "gradient" in spec:
        out.update(listed("grad", trainer.gradients[spec["gradient"] - 1], full))
    return out


TIMES = ("step_time", "train_runtime", "train_samples_per_second", "train_steps_per_second",
         "total_flos", "epoch")
SETTINGS = [
    "loss_type", "beta", "use_bias_correction_kl", "scale_rewards", "epsilon", "epsilon_high",
    "num_iterations", "per_device_train_batch_size", "gradient_accumulation_steps",
    "steps_per_generation", "max_steps", "temperature", "max_completion_length", "num_generations",
    "learning_rate", "adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay", "max_grad_norm",
    "mask_truncated_completions", "importance_sampling_level"]


def undecayed(trainer):
    """Trained parameters that transformers' Trainer gives no weight decay."""
    decayed = set(trainer.get_decay_parameter_names(trainer.model))
    named = trainer.model.named_parameters()
    return [vl.hub_name(n) for n, p in named if p.requires_grad and n not in decayed]


def description(spec, trainer):
    logs = [{k: v for k, v in entry.items() if k not in TIMES and not k.startswith("profiling/")}
            for entry in trainer.state.log_history if "train_runtime" not in entry]
    return {"config": {n: getattr(trainer.args, n) for n in SETTINGS},
            "trained": spec.get("trained", "decoder"), "decay": spec.get("decay", "default"),
            "gradient_of_update": spec.get("gradient"), "logged": logs}


def wide(spec, batch, out):
    """Largest distances of the f32 run from the same run in f64."""
    f32, to_float = torch.float32, torch.Tensor.float
    try:
        torch.float32, torch.Tensor.float = torch.float64, torch.Tensor.double
        trainer, named = train(spec, batch)
        exact = {**trainer.tensors(), **{"after." + n: p.detach() for n, p in named.items()},
                 **{"grad." + n: g
                    for n, g in trainer.gradients[spec.get("gradient", 1) - 1].items()}}
    finally:
        torch.float32, torch.Tensor.float = f32, to_float
    far = lambda n: float((out[n].double() - exact[n].double()).abs().max())
    # Full tensors only: the rest are summaries.
    after = max(far(n) for n in out if n.startswith("after."))
    grads = max([float((out[n].double() - exact[n]).norm() / exact[n].norm())
                 for n in out if n.startswith("grad.")], default=0)
    rel = float(((out["grad_norms"] - exact["grad_norms"]).abs() / exact["grad_norms"]).max())
    print(f"   f32 against f64: log_probs {far('log_probs'):.1e}, losses {far('losses'):.1e}, "
          f"grad_norms {rel:.1e} relative, gradients {grads:.1e} relative, weights {after:.1e}")


def main():
    batch = cases.Batch(vl.load("tiny-a"))
    common.write(os.path.join(HERE, "inputs.safetensors"), batch.tensors(), "tiny-a")
    path = os.path.join(HERE, "runs.json")
    known = {"undecayed": {}, "runs": {}}
    if sys.argv[1:] and os.path.exists(path):
        with open(path) as f:
            known = json.load(f)
    runs, lists = known["runs"], known["undecayed"]
    for name in sys.argv[1:] or RUNS:
        trainer, named = train(RUNS[name], batch)
        out = stored(RUNS[name], trainer, named)
        cases.check(trainer, batch)
        source = f"trl {trl.__version__}, tiny-a"
        common.write(os.path.join(HERE, name + ".safetensors"), out, source)
        runs[name] = description(RUNS[name], trainer)
        lists[runs[name]["trained"]] = undecayed(trainer)
        clip = [e.get("clip_ratio/region_mean") for e in runs[name]["logged"]]
        print("   losses", [round(float(x), 6) for x in out["losses"].sum(1)],
              "norms", [round(float(x), 4) for x in out["grad_norms"]], "clipped", clip)
        if os.environ.get("NOISE"):
            wide(RUNS[name], batch, out)
    ordered = {name: runs[name] for name in RUNS if name in runs}
    common.write_json(path, {"undecayed": lists, "runs": ordered})


if __name__ == "__main__":
    main()
