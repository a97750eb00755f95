"""Makes media.json from the reference implementations.

Run from the repository root: python test/golden/media/make.py
"""
import base64
import json

import librosa
import numpy as np
import PIL
import soundfile
import soxr
import torch
import torchvision
import transformers
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as F
from transformers import Qwen2VLImageProcessor, Qwen2VLImageProcessorFast, WhisperFeatureExtractor
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize


def b64(array, dtype):
    return base64.b64encode(np.ascontiguousarray(array, dtype=dtype).tobytes()).decode()


def picture(width, height, salt):
    """The same noisy picture as `noisyPicture` in test/media/golden.ts."""
    i = np.arange(width * height * 3, dtype=np.uint64) + np.uint64(salt)
    noise = (i * np.uint64(2654435761)) % np.uint64(2**32) // np.uint64(2**24)
    ramp = (np.arange(width * height * 3) // 3 % width) * 255 // width
    return ((noise + 3 * ramp.astype(np.uint64)) // np.uint64(4)).astype(np.uint8).reshape(height, width, 3)


def resize_cases():
    cases = []
    for salt, (w, h, W, H) in enumerate(
        [(50, 38, 28, 28), (23, 31, 56, 42), (64, 36, 64, 20), (120, 90, 17, 90), (9, 200, 28, 56), (1, 1, 4, 3), (40, 30, 45, 28), (30, 40, 28, 45)]
    ):
        rgb = picture(w, h, salt)
        pil = np.asarray(Image.fromarray(rgb).resize((W, H), Image.BICUBIC))
        chw = torch.from_numpy(rgb.copy()).permute(2, 0, 1).float()[None]
        exact = F.resize(chw, [H, W], interpolation=InterpolationMode.BICUBIC, antialias=True)
        video = exact.clamp(0, 255).round().to(torch.uint8)
        cases.append(
            {
                "salt": salt, "from": [w, h], "to": [W, H], "pil": b64(pil, np.uint8),
                "float": b64(exact[0].permute(1, 2, 0).numpy(), np.float32),
                "video": b64(video[0].permute(1, 2, 0).numpy(), np.uint8),
            }
        )
    return cases


def checksum(indices):
    total = 0
    for i, value in enumerate(indices):
        total = (total * 31 + value + i) % 2147483647
    return total


def frame_cases():
    rng = np.random.default_rng(7)
    cases = []
    for _ in range(400):
        total = int(np.exp(rng.uniform(np.log(2), np.log(200000))))
        n = int(rng.integers(1, min(total, 768) // 2 + 1)) * 2
        if n < 2 or n > total:
            continue
        spaced = torch.linspace(0, total - 1, n).round().long().tolist()
        hf = torch.arange(0, total, total / n).int().tolist()
        cases.append([total, n, checksum(spaced), len(hf), checksum(hf)])
    return cases


def smart_resize_cases():
    rng = np.random.default_rng(11)
    cases = []
    for _ in range(300):
        h, w = (int(np.exp(v)) for v in rng.uniform(np.log(15), np.log(8000), 2))
        if max(h, w) / min(h, w) > 200:
            continue
        low, high = [(3136, 12845056), (100352, 602112), (3136, 200704)][int(rng.integers(3))]
        H, W = smart_resize(h, w, 28, low, high)
        cases.append([w, h, low, high, W, H])
    return cases


def patch_cases():
    rgb = picture(56, 28, 99)
    image = Image.fromarray(rgb)
    slow = Qwen2VLImageProcessor(min_pixels=28 * 28)(image, return_tensors="np")
    fast = Qwen2VLImageProcessorFast(min_pixels=28 * 28)(image, return_tensors="pt")
    return {
        "salt": 99, "size": [56, 28], "grid": np.asarray(slow["image_grid_thw"])[0].tolist(),
        "slow": b64(slow["pixel_values"], np.float32), "fast": b64(fast["pixel_values"], np.float32),
    }


def mel_case(extractor, samples, stride):
    mel = extractor(samples, sampling_rate=16000, return_tensors="np", padding="max_length")["input_features"][0]
    return {"frames": mel.shape[1], "stride": stride, "values": b64(mel[:, ::stride], np.float32)}


def main():
    sound, rate = soundfile.read("test/golden/media/clips/voice.flac", dtype="float32")
    mono = librosa.to_mono(sound.T)
    extractor = WhisperFeatureExtractor(feature_size=128, chunk_length=30)
    # Every third sample, taken as 16 kHz: speech without a resampler in between.
    speech = mono[::3]
    resampled = {}
    for source, stride in ((rate, 53), (48000, 53), (22050, 97), (8000, 211)):
        out = librosa.resample(mono, orig_sr=source, target_sr=16000, res_type="soxr_hq")
        resampled[str(source)] = {"length": len(out), "stride": stride, "values": b64(out[::stride], np.float32)}
    full = np.sin(0.05 * np.arange(480000)).astype(np.float32)
    golden = {
        "versions": {
            "torch": torch.__version__, "torchvision": torchvision.__version__, "pillow": PIL.__version__,
            "transformers": transformers.__version__, "librosa": librosa.__version__, "soxr": soxr.__version__,
        },
        "resize": resize_cases(),
        "frames": frame_cases(),
        "smartResize": smart_resize_cases(),
        "patchify": patch_cases(),
        "logMelSpeech": {"samples": len(speech), **mel_case(extractor, speech, 41)},
        "logMelFull": mel_case(extractor, full, 271),
        "logMelFullEnd": b64(
            extractor(full, sampling_rate=16000, return_tensors="np")["input_features"][0][:, -2:], np.float32
        ),
        "resample": resampled,
    }
    with open("test/golden/media/media.json", "w") as out:
        json.dump(golden, out, separators=(",", ":"))
        out.write("\n")


main()
