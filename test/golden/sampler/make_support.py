"""Writes support.json: what transformers' logits processors leave of random logits.

Run with transformers 4.57.6: python test/golden/sampler/make_support.py
"""

import json
import pathlib

import torch
import transformers
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

CASES = [
    dict(temperature=1.0, topK=0, topP=1.0, minP=0.0, repetitionPenalty=1.0),
    dict(temperature=0.7, topK=20, topP=1.0, minP=0.0, repetitionPenalty=1.0),
    dict(temperature=1.0, topK=0, topP=0.9, minP=0.0, repetitionPenalty=1.0),
    dict(temperature=1.3, topK=0, topP=1.0, minP=0.05, repetitionPenalty=1.0),
    dict(temperature=0.9, topK=30, topP=0.8, minP=0.02, repetitionPenalty=1.0),
    dict(temperature=0.9, topK=30, topP=0.8, minP=0.02, repetitionPenalty=1.3),
    dict(temperature=1.5, topK=50, topP=0.99, minP=0.0, repetitionPenalty=1.05),
]


def run(case, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, 90, generator=generator) * 3
    present = torch.randint(0, 90, (1, 15), generator=generator)
    scores = RepetitionPenaltyLogitsProcessor(case["repetitionPenalty"])(present, logits.clone())
    scores = TemperatureLogitsWarper(case["temperature"])(present, scores)
    if case["topK"] > 0:
        scores = TopKLogitsWarper(case["topK"])(present, scores)
    if case["topP"] < 1:
        scores = TopPLogitsWarper(case["topP"])(present, scores)
    if case["minP"] > 0:
        scores = MinPLogitsWarper(case["minP"])(present, scores)
    logp = torch.log_softmax(scores.double(), -1)[0]
    kept = torch.isfinite(scores[0]).nonzero()[:, 0]
    return dict(
        options=case, logits=logits[0].double().tolist(), present=present[0].tolist(),
        kept=kept.tolist(), logp=logp[kept].tolist(),
    )


cases = [run(case, 10 * i + j) for i, case in enumerate(CASES) for j in range(3)]
path = pathlib.Path(__file__).with_name("support.json")
path.write_text(json.dumps(dict(transformers=transformers.__version__, cases=cases)) + "\n")
