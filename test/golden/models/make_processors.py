"""Conversations through qwen-vl-utils 0.0.14 and the processors of transformers 4.57.6.

Writes processors.json. Media are formulas that the test repeats; a reader that makes the frames
stands in for the video decoder of the utilities, everything else is theirs. Images are kept from
the slow image processor (Pillow), which aubade follows, as a CRC of their float32 bytes; the script
checks that the fast one is 2.4e-7 from it where it does not resize again. A row of silent and
sounding videos has its prompt expanded fragment by fragment, each with its own use_audio_in_video,
and positions of normative.py, since the processor takes one flag for all. Run:

    pip install --no-deps qwen-vl-utils==0.0.14
    python test/golden/models/make_processors.py TOKENIZER_JSON     # of Qwen2.5
"""

import importlib.util
import json
import pathlib
import re
import sys
import tempfile
import zlib
from types import SimpleNamespace

import numpy as np
import torch
import transformers
from PIL import Image
from qwen_vl_utils import vision_process as utils
from transformers import (Qwen2_5_VLProcessor, Qwen2_5OmniProcessor, Qwen2AudioProcessor,
                          Qwen2TokenizerFast, Qwen2VLImageProcessor, Qwen2VLImageProcessorFast,
                          Qwen2VLVideoProcessor, WhisperFeatureExtractor)
from transformers.models.qwen2_5_omni import modeling_qwen2_5_omni as modeling

import normative

HERE = pathlib.Path(__file__).parent
SOURCES = HERE.parents[2] / "src" / "text"
NAMES = {151646: "<|AUDIO|>", 151647: "<|audio_bos|>", 151648: "<|audio_eos|>",
         151652: "<|vision_bos|>", 151653: "<|vision_eos|>", 151655: "<|IMAGE|>",
         151656: "<|VIDEO|>"}
TOKENS = {"audio": 151646, "audio_bos": 151647, "audio_eos": 151648, "vision_bos": 151652,
          "vision_eos": 151653, "image": 151655, "video": 151656}
RELEASED = {"min_pixels": 3136, "max_pixels": 12845056}
VALUES = 48


def picture(width, height, number):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((x * 7 + y * 13 + c * 50 + number * 31 + x * y % 17 * 3) % 256).astype(np.uint8)


def sound(samples, number):
    n = np.arange(samples, dtype=np.float64)
    return (np.sin((0.01 + 0.003 * number) * n) * (n % 97 / 97)).astype(np.float32)


def read(ele):
    """Stands in for a decoder: a video is (frames, fps, width, height, number)."""
    total, fps, width, height, number = json.loads(ele["video"])
    count = utils.smart_nframes(ele, total_frames=total, video_fps=fps)
    index = torch.linspace(0, total - 1, count).round().long().tolist()
    frames = np.stack([picture(width, height, number + i) for i in index]).transpose(0, 3, 1, 2)
    return torch.from_numpy(frames), {}, count / max(total, 1e-6) * fps


utils.VIDEO_READER_BACKENDS["formula"] = read
utils.get_video_reader_backend = lambda: "formula"


def template(name, file):
    """The built-in template of aubade, whose equality with the released files has its own test."""
    text = (SOURCES / file).read_text()
    body = re.search(rf"{name} = \[(.*?)\]\.join", text, re.S)[1]
    return "".join(json.loads(line) for line in re.findall(r'"(?:[^"\\]|\\.)*"', body))


def tokenizer(path, omni):
    extra = {}
    if omni:
        file = json.loads(pathlib.Path(path).read_text())
        for token in file["added_tokens"]:
            token["content"] = NAMES.get(token["id"], token["content"])
        renamed = pathlib.Path(tempfile.mkdtemp()) / "tokenizer.json"
        renamed.write_text(json.dumps(file))
        path = str(renamed)
        extra = {f"{use}_token": NAMES[TOKENS[use]] for use in TOKENS}
    return Qwen2TokenizerFast(tokenizer_file=path, extra_special_tokens=extra)


def picture_processors(files):
    """Slow and fast image processor and video processor from preprocessor files."""
    main = files.get("preprocessor", RELEASED)
    Qwen2VLVideoProcessor.size = {"shortest_edge": 100352, "longest_edge": 602112}
    fresh = lambda config: {k: dict(v) if isinstance(v, dict) else v for k, v in config.items()}
    videos = Qwen2VLVideoProcessor(**fresh(files.get("video", main)))
    fast = dict(main)
    if "size" not in fast:
        fast["size"] = {"shortest_edge": 3136, "longest_edge": 1003520}
    return Qwen2VLImageProcessor(**fresh(main)), Qwen2VLImageProcessorFast(**fresh(fast)), videos


def build(family, path, files):
    slow, fast, videos = picture_processors(files)
    if family == "audio":
        extractor = WhisperFeatureExtractor(feature_size=128)
        chat = template("QWEN2_AUDIO_CHAT_TEMPLATE", "built-in-templates.ts")
        return Qwen2AudioProcessor(extractor, tokenizer(path, True), chat_template=chat), None
    if family == "vl":
        chat = template("QWEN2_5_VL_CHAT_TEMPLATE", "built-in-templates.ts")
        return Qwen2_5_VLProcessor(slow, tokenizer(path, False), videos, chat_template=chat), fast
    extractor = WhisperFeatureExtractor(feature_size=128, chunk_length=300)
    chat = template("OMNI_CHAT_TEMPLATE", "built-in-templates.ts")
    return Qwen2_5OmniProcessor(slow, videos, extractor, tokenizer(path, True), chat), fast


def keys(part):
    return {k: v for k, v in part.items() if k not in ("type", "make", "list", "sound", "text")}


def load(messages):
    """What process_mm_info gives: images, videos, their fps, sounds, and the flag of each video."""
    images, videos, rates, sounds, flags = [], [], [], [], []
    for part in (p for m in messages if not isinstance(m["content"], str) for p in m["content"]):
        if part["type"] == "image":
            image = Image.fromarray(picture(*part["make"]))
            images.append(utils.fetch_image({"image": image, **keys(part)}))
        if part["type"] == "video":
            frames = part.get("list")
            source = json.dumps(part["make"]) if frames is None else [
                Image.fromarray(picture(*made)) for made in frames]
            options = {k: v for k, v in keys(part).items() if k != "use_audio_in_video"}
            element = {"video": source, **options}
            video, fps = utils.fetch_video(element, return_video_sample_fps=True)
            videos.append(video)
            rates.append(fps)
            flags.append("sound" in part)
        if "sound" in part or part["type"] == "audio":
            sounds.append(sound(*part.get("sound", part.get("make"))))
    return images, videos, rates, sounds, flags


def spread(values):
    """Evenly spaced values of a tensor, and its mean."""
    flat = np.asarray(values, dtype=np.float32).reshape(-1)
    at = np.arange(VALUES) * (len(flat) - 1) // (VALUES - 1)
    return [round(float(v), 6) for v in flat[at]], round(float(flat.mean(dtype=np.float64)), 7)


def per_medium(pixels, grids):
    out, start = [], 0
    for grid in grids.tolist():
        end = start + grid[0] * grid[1] * grid[2]
        part = pixels[start:end].numpy().astype("<f4")
        values, mean = spread(part)
        crc = zlib.crc32(part.tobytes())
        out.append({"grid": grid, "crc": crc, "values": values, "mean": mean})
        start = end
    return out


def checksum(values):
    """The same few lines as in make_positions.py."""
    total = 0
    for i, value in enumerate(values):
        total = (total + (i % 65521 + 1) * (value + 1)) % 2147483647
    return total


def mixed_ids(processor, text, lengths, batch, flags, seconds):
    """The prompt of silent and sounding videos, fragment by fragment through the HF expander."""
    lengths, flags = iter(lengths), iter(flags)
    images, videos = iter(batch.get("image_grid_thw", [])), iter(batch["video_grid_thw"])
    whole = ""
    for piece in re.split(r"(<\|vision_bos\|><\|VIDEO\|><\|vision_eos\|>)", text):
        sounding = "<|VIDEO|>" in piece and next(flags)
        whole += processor.replace_multimodal_special_tokens(
            [piece], lengths, images, videos, iter([seconds]), use_audio_in_video=sounding,
            position_id_per_seconds=25, seconds_per_chunk=2.0)[0]
    return processor.tokenizer(whole)["input_ids"]


def rule_positions(text_ids, lengths, batch, flags, seconds):
    """Positions by normative.py from the ids of the prompt before expansion."""
    lengths, flags = iter(lengths), iter(flags)
    images, videos = iter(batch.get("image_grid_thw", [])), iter(batch.get("video_grid_thw", []))
    prompt, skip = normative.Prompt(TOKENS), 0
    for i, token in enumerate(text_ids):
        following = text_ids[i + 1] if i + 1 < len(text_ids) else None
        if skip:
            skip -= 1
        elif token == TOKENS["audio_bos"] and following == TOKENS["audio"]:
            prompt.audio(next(lengths))
            skip = 2
        elif token == TOKENS["vision_bos"] and following == TOKENS["image"]:
            prompt.vision("image", next(images).tolist())
            skip = 2
        elif token == TOKENS["vision_bos"] and following == TOKENS["video"]:
            grid = next(videos).tolist()
            prompt.both(grid, seconds, next(lengths)) if next(flags) else prompt.vision(
                "video", grid, seconds)
            skip = 2
        else:
            prompt.text(token)
    return prompt


def omni_positions(ids, batch, sounding):
    Base = modeling.Qwen2_5OmniPreTrainedModelForConditionalGeneration
    model = SimpleNamespace(spatial_merge_size=2, config=SimpleNamespace(
        image_token_id=TOKENS["image"], video_token_id=TOKENS["video"],
        audio_token_id=TOKENS["audio"], vision_start_token_id=TOKENS["vision_bos"],
        audio_start_token_id=TOKENS["audio_bos"], position_id_per_seconds=25, seconds_per_chunk=2))
    model.get_llm_pos_ids_for_vision = lambda *a: Base.get_llm_pos_ids_for_vision(model, *a)
    model.get_chunked_index = lambda *a: Base.get_chunked_index(model, *a)
    row, mask = torch.tensor([ids]), batch.get("feature_attention_mask")
    seconds = batch.get("video_second_per_grid")
    return Base.get_rope_index(
        model, row, batch.get("image_grid_thw"), batch.get("video_grid_thw"), torch.ones_like(row),
        sounding, None if mask is None else mask.sum(-1), seconds)[0][:, 0]


def vl_positions(ids, batch):
    spec = importlib.util.spec_from_file_location("vl", HERE.parent / "vl" / "make_positions.py")
    vl = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(vl)
    host = SimpleNamespace(config=SimpleNamespace(
        vision_config=SimpleNamespace(spatial_merge_size=2, tokens_per_second=2),
        image_token_id=151655, video_token_id=151656, vision_start_token_id=151652))
    row, seconds = torch.tensor([ids]), batch.get("second_per_grid_ts")
    return vl.float_rope_index(
        host, row, batch.get("image_grid_thw"), batch.get("video_grid_thw"),
        None if seconds is None else torch.as_tensor(seconds, dtype=torch.float32),
        torch.ones_like(row))[0][:, 0]


def run(case, path):
    family, messages = case["family"], case["messages"]
    processor, fast = build(family, path, case.get("files", {}))
    # Parts are shown to the template as a user writes them: with type and, for media, a name.
    shown = [{"role": m["role"], "content": m["content"] if isinstance(m["content"], str) else [
        p if p["type"] == "text" else {"type": p["type"], p["type"]: "x"} for p in m["content"]]}
        for m in messages]
    text = processor.tokenizer.apply_chat_template(
        shown, chat_template=processor.chat_template, tokenize=False, add_generation_prompt=True,
        **case.get("options", {}))
    images, videos, rates, sounds, flags = load(messages)
    mixed = any(flags) and not all(flags)
    seconds = 2 / case.get("fps", 2.0)
    given = {"text": text, "return_tensors": "pt"}
    if images:
        given["images"] = images
    if videos:
        given["videos"] = videos
    if sounds:
        given["audio"] = sounds
    if family == "vl" and videos:
        given["fps"] = rates
    if family == "audio":
        given["sampling_rate"] = 16000
    if family == "omni":
        given["use_audio_in_video"] = any(flags) and not mixed
        given["fps"] = case.get("fps", 2.0)
    if mixed:
        given["text"] = "."
    batch = processor(**given)
    lengths = batch["feature_attention_mask"].sum(-1).tolist() if sounds else []
    tokens = [((n - 1) // 2 + 1 - 2) // 2 + 1 for n in lengths]
    ids = batch["input_ids"][0].tolist()
    if mixed:
        ids = mixed_ids(processor, text, tokens, batch, flags, seconds)
    if family == "vl":
        positions = vl_positions(ids, batch).reshape(-1).tolist()
    elif family == "audio":
        positions = 3 * (torch.ones(len(ids)).long().cumsum(-1) - 1).tolist()
    else:
        short = processor.tokenizer(text)["input_ids"]
        prompt = rule_positions(short, tokens, batch, flags, seconds)
        positions = [p for row in prompt.rows() for p in row]
        assert prompt.ids == ids, case["name"]
        if not mixed:
            theirs = omni_positions(ids, batch, any(flags)).reshape(-1).tolist()
            assert theirs == positions, case["name"]
    result = {"text": text, "ids": [len(ids), checksum(ids)], "positions": checksum(positions)}
    if images:
        result["images"] = per_medium(batch["pixel_values"], batch["image_grid_thw"])
        second = fast(images, return_tensors="pt")
        sizes = [[i.height // 14, i.width // 14] for i in images]
        if sizes == batch["image_grid_thw"][:, 1:].tolist():
            difference = (second["pixel_values"] - batch["pixel_values"]).abs().max()
            assert difference < 2.5e-7, (case["name"], difference)
        assert torch.equal(second["image_grid_thw"], batch["image_grid_thw"])
    if videos:
        result["videos"] = per_medium(batch["pixel_values_videos"], batch["video_grid_thw"])
        spans = batch["second_per_grid_ts" if family == "vl" else "video_second_per_grid"]
        result["seconds"] = [float(s) for s in spans]
    if sounds:
        result["sounds"] = []
        for mel, length in zip(batch["input_features"].numpy(), lengths):
            floor = mel[:, length + 2:]
            assert floor.size == 0 or float(np.ptp(floor)) == 0
            values, mean = spread(mel[:, :length])
            result["sounds"].append({"frames": length, "values": values, "mean": mean})
    print(f"{family:6s}{case['name']:44s}{len(ids):6d} tokens")
    return {**case, **result}


T = lambda text: {"type": "text", "text": text}
I = lambda w, h, n, **keys: {"type": "image", "make": [w, h, n], **keys}
A = lambda samples, n: {"type": "audio", "make": [samples, n]}
V = lambda *make, **keys: {"type": "video", "make": list(make), **keys}
P = lambda frames, **keys: {"type": "video", "list": frames, **keys}
ask = lambda *parts: [{"role": "user", "content": list(parts)}]
SMALL = {"min_pixels": 3136, "max_pixels": 20000}
OMNI_SYSTEM = ("You are Qwen, a virtual human developed by the Qwen Team, Alibaba Group, capable "
               "of perceiving auditory and visual inputs, as well as generating text and speech.")
TEXT = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "Wie viele T\u00f6ne? \u4f60\u597d 12345"},
    {"role": "assistant", "content": "Two."}, {"role": "user", "content": [T("And\nnow?")]},
]


def pictures(family):
    """Cases of the families that see."""
    tight = {"min_pixels": 40000, "max_pixels": 50000}
    turns = [
        {"role": "user", "content": [I(60, 90, 1), T("first"), V(9, 4, 60, 84, 2, **SMALL),
                                     I(30, 200, 3, min_pixels=9000)]},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": [V(6, 3.0, 112, 56, 4, nframes=4, **SMALL), T(" and "),
                                     I(84, 56, 5)]},
    ]
    named = lambda name, messages, **more: dict(name=name, family=family, messages=messages, **more)
    return [
        named("text", TEXT),
        named("image", ask(I(100, 70, 1), T("Q?"))),
        named("two images of different size", ask(I(64, 48, 1), I(300, 111, 2), T("Q?"))),
        named("slim and tiny images", ask(I(14, 1500, 1), I(9, 11, 2), I(13, 420, 3))),
        named("limits in image parts", ask(I(640, 480, 1, max_pixels=30000),
                                           I(40, 40, 2, min_pixels=20000))),
        named("stated sides", ask(I(99, 77, 1, resized_height=70, resized_width=126),
                                  V(6, 2, 50, 70, 2, resized_height=84, resized_width=42))),
        named("video", ask(V(20, 8, 120, 90, 1), T("Q?"))),
        named("video of few pixels", ask(V(8, 2, 64, 48, 1, **SMALL), T("Q?"))),
        named("video with rate and total", ask(
            V(40, 10, 120, 90, 1, fps=1, total_pixels=120000, min_pixels=3136)), fps=1),
        named("seven pictures as a video", ask(P([[60, 84, n] for n in range(7)]), T("Q?"))),
        named("pictures of two sizes, 3 a second", ask(
            P([[90, 60, 0], [90, 60, 1], [93, 63, 2]], sample_fps=3, **SMALL)), fps=3),
        named("image, video, image; several turns", turns),
        named("numbered pictures", turns, options={"add_vision_id": True}),
        named("limits of the files, older spelling", ask(I(64, 48, 1), V(4, 2, 56, 84, 2)),
              files={"preprocessor": tight}),
        named("limits of the files, newer spelling", ask(I(640, 480, 1, max_pixels=90000),
                                                         V(4, 2, 56, 84, 2)), files={
            "preprocessor": tight, "video": {"size": {"shortest_edge": 9000,
                                                      "longest_edge": 60000}}}),
        named("no limits in the files", ask(I(1100, 1000, 1)), files={"preprocessor": {}}),
    ]


def omni():
    quick = dict(**SMALL)
    named = lambda name, messages, **more: dict(
        name=name, family="omni", messages=messages, **more)
    cases = [c for c in pictures("omni") if c["name"] != "limits of the files, newer spelling"]
    return cases + [
        named("system prompt", [{"role": "system", "content": [T(OMNI_SYSTEM)]}, *ask(T("Hi"))]),
        named("audio", ask(A(16001, 1), T("Q?"))),
        named("video + separate audio", ask(V(12, 4, 84, 56, 1, **quick), A(40000, 2), T("Q?"))),
        named("audio in video", ask(V(12, 4, 84, 56, 1, sound=[48000, 2], **quick), T("Q?"))),
        named("audio in video at 4 a second", ask(
            V(24, 8, 84, 56, 1, fps=4, sound=[48000, 2], **quick), T("Q?")), fps=4),
        named("audio in video at 1 a second", ask(
            V(60, 10, 84, 56, 1, fps=1, sound=[96000, 2], **quick), T("Q?")), fps=1),
        named("audio longer than its video", ask(
            V(8, 4, 56, 56, 1, sound=[200000, 2], **quick), A(5000, 3), I(70, 90, 4))),
        named("two clips, the first silent", ask(
            V(8, 4, 56, 84, 1, use_audio_in_video=False, **quick), T("then"),
            V(12, 4, 84, 56, 2, sound=[50000, 3], use_audio_in_video=True, **quick))),
        named("two clips, the second silent, and all else", [
            *ask(A(20000, 1), V(12, 4, 84, 56, 2, sound=[50000, 3], **quick), I(56, 90, 4), T("a")),
            {"role": "assistant", "content": [T("b")]},
            *ask(V(8, 4, 56, 84, 5, use_audio_in_video=False, **quick), A(9000, 6), I(90, 56, 7))]),
        named("images, videos and sounds in any order", [
            *ask(A(9000, 1), I(70, 90, 2), V(8, 4, 56, 56, 3, **quick), A(3333, 4)),
            {"role": "assistant", "content": "c"},
            *ask(V(6, 3, 90, 56, 5, **quick), T("d"), A(4000, 6), I(56, 90, 7))]),
        named("numbered pictures and sounds", ask(A(9000, 1), I(70, 90, 2), A(8000, 3)),
              options={"add_vision_id": True, "add_audio_id": True}),
        named("more than 300 s", ask(A(4_900_000, 1), T("Q?"))),
    ]


def audio():
    named = lambda name, messages: dict(name=name, family="audio", messages=messages)
    return [
        named("text", TEXT),
        named("audio", ask(A(16001, 1), T("Q?"))),
        named("shortest", ask(A(321, 1))),
        named("more than 30 s", ask(A(500_000, 1), T("Q?"))),
        named("nearly 30 s", ask(A(479_700, 1), T("Q?"))),
        named("several turns", [
            *ask(A(20000, 1), T("a"), A(5000, 2)), {"role": "assistant", "content": "b"},
            *ask(T("c"), A(70001, 3))]),
    ]


def main(path):
    torch.set_num_threads(2)
    rows = [run(case, path) for case in [*omni(), *pictures("vl"), *audio()]]
    versions = {"transformers": transformers.__version__, "qwen-vl-utils": "0.0.14"}
    lines = ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows)
    head = f'{{"versions":{json.dumps(versions)},"cases":[\n'
    (HERE / "processors.json").write_text(f"{head}{lines}\n]}}\n")


if __name__ == "__main__":
    main(sys.argv[1])
