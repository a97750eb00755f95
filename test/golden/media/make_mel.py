"""Makes mel.json: WhisperFeatureExtractor on the samples that aubade decodes from lossless sound.

Run from the repository root, after make_clips.py:
node --import tsx test/golden/media/dump-samples.ts DUMP
python test/golden/media/make_mel.py DUMP
"""
import base64
import hashlib
import json
import sys
import zlib

import librosa
import numpy as np
import soundfile
import soxr
import torch
import transformers
from transformers import WhisperFeatureExtractor

# Every n-th value of the flat [128, frames] spectrogram.
STRIDES = {30: 37, 300: 367}


def packed(values, dtype):
    return base64.b64encode(zlib.compress(np.ascontiguousarray(values, dtype).tobytes(), 9)).decode()


def mel_case(samples, seconds):
    extractor = WhisperFeatureExtractor(feature_size=128, chunk_length=seconds)
    out = extractor(
        samples, sampling_rate=16000, return_tensors="np", padding="max_length", return_attention_mask=True
    )
    mel = out["input_features"][0]
    assert mel.dtype == np.float32
    return {
        "seconds": seconds, "frames": mel.shape[1], "validFrames": int(out["attention_mask"][0].sum()),
        "stride": STRIDES[seconds], "values": packed(mel.reshape(-1)[:: STRIDES[seconds]], np.float32),
        "bandSums": mel.astype(np.float64).sum(axis=1).tolist(),
    }


def main(dump):
    clips = {}
    for name in ("voice", "film"):
        data = open(f"{dump}/{name}.f32", "rb").read()
        samples = np.frombuffer(data, np.float32)
        clips[name] = {
            "samples": len(samples), "sha256": hashlib.sha256(data).hexdigest(),
            "mels": [mel_case(samples, seconds) for seconds in STRIDES],
        }
    reference, _ = librosa.load("test/golden/media/clips/voice.flac", sr=16000, mono=True)
    extractor = WhisperFeatureExtractor(feature_size=128, chunk_length=30)
    mel = extractor(reference, sampling_rate=16000, return_tensors="np")["input_features"][0]
    golden = {
        "versions": {
            "torch": torch.__version__, "transformers": transformers.__version__,
            "librosa": librosa.__version__, "soxr": soxr.__version__, "soundfile": soundfile.__version__,
        },
        "clips": clips,
        # The reference's whole way from the file: libsndfile, mean of channels, soxr HQ, log-mel.
        "librosa": {
            "samples": len(reference), "stride": 53, "values": packed(reference[::53], np.float32),
            "melStride": 37, "mel": packed(mel.reshape(-1)[::37], np.float32),
        },
    }
    with open("test/golden/media/mel.json", "w") as out:
        json.dump(golden, out, separators=(",", ":"))
        out.write("\n")


main(*sys.argv[1:])
