/** One decoded picture: interleaved RGB, rotation already applied. */
export interface Frame {
  width: number;
  height: number;
  /** [height, width, 3] u8, red first. */
  rgb: Uint8Array;
  /** Presentation time in seconds. */
  timestamp: number;
}
