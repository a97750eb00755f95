/** How a file asks for its pictures to be turned before they are shown. */
export interface Orientation {
  /** Degrees clockwise. */
  rotation: 0 | 90 | 180 | 270;
  /** Mirrored left to right, after the rotation. */
  flip: boolean;
}

/** Turns an interleaved RGB picture upright; returns the input itself where nothing is to do. */
export function orientRgb(
  picture: { width: number; height: number; rgb: Uint8Array },
  { rotation, flip }: Orientation,
): { width: number; height: number; rgb: Uint8Array } {
  if (rotation === 0 && !flip) return picture;
  const { width: w, height: h } = picture;
  const swapped = rotation === 90 || rotation === 270;
  const width = swapped ? h : w;
  const height = swapped ? w : h;
  const rgb = new Uint8Array(width * height * 3);
  let out = 0;
  for (let y = 0; y < height; y++) {
    for (let col = 0; col < width; col++, out += 3) {
      const x = flip ? width - 1 - col : col;
      const fromX =
        rotation === 90 ? y : rotation === 180 ? w - 1 - x : rotation === 270 ? w - 1 - y : x;
      const fromY =
        rotation === 90 ? h - 1 - x : rotation === 180 ? h - 1 - y : rotation === 270 ? x : y;
      const from = (fromY * w + fromX) * 3;
      rgb[out] = picture.rgb[from]!;
      rgb[out + 1] = picture.rgb[from + 1]!;
      rgb[out + 2] = picture.rgb[from + 2]!;
    }
  }
  return { width, height, rgb };
}
