/** A question as the worker is asked it. */
export interface Ask {
  type: "ask";
  /** The clip: an uploaded file, or a sample under the name of its file. */
  clip: { name: string; data: Blob };
  /** The question with its options, as it follows the clip in the prompt. */
  prompt: string;
  options: string[];
  /** The right option's letter, where it is known. */
  answer: string | undefined;
  /** Sampled answers besides the greedy one. */
  sampled: number;
}

/** A message from the page to the worker. */
export type ToWorker = { type: "load"; folder: string } | Ask | { type: "stop" };

/** One answer, perhaps still growing. */
export interface AnswerText {
  text: string;
  /** True when the chosen option is the right one; undefined while that is not known. */
  correct?: boolean | undefined;
}

/** Times and counts of one question. */
export interface Numbers {
  promptTokens: number;
  tokens: number;
  firstTokenS: number;
  tokensPerS: number;
}

/** A message from the worker to the page. */
export type FromWorker =
  | { type: "device"; adapter: string; tier: string; software: boolean }
  | { type: "progress"; done: number; total: number }
  | { type: "ready"; parameters: number; seconds: number }
  | { type: "stage"; text: string }
  | { type: "note"; text: string }
  | { type: "greedy"; answer: AnswerText }
  | { type: "sampled"; index: number; answer: AnswerText }
  | { type: "done"; numbers: Numbers; stopped: boolean }
  | { type: "problem"; during: "start" | "ask"; code: string; message: string };
