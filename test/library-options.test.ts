/** Programs in JavaScript have no compiler to tell them of a slip: every door of the library does. */
import { describe, expect, it } from "vitest";
import {
  evaluate,
  generate,
  loadModel,
  openDevice,
  Processor,
  saveModel,
  train,
} from "../src/index.ts";
import { modelFolder } from "../src/io/hub/node.ts";

const TINY = "assets/tiny";
const none = undefined as never;
const settings = { model: { path: TINY } };
const wrong = (options: object) => options as never;

const CALLS: [string, () => Promise<unknown>, string][] = [
  [
    "openDevice",
    () => openDevice(wrong({ teir: "t0" })),
    "openDevice has no option teir. Did you mean tier? Known here: tier,",
  ],
  [
    "loadModel",
    () => loadModel(none, TINY, wrong({ Lora: { r: 4 } })),
    "loadModel has no option Lora. Did you mean lora?",
  ],
  [
    "generate",
    () => generate(none, none, { conversation: [] }, wrong({ max_new_tokens: 9 })),
    "generate has no option max_new_tokens. Did you mean maxNewTokens?",
  ],
  [
    "generate's request",
    () => generate(none, none, wrong({ conversation: [], video: "clip.mp4" })),
    "generate's request has no option video. Known here: conversation, media, id.",
  ],
  [
    "Processor.process",
    async () => {
      const processor = await Processor.load(TINY);
      const request = { id: "r", conversation: [{ role: "user", content: "what" }], media: [] };
      return processor.process(request, wrong({ max_prompt_tokens: 9 }));
    },
    "a processor has no option max_prompt_tokens. Did you mean maxPromptTokens?",
  ],
  [
    "saveModel",
    () => saveModel(none, "out", wrong({ dtypes: "bf16" })),
    "saveModel has no option dtypes. Did you mean dtype?",
  ],
  [
    "the Hub",
    () => modelFolder("owner/name", wrong({ revison: "main" })),
    "the Hub has no option revison. Did you mean revision?",
  ],
  [
    "train",
    () => train(settings, wrong({ runfolder: "x" })),
    "train has no option runfolder. Did you mean runFolder?",
  ],
  ["evaluate", () => evaluate(settings, wrong({ modle: none })), "evaluate has no option modle."],
];

describe("an option that a function of the library does not know", () => {
  it.each(CALLS)("is refused by %s with the one that is meant", async (_, call, message) => {
    const refused = (async () => call())();
    await expect(refused).rejects.toMatchObject({ code: "unknown-option" });
    await expect(refused).rejects.toThrow(message);
  });
});
