"""Trains a small byte-level BPE tokenizer of the Qwen2 kind and encodes strings with it, by the
Rust library (through Python). Writes tokenizer.json and tokenizer-cases.json.
Run: python test/golden/text/make_tokenizer.py (versions are in tokenizer-cases.json)."""

import json
import pathlib
import platform
import random

import tokenizers
from pydoc_data.topics import topics
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers

# transformers, convert_slow_tokenizer.py (Qwen2Converter).
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>",
    "<|vision_bos|>", "<|vision_eos|>", "<|vision_pad|>", "<|IMAGE|>", "<|VIDEO|>",
]
PLAIN = ["<think>", "</think>", "<answer>", "</answer>"]
PIECES = [
    " ", "  ", "\n", "\r\n", "\t", " \n ", "\u3000", "\u00a0", "\u200b", "it's", "I'LL", "we've",
    "'S", "don't", "The", " the", " video", "123", "4567", "3.14", "\u0663", "\u00bd", "e\u0301",
    "\u00e9", "\u212b", "\ufb01", "\u4f60\u597d", "\u3053\u3093\u306b\u3061\u306f",
    "\ud55c\uad6d\uc5b4", "\u1112\u1161\u11ab", "\u0627\u0644\u0639\u0631", "\u05e9\u05dc",
    "\u0928\u092e\u0938\u094d\u0924\u0947", "\U0001f600", "\U0001f469\u200d\U0001f680",
    "\U0001f1e9\U0001f1ea", "\U00020000", "...", "?!", "-->", "foo_bar", "x=y+1;", "\\", "\"q\"",
    "\u201cq\u201d", "\u0130", "\u017f", "\u212a", "'\u017f", "\x00", "\x7f", "\u0085", "\ufeff",
    "\u0301", "ab\u0300c", "A", "B ", ".\n\n", "<|", "|>", "<answer", "< think>", "im_start",
] + SPECIAL + PLAIN

here = pathlib.Path(__file__).parent
tokenizer = Tokenizer(models.BPE())
tokenizer.normalizer = normalizers.NFC()
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
    pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
    pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
])
tokenizer.decoder = decoders.ByteLevel()
tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
trainer = trainers.BpeTrainer(
    vocab_size=900, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
)
corpus = [topics[name] for name in sorted(topics)] + PIECES * 20
tokenizer.train_from_iterator(corpus, trainer)
flags = {"normalized": False, "single_word": False, "lstrip": False, "rstrip": False}
tokenizer.add_special_tokens([AddedToken(t, special=True, **flags) for t in SPECIAL])
tokenizer.add_tokens([AddedToken(t, special=False, **flags) for t in PLAIN])
file = json.loads(tokenizer.to_str())
(here / "tokenizer.json").write_text(json.dumps(file, ensure_ascii=True) + "\n")

rng = random.Random(11)
texts = list(PIECES)
texts += ["".join(rng.choices(PIECES, k=rng.randint(2, 12))) for _ in range(300)]
words = topics["for"].split(" ")
for _ in range(60):
    start = rng.randrange(len(words) - 12)
    texts.append(" ".join(words[start : start + 12]))
cases = []
for text in texts:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    cases.append([text, ids, tokenizer.decode(ids, skip_special_tokens=True)])
for _ in range(60):  # ids in any order: bytes that are no UTF-8
    ids = [rng.randrange(tokenizer.get_vocab_size() + 3) for _ in range(rng.randint(1, 9))]
    cases.append([None, ids, tokenizer.decode(ids, skip_special_tokens=True)])
versions = {"tokenizers": tokenizers.__version__, "python": platform.python_version()}
listing = {"versions": versions, "vocabSize": tokenizer.get_vocab_size(), "cases": cases}
(here / "tokenizer-cases.json").write_text(json.dumps(listing) + "\n")
