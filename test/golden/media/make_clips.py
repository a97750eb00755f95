"""Makes clips/ and clips.json: small clips in many containers, and what the reference readers see.

Pictures: frames and rate of decord, frames of torchcodec where an edit list hides some; the last two
columns of the first frame by ffmpeg and BT.601; times by ffprobe where they vary; the means of the four
quarters of a turned frame by ffmpeg. Sound: librosa.load at 16 kHz, every 97th sample.
Run from the repository root, with ffmpeg on the path: python test/golden/media/make_clips.py
Then make mel.json and frames.json anew, which hold what is heard and seen in voice.flac and film.mp4.
"""
import base64
import json
import os
import struct
import subprocess
import tempfile
import warnings

import decord
import librosa
import numpy as np
import soundfile
import torchcodec
from torchcodec.decoders import VideoDecoder

warnings.filterwarnings("ignore")
CLIPS = "test/golden/media/clips"
SCRATCH = tempfile.TemporaryDirectory()
FILMS = ("film", "turned", "wide-pixels", "uneven")


def ffmpeg(*args):
    """Without names, dates and serial numbers that differ from run to run."""
    *rest, name = args
    subprocess.run(["ffmpeg", "-v", "error", "-y", *rest, "-fflags", "+bitexact", name], check=True)


def path(name):
    return f"{CLIPS}/{name}"


def scratch(name):
    """A file that is made on the way and goes with the script's end."""
    return os.path.join(SCRATCH.name, name)


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
    soundfile.write(scratch("sound.wav"), wave, 44100, subtype="PCM_16")
    source = ["-i", scratch("sound.wav")]
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


def make_voice():
    """Syllables of a gliding voice with its formants and breath, below 4.5 kHz, where resamplers agree."""
    rng = np.random.default_rng(11)
    rate, seconds = 44100, 1
    t = np.arange(rate * seconds) / rate
    pitch = 140 + 40 * np.sin(2 * np.pi * 0.9 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    first, second = 500 + 250 * np.sin(2 * np.pi * 1.7 * t), 1700 + 600 * np.sin(2 * np.pi * 1.1 * t)
    voice = np.zeros_like(t)
    for k in range(1, 34):
        hz = k * pitch
        gain = sum(np.exp(-(((hz - f) / w) ** 2)) for f, w in ((first, 150), (second, 250), (2800, 300)))
        voice += gain / k**0.3 * np.sin(k * phase)
    voice *= (1 - np.cos(2 * np.pi * 3 * t)) ** 2
    for hz in rng.uniform(100, 4500, 90):
        voice += 0.02 * np.sin(2 * np.pi * hz * t + rng.uniform(0, 6))
    voice *= np.sin(np.pi / 2 * np.minimum(1, np.minimum(t, t[::-1]) / 0.02)) ** 2
    soundfile.write(scratch("voice.wav"), 0.25 * voice / np.abs(voice).max(), rate, subtype="PCM_24")
    ffmpeg("-i", scratch("voice.wav"), "-c:a", "flac", "-compression_level", "12", path("voice.flac"))


def make_films():
    """A film with rich pictures and lossless stereo sound, and films that ask for care."""
    t = np.arange(22050 * 24 // 10) / 22050
    sides = [0.02 * np.sin(2 * np.pi * (f * t + 90 * t**2)) * (1 + np.sin(2 * np.pi * 2 * t)) for f in (300, 700)]
    # Noise, so that no band is so quiet that the rounding of a spectrum in float32 shows.
    sides = np.stack(sides, 1) + np.random.default_rng(5).normal(0, 2.5e-4, (len(t), 2))
    soundfile.write(scratch("film.wav"), sides, 22050, subtype="PCM_16")
    fractal = "mandelbrot=s=320x180:r=10:start_scale=0.5:end_scale=0.001:end_pts=30"
    ffmpeg("-f", "lavfi", "-i", fractal, "-frames:v", "24", "-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset",
           "slow", "-crf", "36", scratch("film.mp4"))
    ffmpeg("-i", scratch("film.mp4"), "-i", scratch("film.wav"), "-c:v", "copy", "-c:a", "flac", "-strict", "-2",
           path("film.mp4"))
    ffmpeg("-i", path("24.mp4"), "-c", "copy", "-metadata:s:v:0", "rotate=90", path("turned.mp4"))
    h264 = ["-c:v", "libx264", "-preset", "veryfast"]
    ffmpeg("-i", path("24.mp4"), "-vf", "setsar=2", *h264, path("wide-pixels.mp4"))
    ffmpeg("-i", path("24.mp4"), "-vf", "select=not(mod(n\\,5))+not(mod(n\\,7))", "-vsync", "vfr", *h264,
           path("uneven.mp4"))
    two = ["-f", "lavfi", "-i", "sine=300:duration=1", "-f", "lavfi", "-i", "sine=900:duration=1"]
    ffmpeg(*two, "-map", "0", "-map", "1", "-c:a", "aac", "-b:a", "32k", path("two-tracks.m4a"))


def with_sbr(adts):
    """Adds to every frame of AAC what makes it HE-AAC (ISO/IEC 14496-3, 4.6.18): the spectrum's upper half.

    One envelope without detail: a header, its first level, and zeros, which stand for "as before".
    """
    header = "1" + "1" + "0" + "1100" + "0101" + "000" + "00" + "0" + "0"
    envelope = "0" + "00" + "00" + "0" + "00" + "0000" + f"{18:07b}"
    payload = ("1101" + header + envelope).ljust(14 * 8, "0")
    out = b""
    while adts:
        length = (adts[3] & 3) << 11 | adts[4] << 3 | adts[5] >> 5
        frame, adts = adts[:length], adts[length:]
        bits = "".join(f"{byte:08b}" for byte in frame[7:])
        body = bits[: bits.rindex("1") - 2]  # without the three ones that end a frame
        bits = body + "110" + f"{14:04b}" + payload + "111"
        bits += "0" * (-len(bits) % 8)
        data = bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
        size = len(data) + 7
        out += frame[:3] + bytes([frame[3] & 0xFC | size >> 11, size >> 3 & 255, (size & 7) << 5 | frame[5] & 31])
        out += frame[6:7] + data
    return out


def boxes(data):
    """The boxes of an MP4 as pairs of type and contents."""
    while data:
        size = int.from_bytes(data[:4], "big")
        yield data[4:8], data[8:size]
        data = data[size:]


def box(kind, body):
    return (len(body) + 8).to_bytes(4, "big") + kind + body


def with_edits(mp4, edits):
    """Gives the track of an MP4 whose table is at its end another edit list: pairs of length and start."""
    table = b"".join(struct.pack(">IiI", *edit, 0x10000) for edit in edits)
    edts = box(b"edts", box(b"elst", struct.pack(">II", 0, len(edits)) + table))

    def changed(kind, body):
        if kind == b"edts":
            return b""
        if kind not in (b"moov", b"trak"):
            return box(kind, body)
        inner = b"".join(changed(*child) + (edts if child[0] == b"tkhd" else b"") for child in boxes(body))
        return box(kind, inner)

    return b"".join(changed(*child) for child in boxes(mp4))


def make_edited():
    """Cuts that follow on each other with a gap between them; sound that begins later."""
    ffmpeg("-i", path("24.mp4"), "-c", "copy", scratch("24.mp4"))
    for source, name, edits in (
        (scratch("24.mp4"), "24-edits.mp4", [(500, 12288), (500, -1), (700, 24576)]),
        (path("aac.m4a"), "late.m4a", [(700, -1), (900, 4096)]),
    ):
        with open(source, "rb") as whole, open(path(name), "wb") as out:
            out.write(with_edits(whole.read(), edits))


def make_he_aac():
    ffmpeg("-i", scratch("sound.wav"), "-ar", "22050", "-c:a", "aac", "-b:a", "32k", scratch("core.aac"))
    with open(scratch("core.aac"), "rb") as core, open(path("he.aac"), "wb") as out:
        out.write(with_sbr(core.read()))
    ffmpeg("-i", path("he.aac"), "-c", "copy", path("he.m4a"))
    ffmpeg("-i", path("he.aac"), "-c", "copy", path("he.mka"))


def pictures(name):
    reader = decord.VideoReader(path(name))
    frames = VideoDecoder(path(name)).metadata.num_frames if "cut" in name or "edits" in name else len(reader)
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


def quarters(name):
    """Mean colours of the quarters of the first frame, turned as the file asks, row by row."""
    out = subprocess.run(["ffmpeg", "-v", "error", "-i", path(name), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt",
                          "rgb24", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(out, np.uint8).reshape(2, 24, 2, 16, 3).mean((1, 3)).reshape(-1).tolist()


def times(name):
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=pts_time", "-of",
                          "csv=p=0", path(name)], capture_output=True, text=True, check=True).stdout
    return [float(line.strip(",")) for line in out.split()]


def sound(name):
    samples, _ = librosa.load(path(name), sr=16000, mono=True)
    values = base64.b64encode(samples[::97].astype("<f4").tobytes()).decode()
    return {"samples": len(samples), "values": values}


def main():
    os.makedirs(CLIPS, exist_ok=True)
    make_pictures()
    make_sound()
    make_he_aac()
    make_edited()
    make_voice()
    make_films()
    names = sorted(os.listdir(CLIPS))
    golden = {
        "versions": {
            "ffmpeg": subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True).stdout.split()[2],
            "decord": decord.__version__, "torchcodec": torchcodec.__version__, "librosa": librosa.__version__,
        },
        "pictures": {name: pictures(name) for name in names if name.startswith(("24", *FILMS))},
        "quarters": quarters("turned.mp4"),
        "times": times("uneven.mp4"),
        "columns": {name: last_columns(name, int(name[6:-5])) for name in names if name.startswith("width")},
        "sound": {name: sound(name) for name in names if not name.startswith(("24", "width", *FILMS[1:]))},
    }
    with open("test/golden/media/clips.json", "w") as out:
        json.dump(golden, out, indent=1)
        out.write("\n")


main()
