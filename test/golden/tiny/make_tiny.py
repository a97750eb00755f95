"""Goldens of the tiny checkpoint: token ids by the Rust tokenizer, and the prompt by the processor.

    python test/golden/tiny/make_tiny.py            (transformers 4.57.6, numpy)

Reads assets/tiny; writes tiny.json beside itself.
"""
import json
import os
import random

import numpy as np
import transformers
from transformers import AutoTokenizer, Qwen2_5OmniProcessor, Qwen2VLImageProcessor, Qwen2VLVideoProcessor, WhisperFeatureExtractor

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "..", "..", "..", "assets", "tiny")
tokenizer = AutoTokenizer.from_pretrained(FOLDER)

words = (" Which colour sound is shown heard goes with ? red green blue yellow purple white horn bell hiss chirp "
         "buzz whistle first second third last").split(" ")[1:]
pieces = ([" " + w for w in words] + words + ["A", "B", "C", "D", "\n", " ", "  ", "\t", ".", ",", "12", "3.5", "don't",
          "<think>", "</think>", "<answer>", "</answer>", "<|im_start|>", "<|im_end|>", "<|vision_bos|>", "<|VIDEO|>",
          "<|AUDIO|>", "<|endoftext|>", "user", "assistant", "system", "\u00e9", "\u00fc", "\u6f22\u5b57", "\U0001f642", "\u200b", "e\u0301", "\r\n",
          "<|", "|>", "</", "THIRD", " Red", "\u00df", "\u00a0", "\ufb01", "\x00", "\x7f"])
rng = random.Random(0)
strings = ["".join(rng.choice(pieces) for _ in range(rng.randint(1, 12))) for _ in range(180)]
strings += [
    "", " ", "\n\n\n", "   x", "x   ", "Hello, world!", "The quick brown fox jumps over 13 lazy dogs.", "a\n\n b\n",
    "<think> third red</think><answer>B</answer><|im_end|>", "<think>third red</think>", "it's WE'LL I'd",
    "\u00dcn\u00efc\u00f6d\u00e9 \u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u0939\u093f\u0928\u094d\u0926\u0940", "x" * 300, "1234567890", "e\u0301\u0301", "\ud55c\uad6d\uc5b4", "\U0001f600\U0001f44d\U0001f3fd", "a\u2028b",
    "\u1e9b\u0323", "<|im_start|>user\n Which colour is shown first ?\nA red\nB blue\nC white\nD green<|im_end|>\n",
]

processor = Qwen2_5OmniProcessor(
    image_processor=Qwen2VLImageProcessor.from_pretrained(FOLDER),
    video_processor=Qwen2VLVideoProcessor.from_pretrained(FOLDER),
    feature_extractor=WhisperFeatureExtractor.from_pretrained(FOLDER),
    tokenizer=tokenizer,
    chat_template=tokenizer.chat_template,
)
conversation = [{"role": "user", "content": [
    {"type": "video", "video": "clip.mp4"},
    {"type": "text", "text": " Which colour goes with hiss ?\nA red\nB blue\nC white\nD green"},
]}]
text = tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True)
prompts = {}
for samples in (32000, 31744):
    batch = processor(
        text=text, audio=[np.zeros(samples, np.float32)], videos=[np.zeros((8, 3, 56, 56), np.uint8)], images=None,
        fps=4, use_audio_in_video=True, seconds_per_chunk=1.0, position_id_per_seconds=25,
        size={"shortest_edge": 3136, "longest_edge": 602112}, return_tensors="pt")
    prompts[samples] = batch["input_ids"][0].tolist()
    print(samples, len(prompts[samples]), batch["video_grid_thw"].tolist(), batch["video_second_per_grid"])

json.dump({
    "versions": {"transformers": transformers.__version__},
    "tokens": [{"text": s, "ids": tokenizer(s)["input_ids"]} for s in strings],
    "prompt": {"text": text, "ids": prompts[32000], "idsOfFile": prompts[31744]},
}, open(os.path.join(HERE, "tiny.json"), "w"), ensure_ascii=True)
print(len(strings), "strings")
