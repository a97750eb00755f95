/* Holds the device and the model, so that the page stays responsive while they work. */
import {
  AubadeError,
  generate,
  parseAnswer,
  loadMedia,
  loadModel,
  openDevice,
  Processor,
  type Conversation,
  type LoadedMedium,
  type MediaPart,
  type Model,
} from "../../src/index.ts";
import type { AnswerText, Ask, FromWorker, ToWorker } from "./messages.ts";

/**
 * The settings that the tiny model was trained with: 4 frames a second of 56 x 56 pixels, 9 tokens
 * an answer.
 */
const FPS = 4;
const PIXELS = 56 * 56;
const ANSWER_TOKENS = 9;
/** Frames of a longer clip are spread over it. */
const MAX_FRAMES = 240;

const post = (message: FromWorker) => postMessage(message);

let ready: { model: Model; processor: Processor } | undefined;
let decoded: { data: Blob; conversation: Conversation; media: LoadedMedium[] } | undefined;
let running: AbortController | undefined;
let draw = 0;

function problem(during: "start" | "ask", error: unknown): void {
  const known = error instanceof AubadeError;
  const message = error instanceof Error ? error.message : String(error);
  post({ type: "problem", during, code: known ? error.code : "unexpected", message });
}

async function load(folder: string): Promise<void> {
  const started = performance.now();
  const device = await openDevice();
  const { adapter, tier, software } = device.capabilities;
  post({ type: "device", adapter, tier: tier.toUpperCase(), software });
  const processor = await Processor.load(folder);
  const onProgress = (done: number, total: number) => post({ type: "progress", done, total });
  const model = await loadModel(device, folder, { onProgress });
  const parameters = model.weights.distinct.reduce(
    (sum, { value }) => sum + value.rows * value.width,
    0,
  );
  ready = { model, processor };
  post({ type: "ready", parameters, seconds: (performance.now() - started) / 1000 });
}

function partOf(clip: Ask["clip"], sound: boolean): MediaPart {
  if (clip.data.type.startsWith("audio/") || /\.(flac|wav|mp3|m4a|ogg)$/i.test(clip.name)) {
    return { type: "audio", audio: clip };
  }
  return {
    type: "video",
    video: clip,
    fps: FPS,
    max_frames: MAX_FRAMES,
    min_pixels: PIXELS,
    max_pixels: PIXELS,
    use_audio_in_video: sound,
  };
}

/** Decodes a clip once; a video without sound is watched in silence, and said to be. */
async function decode(clip: Ask["clip"], prompt: string, processor: Processor) {
  const ask = (sound: boolean): Conversation => [
    { role: "user", content: [partOf(clip, sound), { type: "text", text: prompt }] },
  ];
  if (decoded?.data === clip.data) {
    const [medium] = decoded.media;
    return {
      conversation: ask(medium?.kind === "video" && medium.audio !== undefined),
      media: decoded.media,
    };
  }
  post({ type: "stage", text: "decoding the clip" });
  let conversation = ask(true);
  let media: LoadedMedium[];
  try {
    media = await loadMedia(processor, conversation);
  } catch (error) {
    if (!(error instanceof AubadeError) || error.code !== "media-no-audio-track") throw error;
    post({ type: "note", text: "This clip has no sound; the model only watches it." });
    conversation = ask(false);
    media = await loadMedia(processor, conversation);
  }
  decoded = { data: clip.data, conversation, media };
  return { conversation, media };
}

function judged(text: string, { options, answer }: Ask): AnswerText {
  if (answer === undefined) return { text };
  const said = parseAnswer(text, { id: "demo", answer, options });
  return { text, correct: said.kind !== "unparsed" && said.letter === answer };
}

async function ask(question: Ask): Promise<void> {
  if (ready === undefined) throw new Error("the model is not loaded yet.");
  const { model, processor } = ready;
  running = new AbortController();
  const { signal } = running;
  const request = { id: "demo", ...(await decode(question.clip, question.prompt, processor)) };
  const sample = processor.process(request);
  post({ type: "stage", text: "answering" });
  const shared = { maxNewTokens: ANSWER_TOKENS, stepsBetweenLooks: 1, signal };
  const started = performance.now();
  let first = NaN;
  const [greedy] = await generate(model, processor, request, {
    ...shared,
    onText: (text) => {
      if (Number.isNaN(first)) first = performance.now();
      post({ type: "greedy", answer: { text } });
    },
  });
  const ended = performance.now();
  post({ type: "greedy", answer: judged(greedy!.text, question) });
  let tokens = greedy!.ids.length;
  let seconds = (ended - first) / 1000;
  let counted = tokens - 1;
  if (question.sampled > 0 && !signal.aborted) {
    post({ type: "stage", text: `sampling ${question.sampled} answers` });
    const start = performance.now();
    const answers = await generate(model, processor, request, {
      ...shared,
      generations: question.sampled,
      temperature: 1,
      draw: draw++,
      onText: (text, index) => post({ type: "sampled", index, answer: { text } }),
    });
    for (const [index, { text }] of answers.entries()) {
      post({ type: "sampled", index, answer: judged(text, question) });
    }
    const sampled = answers.reduce((sum, { ids }) => sum + ids.length, 0);
    tokens += sampled;
    counted = sampled;
    seconds = (performance.now() - start) / 1000;
  }
  const numbers = {
    promptTokens: sample.inputIds.length,
    tokens,
    firstTokenS: (first - started) / 1000,
    tokensPerS: counted / seconds,
  };
  post({ type: "done", numbers, stopped: signal.aborted });
}

addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.type === "stop") running?.abort();
  else if (data.type === "load") load(data.folder).catch((error) => problem("start", error));
  else ask(data).catch((error) => problem("ask", error));
});
