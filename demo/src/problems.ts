/** A problem in words: what is missing, and what to do. */
export interface Problem {
  title: string;
  text: string;
}

const TITLES: Record<string, string> = {
  "no-webgpu": "This browser has no WebGPU",
  "insecure-page": "This page was not loaded securely",
  "no-adapter": "WebGPU is here, but no adapter is",
  "device-refused": "The GPU gave no device",
  "device-lost": "The GPU device was lost",
  "out-of-memory": "The GPU is out of memory",
  "missing-file": "The model's files are not here",
  "missing-weights": "The trained weights are not here",
  "media-decoder-missing": "This browser cannot decode the clip",
  "media-unreadable": "The file cannot be read",
  "media-corrupt": "The clip is damaged",
  "media-stalled": "Decoding came to a halt",
  "prompt-over-context": "Clip and question are too long",
};

/** Words for an error of the worker. */
export function describe(code: string, message: string): Problem {
  const title = TITLES[code] ?? "Something went wrong";
  if (code === "no-adapter") {
    return {
      title,
      text:
        "The browser found no GPU that it can use. Switch hardware acceleration on in its settings, " +
        "update the GPU's driver, and see chrome://gpu for the reason. On Linux start Chrome with " +
        "--enable-unsafe-webgpu --enable-features=Vulkan.",
    };
  }
  if (code === "missing-weights") {
    return {
      title,
      text:
        `${message} Whoever serves this page can train them with "npm start" and then set ` +
        "AUBADE_DEMO_MODEL to the model folder of that run.",
    };
  }
  return { title, text: message };
}

/**
 * Returns the problem of a browser that lacks more than WebGPU, or undefined; pictures and sound
 * need WebCodecs.
 */
export function missingCodecs(): Problem | undefined {
  const missing = ["VideoDecoder", "AudioDecoder"].filter((name) => !(name in globalThis));
  if (missing.length === 0) return undefined;
  return {
    title: "This browser cannot decode clips in a page",
    text:
      `WebCodecs is missing (${missing.join(" and ")}). ` +
      "Use Chrome or Edge 94+, Safari 26+ or Firefox 130+ on a desktop computer.",
  };
}
