"""Weights and inputs from a hash: the Python half of test/helpers/wide-values.ts.

A value depends on the tensor's name, its shape and its index alone, is exactly a bf16 value, and is
the same in both languages.
"""

import json
import os
import re

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(HERE, "recipe.json")) as _f:
    RECIPE = json.load(_f)

SLICE = 1 << 20  # pairs at a time: the temporaries stay in the cache


def mix(h, second_key):
    """The finaliser of MurmurHash3 with a second key between its halves; uint32 in place."""
    h ^= h >> np.uint32(16)
    h *= np.uint32(0x85EBCA6B)
    h += np.uint32(second_key)
    h ^= h >> np.uint32(13)
    h *= np.uint32(0xC2B2AE35)
    h ^= h >> np.uint32(16)
    return h


def _levels():
    h = mix(np.arange(1, 2049, dtype=np.uint32), 0).astype(np.int64)
    level = (h & 63) + ((h >> 6) & 63) + ((h >> 12) & 63) + ((h >> 18) & 63) - 126
    return np.concatenate([level, -level])


LEVELS = _levels()


def fnv1a(text):
    h = 0x811C9DC5
    for c in text.encode("ascii"):
        h = ((h ^ c) * 0x01000193) & 0xFFFFFFFF
    return h


def bf16_bits(values):
    """float64 to bf16 by way of float32, ties to even."""
    bits = values.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def table(name, shape):
    rule = next(r for r in RECIPE["rules"] if re.search(r["match"], name))
    fan_in = int(np.prod(shape[1:], dtype=np.int64))
    step = rule.get("sigma", rule.get("gain", 0) / np.sqrt(np.float64(fan_in))) / 37
    return bf16_bits(rule.get("offset", 0) + LEVELS * np.float64(step))


def fill(name, shape, out):
    """Writes the tensor into `out` (flat float32) and returns the sum of its words mod 2^32.

    A word holds two bf16 values, the earlier one in the low half.
    """
    values, key, second_key = table(name, shape), fnv1a(name), fnv1a(name + "#")
    as_f32 = (values.astype(np.uint32) << 16).view(np.float32)
    assert out.size % 2 == 0 and out.size == np.prod(shape, dtype=np.int64)
    pairs, total = out.reshape(-1, 2), 0
    for start in range(0, len(pairs), SLICE):
        part = pairs[start : start + SLICE]
        first = np.uint32((start + key) & 0xFFFFFFFF)
        h = mix(np.arange(len(part), dtype=np.uint32) + first, second_key)
        low, high = h & np.uint32(4095), h >> np.uint32(20)
        part[:, 0], part[:, 1] = as_f32[low], as_f32[high]
        total += int(values[low].sum(dtype=np.uint64)) + (int(values[high].sum(dtype=np.uint64)) << 16)
    return total & 0xFFFFFFFF


def wide_input(name, shape):
    out = np.empty(int(np.prod(shape)), np.float32)
    fill(name, [out.size], out)
    return out.reshape(shape)
