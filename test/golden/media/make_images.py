"""Makes small picture files and images.json: what Pillow and qwen-vl-utils' to_rgb make of them.

Run from the repository root: python test/golden/media/make_images.py
"""
import base64
import io
import json
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageCms

FOLDER = "test/golden/media/images"
golden = {"versions": {"pillow": PIL.__version__}, "files": {}}
rng = np.random.default_rng(5)


def to_rgb(image):
    """qwen_vl_utils.vision_process.to_rgb."""
    if image.mode == "RGBA":
        white = Image.new("RGB", image.size, (255, 255, 255))
        white.paste(image, mask=image.split()[3])
        return white
    return image.convert("RGB")


def picture(w, h):
    y, x = np.mgrid[0:h, 0:w]
    smooth = np.stack([x * 255 // w, y * 255 // h, (x * y) % 256], -1)
    return np.clip(smooth + rng.integers(-25, 25, (h, w, 3)), 0, 255).astype(np.uint8)


def keep(name, data, refused=False):
    with open(f"{FOLDER}/{name}", "wb") as out:
        out.write(data)
    image = Image.open(io.BytesIO(data))
    rgb = np.asarray(to_rgb(image))
    golden["files"][name] = {
        "mode": image.mode, "size": list(image.size), "refused": refused,
        "rgb": "" if refused else base64.b64encode(zlib.compress(rgb.tobytes(), 9)).decode(),
    }


def saved(name, image, **options):
    out = io.BytesIO()
    kind = name.split(".")[-1]
    image.save(out, "jpeg" if kind == "jpg" else kind, **options)
    keep(name, out.getvalue())


def png(samples, depth, colour, interlaced=False, palette=None, transparent=None):
    """A PNG of [h, w, channels] samples, rows filtered by Sub and Up in turn."""
    h, w, channels = samples.shape

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def rows(part):
        bpp = max(1, channels * depth // 8)
        before, out = None, b""
        for i, row in enumerate(part):
            bits = "".join(format(int(v), f"0{depth}b") for v in row.reshape(-1))
            bits += "0" * (-len(bits) % 8)
            raw = np.array([int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)], np.uint8)
            if i % 2 == 0:
                left = np.concatenate([np.zeros(min(bpp, len(raw)), np.uint8), raw[:-bpp]])
                out += b"\1" + (raw - left).tobytes()
            else:
                out += b"\2" + (raw - before).tobytes()
            before = raw
        return out

    adam7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    parts = [samples[y::dy, x::dx] for x, y, dx, dy in adam7] if interlaced else [samples]
    data = b"".join(rows(part) for part in parts if part.size)
    head = struct.pack(">IIBBBBB", w, h, depth, colour, 0, 0, int(interlaced))
    out = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    if palette is not None:
        out += chunk(b"PLTE", palette.astype(np.uint8).tobytes())
    if transparent is not None:
        out += chunk(b"tRNS", transparent)
    return out + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def bmp(header, bits, rows, palette=b"", extra=b"", compression=0, top_down=False):
    """A BMP of rows of bytes; `header` is the length of its first header."""
    height, width = len(rows), len(rows[0]) * 8 // bits
    data = b"".join(row + bytes(-len(row) % 4) for row in (rows if top_down else rows[::-1]))
    tall = -height if top_down else height
    if header == 12:
        head = struct.pack("<IHHHH", header, width, height, 1, bits)
    else:
        colours = len(palette) // 4
        head = struct.pack("<IiiHHIIiiII", header, width, tall, 1, bits, compression, len(data), 0, 0, colours, colours)
        head += extra.ljust(header - 40, b"\0")
    start = 14 + len(head) + len(palette) + (len(extra) if header == 40 else 0)
    body = head + (extra if header == 40 else b"") + palette + data
    return b"BM" + struct.pack("<IHHI", 14 + len(body), 0, 0, start) + body


def tiff(samples):
    """An uncompressed TIFF of 16 bits a sample."""
    h, w, channels = samples.shape
    bits = struct.pack("<H", 16) + bytes(2)
    at = 8
    data = samples.tobytes()
    if channels == 3:
        bits, data = struct.pack("<I", at), struct.pack("<HHH", 16, 16, 16) + data
    strip = at + (6 if channels == 3 else 0)
    tags = [
        (256, 4, 1, w), (257, 4, 1, h), (258, 3, channels, bits), (259, 3, 1, 1), (262, 3, 1, 2 if channels == 3 else 1),
        (273, 4, 1, strip), (277, 3, 1, channels), (278, 4, 1, h), (279, 4, 1, samples.nbytes),
    ]
    directory = struct.pack("<H", len(tags))
    for tag, kind, count, value in tags:
        directory += struct.pack("<HHI", tag, kind, count) + (value if isinstance(value, bytes) else struct.pack("<I", value))
    return b"II*\0" + struct.pack("<I", at + len(data)) + data + directory + bytes(4)


def more_formats(rgb, rgba, photo, second, levels):
    saved("rgb.bmp", rgb)
    saved("alpha.bmp", rgba)
    saved("grey.bmp", rgb.convert("L"))
    saved("palette.bmp", rgb.quantize(40))
    saved("one.bmp", rgb.convert("1"))
    colours = rng.integers(0, 256, (16, 4)).astype(np.uint8)
    colours[:, 3] = 0
    nibbles = [bytes(int(a) << 4 | int(b) for a, b in zip(row[0:20:2], row[1:21:2])) for row in levels]
    keep("palette4.bmp", bmp(40, 4, nibbles, colours.tobytes()))
    keep("os2.bmp", bmp(12, 4, nibbles, colours[:, :3].tobytes()))
    words = [rng.integers(0, 256, 26).astype(np.uint8).tobytes() for _ in range(7)]
    keep("555.bmp", bmp(40, 16, words))
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    keep("565.bmp", bmp(40, 16, words, extra=masks, compression=3))
    wide = [rng.integers(0, 256, 20).astype(np.uint8).tobytes() for _ in range(6)]
    keep("32.bmp", bmp(40, 32, wide, top_down=True))
    fields = struct.pack("<IIII", 0xFF, 0xFF00, 0xFF0000, 0xFF000000)
    keep("rgba-fields.bmp", bmp(124, 32, wide, extra=fields, compression=3))
    for name, options in (
        ("rgb.tiff", {}), ("lzw.tiff", {"compression": "tiff_lzw"}), ("deflate.tiff", {"compression": "tiff_adobe_deflate"}),
    ):
        saved(name, rgb, **options)
    saved("alpha.tiff", rgba)
    saved("grey.tiff", rgb.convert("L"))
    saved("palette.tiff", rgb.quantize(40))
    saved("fax.tiff", rgb.convert("1"), compression="group4")
    saved("pages.tiff", rgb, save_all=True, append_images=[second])
    saved("cmyk.tiff", Image.fromarray(rng.integers(0, 256, (13, 21, 4)).astype(np.uint8), "CMYK"))
    keep("rgb-16.tiff", tiff(rng.integers(0, 65536, (7, 9, 3)).astype("<u2")))
    keep("grey-16.tiff", tiff(rng.integers(0, 65536, (7, 9, 1)).astype("<u2")), refused=True)
    y, x = np.mgrid[0:48, 0:64]
    smooth = np.stack([128 + 100 * np.sin(x / 9), 128 + 100 * np.cos(y / 11), (x + y) * 2], -1).astype(np.uint8)
    saved("420.avif", Image.fromarray(smooth), quality=85, subsampling="4:2:0")
    saved("444.avif", photo, quality=90, subsampling="4:4:4")
    saved("alpha.avif", rgba, quality=80, subsampling="4:4:4")


def swapped_profile():
    """sRGB with red and green exchanged: whoever applies it shows it."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = {bytes(profile[132 + 12 * i : 136 + 12 * i]): 132 + 12 * i for i in range(profile[131])}
    red, green = at[b"rXYZ"] + 4, at[b"gXYZ"] + 4
    profile[red : red + 8], profile[green : green + 8] = profile[green : green + 8], profile[red : red + 8]
    return bytes(profile)


def main():
    w, h = 21, 13
    rgb = Image.fromarray(picture(w, h))
    rgba = Image.fromarray(np.dstack([picture(w, h), rng.integers(0, 256, (h, w))]).astype(np.uint8))
    saved("rgb.png", rgb)
    saved("rgba.png", rgba)
    saved("grey.png", rgb.convert("L"))
    saved("grey-alpha.png", Image.merge("LA", [rgb.convert("L"), rgba.split()[3]]))
    saved("palette.png", rgb.quantize(40))
    exif = rgb.getexif()
    exif[0x112] = 6
    saved("turned.png", rgb, exif=exif)
    noise = {depth: rng.integers(0, 2**depth, (h, w, 4)) for depth in (1, 2, 4, 8, 16)}
    palette = rng.integers(0, 256, (256, 3))
    for depth in (1, 2, 4):
        keep(f"grey{depth}.png", png(noise[depth][..., :1], depth, 0))
        data = png(noise[depth][..., :1], depth, 3, depth == 4, palette[: 2**depth], b"\0\x80")
        keep(f"palette{depth}.png", data)
    keep("rgb-interlaced.png", png(noise[8][..., :3], 8, 2, True))
    keep("rgba-interlaced-16.png", png(noise[16], 16, 6, True))
    keep("rgb-16.png", png(noise[16][..., :3], 16, 2))
    keep("grey-alpha-16.png", png(noise[16][..., :2], 16, 4))
    keep("grey-key.png", png(noise[8][..., :1], 8, 0, transparent=b"\0\x05"))
    keep("one-pixel.png", png(noise[8][:1, :1, :3], 8, 2, True))
    keep("grey-16.png", png(noise[16][..., :1], 16, 0), refused=True)
    # Every value with every opacity.
    grid = np.zeros((256, 256, 4), np.uint8)
    grid[..., :3] = np.arange(256)[:, None, None]
    grid[..., 3] = np.arange(256)[None]
    saved("blend.png", Image.fromarray(grid))

    photo = Image.fromarray(picture(61, 43))
    saved("444.jpg", rgb, quality=90, subsampling=0)
    saved("422.jpg", rgb, quality=75, subsampling=1, progressive=True)
    saved("420.jpg", photo, quality=80, subsampling=2)
    saved("grey.jpg", photo.convert("L"))
    saved("cmyk.jpg", Image.fromarray(rng.integers(0, 256, (h, w, 4)).astype(np.uint8), "CMYK"), quality=95)
    saved("turned.jpg", rgb, exif=exif)
    saved("profile.jpg", rgb, icc_profile=swapped_profile())
    saved("lossy.webp", photo, quality=70)
    saved("lossless.webp", rgb, lossless=True)
    saved("alpha.webp", rgba, lossless=True, exact=True)
    saved("alpha-lossy.webp", rgba, quality=80)
    saved("turned.webp", rgb, lossless=True, exif=exif)
    saved("profile.webp", rgb, lossless=True, icc_profile=swapped_profile())
    second = Image.fromarray(picture(w, h))
    saved("moving.webp", rgb, save_all=True, append_images=[second], lossless=True)
    saved("still.gif", rgb.quantize(64))
    saved("moving.gif", rgb.quantize(64), save_all=True, append_images=[second.quantize(64)])
    more_formats(rgb, rgba, photo, second, noise[4][..., 0])
    with open("test/golden/media/images.json", "w") as out:
        json.dump(golden, out, separators=(",", ":"))
        out.write("\n")


main()
