/* The page of picture.browser.test.ts: loads a picture file from the page's own folder. */
import { loadImage } from "../../src/media/load.ts";

/** Size and RGB of a picture file, or the code of the error. */
async function picture(url: string): Promise<{ size: number[]; rgb: number[] } | string> {
  try {
    const { width, height, rgb } = await loadImage(url);
    return { size: [width, height], rgb: Array.from(rgb) };
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error);
  }
}

Object.assign(globalThis, { picture });
