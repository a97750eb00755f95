"""Makes clips/ and clips.json: small clips in many containers, and what the reference readers see.

Pictures: frames and rate of decord, frames of torchcodec where an edit list hides some; the last two
columns of the first frame by ffmpeg and BT.601. Sound: librosa.load at 16 kHz, every 97th sample.
Run from the repository root, with ffmpeg on the path: python test/golden/media/make_clips.py
"""
import base64
import json
import os
import subprocess
import warnings

import decord
import librosa
import numpy as np
import soundfile
import torchcodec
from torchcodec.decoders import VideoDecoder

warnings.filterwarnings("ignore")
CLIPS = "test/golden/media/clips"


def ffmpeg(*args):
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-bitexact", *args], check=True)


def path(name):
    return f"{CLIPS}/{name}"


def make_pictures():
    test = ["-f", "lavfi", "-i", "testsrc2=s=48x32:r=24"]
    h264 = ["-frames:v", "72", "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
    ffmpeg(*test, *h264, "-movflags", "faststart", path("24.mp4"))
    for name in ("24.mkv", "24.m2t", "24.mov"):
        ffmpeg("-i", path("24.mp4"), "-c", "copy", path(name))
    ffmpeg("-i", path("24.mp4"), "-c", "copy", "-movflags", "frag_keyframe+empty_moov", path("24-fragments.mp4"))
    ffmpeg(*test, "-frames:v", "72", "-c:v", "libvpx", "-b:v", "30k", path("24.webm"))
    ffmpeg("-ss", "0.71", "-i", path("24.mp4"), "-c", "copy", path("24-cut.mp4"))
    ffmpeg("-ss", "0.71", "-t", "1.31", "-i", path("24.mp4"), "-c", "copy", path("24-cut-twice.mp4"))
    for codec, name in (("mpeg4", "24.avi"), ("flv", "24.flv"), ("mpeg2video", "24.mpg")):
        ffmpeg("-i", path("24.mp4"), "-c:v", codec, path(name))
    for width in (1, 3, 7, 321):
        ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x64:r=4", "-vf", f"scale={width}:46", "-frames:v", "4",
               "-pix_fmt", "yuv420p", "-c:v", "libvpx-vp9", "-b:v", "60k", path(f"width-{width}.webm"))


def make_sound():
    rng = np.random.default_rng(7)
    t = np.arange(44100 + 7) / 44100
    wave = sum(0.03 * np.sin(2 * np.pi * rng.uniform(100, 3000) * t + rng.uniform(0, 6)) for _ in range(16))
    wave *= 1 + 0.5 * np.sin(2 * np.pi * 3.3 * t)
    soundfile.write("/tmp/aubade-sound.wav", wave, 44100, subtype="PCM_16")
    source = ["-i", "/tmp/aubade-sound.wav"]
    mp3 = ["-c:a", "libmp3lame", "-b:a", "32k"]
    # Enough for CELT: the decoders of libopus and FFmpeg differ where SILK is mixed in.
    opus = ["-c:a", "libopus", "-b:a", "64k"]
    for rate in (8000, 16000, 44100):
        ffmpeg(*source, "-ar", str(rate), *mp3, path(f"{rate}.mp3"))
    for name, codec in (
        ("mp3.mka", mp3), ("bare.mp3", [*mp3, "-write_xing", "0"]), ("aac.m4a", ["-c:a", "aac", "-b:a", "48k"]),
        ("aac.aac", ["-c:a", "aac", "-b:a", "48k"]), ("opus.ogg", opus),
        ("opus.webm", opus), ("opus.mp4", ["-ar", "48000", *opus]),
        ("vorbis.ogg", ["-c:a", "libvorbis", "-b:a", "48k"]), ("flac.ogg", ["-ar", "8000", "-c:a", "flac"]),
        ("alac.m4a", ["-ar", "8000", "-c:a", "alac"]), ("adpcm.wav", ["-ar", "8000", "-c:a", "adpcm_ms"]),
        ("pcm.aiff", ["-ar", "8000"]), ("pcm.wav", ["-ar", "8000"]),
    ):
        ffmpeg(*source, *codec, path(name))


def pictures(name):
    reader = decord.VideoReader(path(name))
    frames = VideoDecoder(path(name)).metadata.num_frames if "cut" in name else len(reader)
    return {"frames": frames, "fps": reader.get_avg_fps()}


def last_columns(name, width, height=46):
    out = subprocess.run(["ffmpeg", "-v", "error", "-i", path(name), "-frames:v", "1", "-f", "rawvideo",
                          "-pix_fmt", "yuv420p", "-"], capture_output=True, check=True).stdout
    data = np.frombuffer(out, np.uint8).astype(float)
    chroma = ((width + 1) // 2) * (height // 2)
    y = data[: width * height].reshape(height, width)
    u, v = (
        (data[width * height + i * chroma :][:chroma].reshape(height // 2, -1) - 128).repeat(2, 0).repeat(2, 1)[:, :width]
        for i in (0, 1)
    )
    luma, gain = (y - 16) * 255 / 219, 255 / 224
    rgb = np.stack([luma + 1.402 * gain * v, luma - gain * (0.344136 * u + 0.714136 * v), luma + 1.772 * gain * u], -1)
    return base64.b64encode(rgb.clip(0, 255).round().astype(np.uint8)[:, -2:].tobytes()).decode()


def sound(name):
    samples, _ = librosa.load(path(name), sr=16000, mono=True)
    values = base64.b64encode(samples[::97].astype("<f4").tobytes()).decode()
    return {"samples": len(samples), "values": values}


def main():
    os.makedirs(CLIPS, exist_ok=True)
    make_pictures()
    make_sound()
    names = sorted(os.listdir(CLIPS))
    golden = {
        "versions": {
            "ffmpeg": subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout.split()[2],
            "decord": decord.__version__, "torchcodec": torchcodec.__version__, "librosa": librosa.__version__,
        },
        "pictures": {name: pictures(name) for name in names if name.startswith("24")},
        "columns": {name: last_columns(name, int(name[6:-5])) for name in names if name.startswith("width")},
        "sound": {name: sound(name) for name in names if not name.startswith(("24", "width"))},
    }
    with open("test/golden/media/clips.json", "w") as out:
        json.dump(golden, out, indent=1)
        out.write("\n")


main()
