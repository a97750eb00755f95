"""Two conversations through transformers' Qwen2_5OmniProcessor with the tiny tokenizer.

Media are formulas that the test repeats. Pixels are kept as a CRC of their float32 bytes, log-mel
as three bands. Frames need no resizing: the library's uint8 resize is not the one of the official
example, and is tested in test/media, like the order of passes of Pillow's resize. Run: python test/golden/models/make_processor.py
"""

import json
import pathlib
import zlib

import numpy as np
import transformers
from PIL import Image
from transformers import AutoTokenizer, Qwen2_5OmniProcessor, Qwen2VLImageProcessor
from transformers import Qwen2VLVideoProcessor, WhisperFeatureExtractor

HERE = pathlib.Path(__file__).parent
FOLDER = HERE.parents[2] / "assets" / "tiny"
BANDS = [0, 40, 127]

tokenizer = AutoTokenizer.from_pretrained(FOLDER)
processor = Qwen2_5OmniProcessor(
    image_processor=Qwen2VLImageProcessor.from_pretrained(FOLDER),
    video_processor=Qwen2VLVideoProcessor.from_pretrained(FOLDER),
    feature_extractor=WhisperFeatureExtractor.from_pretrained(FOLDER),
    tokenizer=tokenizer,
    chat_template=tokenizer.chat_template,
)


def picture(width, height, number):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    return ((x * 7 + y * 13 + c * 50 + number * 31 + x * y % 17 * 3) % 256).astype(np.uint8)


def sound(samples, number):
    n = np.arange(samples, dtype=np.float64)
    return (np.sin((0.01 + 0.003 * number) * n) * (n % 97 / 97)).astype(np.float32)


def video(frames, width, height):
    return np.stack([picture(width, height, i) for i in range(frames)]).transpose(0, 3, 1, 2)


CASES = [
    {
        "name": "sound in video",
        "parts": [["text", "A "], ["image", 100, 70], ["av", 9, 84, 56, 40000],
                  ["audio", 16001], ["image", 50, 160], ["text", " Which"]],
        "fps": 4, "seconds_per_chunk": 1.0,
    },
    {
        "name": "silent videos",
        "parts": [["video", 4, 56, 84], ["text", "\n B"], ["audio", 5000], ["video", 5, 56, 56],
                  ["image", 640, 480], ["audio", 33000]],
        "fps": 2, "seconds_per_chunk": 1.0,
    },
]


def run(case):
    content, images, videos, audio, use_audio = [], [], [], [], False
    for number, (kind, *rest) in enumerate(case["parts"]):
        if kind == "text":
            content.append({"type": "text", "text": rest[0]})
            continue
        content.append({"type": "video" if kind == "av" else kind})
        if kind == "image":
            images.append(Image.fromarray(picture(rest[0], rest[1], number)))
        if kind in ("video", "av"):
            videos.append(video(*rest[:3]))
        if kind in ("audio", "av"):
            audio.append(sound(rest[-1], number))
        use_audio |= kind == "av"
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
    )
    batch = processor(
        text=text, audio=audio, videos=videos, images=images, return_tensors="pt",
        videos_kwargs={
            "size": {"shortest_edge": 3136, "longest_edge": 602112}, "fps": case["fps"],
            "use_audio_in_video": use_audio, "seconds_per_chunk": case["seconds_per_chunk"],
            "position_id_per_seconds": 25,
        },
    )
    pixels = lambda key: zlib.crc32(batch[key].numpy().astype("<f4").tobytes())
    lengths = batch["feature_attention_mask"].sum(-1).tolist()
    mel = batch["input_features"].numpy()
    return {
        **case,
        "text": text,
        "ids": batch["input_ids"][0].tolist(),
        "imageGrids": batch["image_grid_thw"].tolist(),
        "videoGrids": batch["video_grid_thw"].tolist(),
        "secondsPerGrid": [float(s) for s in batch["video_second_per_grid"]],
        "imageCrc": pixels("pixel_values"),
        "videoCrc": pixels("pixel_values_videos"),
        "frames": lengths,
        "mel": [[[round(float(v), 6) for v in mel[i, band, :n]] for band in BANDS]
                for i, n in enumerate(lengths)],
    }


rows = [run(case) for case in CASES]
for row in rows:
    print(row["name"], len(row["ids"]), row["imageGrids"], row["videoGrids"], row["frames"])
listing = {"versions": {"transformers": transformers.__version__}, "bands": BANDS, "cases": rows}
(HERE / "processor.json").write_text(json.dumps(listing, separators=(",", ":")) + "\n")
