"""Makes frames.json: frame choice by an independent transcription of smart_nframes, resizes and
patches by Pillow, torchvision and the HF processors, on frames of a film and odd sizes.

Hashes and sparse values keep it small. Run from the repository root, after make_clips.py:
node --import tsx test/golden/media/dump-samples.ts DUMP
python test/golden/media/make_frames.py DUMP
"""
import base64
import hashlib
import json
import math
import sys
import zlib

import numpy as np
import PIL
import torch
import torchvision
import transformers
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F
from transformers import Qwen2VLImageProcessor, Qwen2VLVideoProcessor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize
from transformers.video_utils import VideoMetadata

SIZE = (320, 180)
FRAMES = (0, 9, 21)
STRIDE = 127


def packed(values, dtype):
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values, dtype).tobytes(), 9)).decode()


def sha(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def checksum(indices):
    total = 0
    for i, value in enumerate(indices):
        total = (total * 31 + value + i) % 2147483647
    return total


# qwen-omni-utils/v2_5/vision_process.py, written down anew: round_by_factor and its siblings.
def near(x, factor):
    return round(x / factor) * factor


def up(x, factor):
    return math.ceil(x / factor) * factor


def down(x, factor):
    return math.floor(x / factor) * factor


def smart_nframes(element, total, video_fps):
    if "fps" in element and "nframes" in element:
        raise ValueError("both")
    if "nframes" in element:
        n = near(element["nframes"], 2)
    else:
        fps = element.get("fps", 2.0)
        least = up(element.get("min_frames", 4), 2)
        most = down(element.get("max_frames", min(768, total)), 2)
        n = total / video_fps * fps
        n = min(min(max(n, least), most), total)
        n = down(n, 2)
    if not 2 <= n <= total:
        raise ValueError("range")
    return int(n)


def choice_cases():
    rng = np.random.default_rng(23)
    processor = Qwen2VLVideoProcessor()
    cases = []
    while len(cases) < 2000:
        top = 300_000 if len(cases) % 4 == 0 else 20_000
        total = int(np.exp(rng.uniform(np.log(2), np.log(top))))
        if len(cases) % 8 == 0:
            total = int(rng.integers(19_001, 300_000))
        fps = [float(rng.choice([23.976, 24.0, 25.0, 29.97, 30.0, 59.94, 60.0, 12.5])), rng.uniform(1, 120)]
        fps = round(float(fps[int(rng.integers(2))]), 6)
        element = {}
        kind = int(rng.integers(4))
        if kind == 1:
            element["fps"] = round(float(np.exp(rng.uniform(np.log(0.05), np.log(30)))), 4)
        elif kind == 2:
            element["nframes"] = int(rng.integers(1, min(total, 1200) + 1))
        if kind in (1, 3):
            if rng.integers(2):
                element["min_frames"] = int(rng.integers(1, 40))
            if rng.integers(2):
                element["max_frames"] = int(rng.integers(2, 900))
        try:
            n = smart_nframes(element, total, fps)
            spaced = checksum(torch.linspace(0, total - 1, n).round().long().tolist())
        except ValueError:
            n, spaced = 0, 0
        asked = {"num_frames" if key == "nframes" else key: value for key, value in element.items()}
        if "num_frames" not in asked:
            asked.setdefault("fps", 2.0)
        meta = VideoMetadata(total_num_frames=total, fps=fps, duration=total / fps)
        try:
            hf = processor.sample_frames(meta, **asked).tolist()
        except (ValueError, ZeroDivisionError):
            hf = []
        cases.append([total, fps, element, n, spaced, len(hf), checksum(hf)])
    return cases


def picture(width, height, salt):
    """The same noisy picture as `noisyPicture` in test/media/golden.ts."""
    i = np.arange(width * height * 3, dtype=np.uint64) + np.uint64(salt)
    noise = (i * np.uint64(2654435761)) % np.uint64(2**32) // np.uint64(2**24)
    ramp = (np.arange(width * height * 3) // 3 % width) * 255 // width
    return ((noise + 3 * ramp.astype(np.uint64)) // np.uint64(4)).astype(np.uint8).reshape(height, width, 3)


def ties(width, height):
    """Columns of two greys: means of neighbours end in .5."""
    row = np.where(np.arange(width) % 2 == 0, 100, 101).astype(np.uint8)
    return np.repeat(np.tile(row, (height, 1))[..., None], 3, axis=2)


def float_resize(rgb, W, H):
    """The branch of qwen-omni-utils for videos: torchvision on float, clamped, rounded half to even."""
    chw = torch.from_numpy(rgb.copy()).permute(2, 0, 1).float()[None]
    out = F.resize(chw, [H, W], interpolation=InterpolationMode.BICUBIC, antialias=True)
    return out.clamp(0, 255).round().to(torch.uint8)


def slow_case(rgb, low, high):
    """Qwen2VLImageProcessor from the untouched picture: resize, normalise, patches."""
    # Without the layout a picture of 1 or 3 rows is taken for one with the channels first.
    out = Qwen2VLImageProcessor(min_pixels=low, max_pixels=high)(
        Image.fromarray(rgb), return_tensors="np", input_data_format="channels_last"
    )
    values = np.asarray(out["pixel_values"], np.float32)
    grid = np.asarray(out["image_grid_thw"])[0].tolist()
    W, H = grid[2] * 14, grid[1] * 14
    pil = np.asarray(Image.fromarray(rgb).resize((W, H), Image.BICUBIC))
    return {"limits": [low, high], "grid": grid, "pil": sha(pil), "pixels": sha(values)}


def resize_cases():
    sizes = [
        # Extreme aspect, to the multiples that the limits give.
        (2000, 11), (11, 2000), (28, 5000), (1500, 8),
        # Both sides shrink: by the same factor, the height far more, at the edge of Pillow's rule.
        (900, 700), (300, 900), (340, 620), (341, 621), (620, 340),
        # No multiples of 28, near them, and halves between them.
        (97, 61), (70, 42), (126, 182), (99, 113), (1023, 769),
        # Smaller than a cell: enlarged to the least number of pixels.
        (1, 1), (5, 7), (27, 27), (3, 90), (28, 29),
    ]
    cases = []
    for salt, (w, h) in enumerate(sizes):
        for low, high in ((3136, 12845056), (3136, 200704), (100352, 602112)):
            try:
                smart_resize(h, w, 28, low, high)
            except ValueError:
                continue
            cases.append({"salt": salt, "size": [w, h], **slow_case(picture(w, h, salt), low, high)})
    return cases


def order_cases():
    """Freely chosen sizes around the rule by which Pillow orders its passes."""
    cases = []
    for salt, (w, h, W, H) in enumerate([
        (80, 90, 60, 50), (80, 90, 60, 49), (80, 90, 60, 51), (80, 90, 30, 40), (80, 90, 79, 87),
        (80, 90, 79, 88), (80, 90, 70, 30), (80, 90, 100, 89), (80, 90, 81, 20), (80, 90, 20, 120),
        (200, 50, 180, 9), (64, 64, 63, 61), (64, 64, 63, 62),
    ]):
        pil = np.asarray(Image.fromarray(picture(w, h, salt)).resize((W, H), Image.BICUBIC))
        cases.append({"salt": salt, "from": [w, h], "to": [W, H], "pil": sha(pil)})
    return cases


def tie_cases():
    cases = []
    for w, h, W, H in ((56, 56, 28, 28), (64, 32, 32, 32), (30, 20, 60, 40), (32, 32, 96, 64)):
        rgb = ties(w, h)
        pil = np.asarray(Image.fromarray(rgb).resize((W, H), Image.BICUBIC))
        video = float_resize(rgb, W, H)[0].permute(1, 2, 0).numpy()
        cases.append({"from": [w, h], "to": [W, H], "pil": packed(pil[..., 0], np.uint8), "video": packed(video[..., 0], np.uint8)})
    return cases


def frame_cases(dump):
    cases = []
    for name in ("film",):
        frames = [
            np.fromfile(f"{dump}/{name}-{i}.rgb", np.uint8).reshape(SIZE[1], SIZE[0], 3) for i in FRAMES
        ]
        images = [slow_case(frames[0], 3136, 12845056), slow_case(frames[1], 3136, 50176)]
        videos = []
        for low, high in ((100352, 602112), (3136, 50176)):
            H, W = smart_resize(SIZE[1], SIZE[0], 28, low, high)
            resized = torch.cat([float_resize(rgb, W, H) for rgb in frames])
            processor = Qwen2VLVideoProcessor(min_pixels=28 * 28, max_pixels=12845056)
            # transformers resizes nothing here: the size is right already.
            out = processor(videos=[resized], do_sample_frames=False, return_tensors="pt")
            values = out["pixel_values_videos"].numpy()
            # The processor alone, with the frames as they are: uint8 kernels of torch.
            alone = Qwen2VLVideoProcessor(min_pixels=low, max_pixels=high)(
                videos=[torch.from_numpy(np.stack(frames)).permute(0, 3, 1, 2)], do_sample_frames=False,
                return_tensors="pt", do_normalize=False, do_rescale=False,
            )["pixel_values_videos"].numpy()
            videos.append({
                "size": [W, H], "grid": out["video_grid_thw"][0].tolist(), "stride": STRIDE,
                "bytes": packed(resized.permute(0, 2, 3, 1).reshape(-1)[::STRIDE], np.uint8),
                "sum": int(resized.long().sum()), "pixels": sha(values.astype(np.float32)),
                "values": packed(values.reshape(-1)[:: STRIDE * 41], np.float32),
                "alone": packed(alone.reshape(-1)[::STRIDE], np.uint8),
            })
        cases.append({"clip": name, "sha256": [sha(rgb) for rgb in frames], "images": images, "videos": videos})
    return cases


def main(dump):
    golden = {
        "versions": {
            "torch": torch.__version__, "torchvision": torchvision.__version__, "pillow": PIL.__version__,
            "transformers": transformers.__version__,
        },
        "choices": choice_cases(), "resize": resize_cases(), "order": order_cases(), "ties": tie_cases(),
        "clips": frame_cases(dump),
    }
    with open("test/golden/media/frames.json", "w") as out:
        json.dump(golden, out, separators=(",", ":"))
        out.write("\n")


main(*sys.argv[1:])
