"""Renders 900 random conversations with the built-in chat templates of the three families, by
transformers, from the very template texts that the TypeScript exports. Writes prompts.json.
Run: python test/golden/text/make_prompts.py (versions are in prompts.json; needs node)."""

import hashlib
import json
import pathlib
import platform
import random
import subprocess

import jinja2
import transformers
from transformers.models.qwen2_audio.processing_qwen2_audio import Qwen2AudioProcessor
from transformers.utils.chat_template_utils import render_jinja_template

here = pathlib.Path(__file__).parent
EXPORT = """
import * as omni from "./src/text/chat-template.ts";
import * as others from "./src/text/built-in-templates.ts";
const all = { ...omni, ...others };
console.log(JSON.stringify({
  omni: all.OMNI_CHAT_TEMPLATE, vl: all.QWEN2_5_VL_CHAT_TEMPLATE,
  audio: all.QWEN2_AUDIO_CHAT_TEMPLATE,
}));
"""
command = ["node", "--import", "tsx", "--input-type=module", "-e", EXPORT]
templates = json.loads(subprocess.check_output(command, cwd=here.parents[2]))
default_audio = Qwen2AudioProcessor.default_chat_template.fget(None)

rng = random.Random(5)
TEXTS = [
    "Q?", "What is it?", " lead", "trail ", "a\n", "\n\nb", "", " ", "{{ x }}", "{% endif %}", "{# c #}",
    "<b> & \"q\" 'q'", "\u00e9\u4e2d\U0001f600", "<|im_end|>", "<|IMAGE|>", "\\n", "\t", "\r\nz", "0",
    "e\u0301", "system", "Picture 1: ", "%}", "{%- if a -%}",
]
REFERENCES = {
    "image": ["image", "image_url", "url", "path"],
    "audio": ["audio", "audio_url", "url", "path"],
    "video": ["video", "url", "path"],
}
SETTINGS = {
    "image": {"min_pixels": 3136, "max_pixels": 50176},
    "audio": {},
    "video": {"fps": 2.5, "max_frames": 8, "total_pixels": 401408, "use_audio_in_video": True},
}


def part(kinds):
    kind = rng.choice(kinds)
    if kind == "text":
        return {"type": "text", "text": rng.choice(TEXTS)}
    made = {"type": kind}
    if rng.random() < 0.85:
        made[rng.choice(REFERENCES[kind])] = rng.choice(["a.x", "https://h/b", "file:///c"])
    for key, value in SETTINGS[kind].items():
        if rng.random() < 0.1:
            made[key] = value
    items = list(made.items())
    rng.shuffle(items)
    return dict(items)


def conversation(kinds):
    roles = ["system"] if rng.random() < 0.4 else []
    for _ in range(rng.randint(1, 4)):
        roles.append(rng.choice(["user", "user", "assistant", "user", "system"]))
    messages = []
    for role in roles:
        if rng.random() < 0.35:
            content = "".join(rng.choices(TEXTS, k=rng.randint(1, 2)))
        else:
            content = [part(kinds) for _ in range(rng.randint(0, 5))]
        messages.append({"role": role, "content": content})
    return messages


KINDS = {
    "omni": ["text", "text", "image", "audio", "video"],
    "vl": ["text", "text", "image", "video", "image", "video", "audio"],
    "audio": ["text", "text", "audio", "audio", "audio", "image"],
}
cases = []
for family, template in templates.items():
    for index in range(300):
        messages = conversation(KINDS[family])
        flags = [rng.random() < 0.7, rng.random() < 0.4, rng.random() < 0.4]
        rendered, _ = render_jinja_template(
            conversations=[messages], chat_template=template, add_generation_prompt=flags[0],
            add_vision_id=flags[1], add_audio_id=flags[2],
        )
        text = rendered[0]
        # The first of each family in full, to read; the others by the start of their SHA-256.
        digest = hashlib.sha256(text.encode()).hexdigest()[:16]
        cases.append([family, "".join("01"[f] for f in flags), messages, digest]
                     + ([text] if index < 20 else []))
versions = {
    "transformers": transformers.__version__, "jinja2": jinja2.__version__,
    "python": platform.python_version(),
}
listing = {"versions": versions, "templates": templates, "defaultAudio": default_audio}
lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
path = here / "prompts.json"
path.write_text(json.dumps(listing)[:-1] + ', "cases": [\n' + lines + "\n]}\n")
print(len(cases), "prompts", path.stat().st_size, "bytes", len({c[3] for c in cases}), "different")
