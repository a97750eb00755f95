"""Learning rates of transformers' schedules, for test/train/schedule.test.ts.

Written with transformers 4.57.6 and torch 2; run: python make-schedules.py > schedules.json
"""

import json

import torch
from transformers import get_scheduler

PEAK, TOTAL = 3e-4, 24
CASES = [
    dict(lr_scheduler_type="constant", warmup_steps=5),
    dict(lr_scheduler_type="constant_with_warmup", warmup_steps=5),
    dict(lr_scheduler_type="linear", warmup_steps=0),
    dict(lr_scheduler_type="linear", warmup_steps=6),
    dict(lr_scheduler_type="cosine", warmup_steps=4),
    dict(lr_scheduler_type="cosine", warmup_steps=4, min_lr_ratio=0.05),
    dict(lr_scheduler_type="warmup_stable_decay", warmup_steps=3, lr_decay_steps=8, min_lr_ratio=0.05),
    dict(lr_scheduler_type="warmup_stable_decay", warmup_steps=3, lr_decay_steps=8),
]

rows = []
for case in CASES:
    name, floor, extra = case["lr_scheduler_type"], case.get("min_lr_ratio", 0), {}
    if name == "cosine" and floor:
        name, extra = "cosine_with_min_lr", dict(min_lr_rate=floor)
    if name == "warmup_stable_decay":
        decay = case["lr_decay_steps"]
        extra = dict(num_decay_steps=decay, decay_type="linear", min_lr_ratio=floor)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler = get_scheduler(
        name, optimizer, case["warmup_steps"], TOTAL, scheduler_specific_kwargs=extra or None
    )
    rates = []
    for _ in range(TOTAL):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    rows.append(dict(settings=dict(learning_rate=PEAK, **case), rates=rates))
print(json.dumps(dict(total=TOTAL, cases=rows)))
