/* The page: choices in, answers out. The model lives in the worker. */
import type { Ask, AnswerText, FromWorker, Numbers, ToWorker } from "./messages.ts";
import { describe, missingCodecs, type Problem } from "./problems.ts";
import {
  composePrompt,
  LETTERS,
  loadSamples,
  WORDS,
  type Question,
  type SampleClip,
} from "./samples.ts";

function element<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no element ${id}`);
  return found as T;
}

const [ask, stop] = [element<HTMLButtonElement>("ask"), element<HTMLButtonElement>("stop")];
const question = element<HTMLInputElement>("question");
const status = element("status");
const upload = element<HTMLInputElement>("upload");
const player = element<HTMLVideoElement>("player");
const loading = element<HTMLProgressElement>("load");

const page = {
  clip: undefined as { name: string; data: Blob } | undefined,
  preset: undefined as Question | undefined,
  /** The reason for which asking is impossible, whatever is chosen. */
  obstacle: missingCodecs(),
  modelReady: false,
  busy: false,
  /** True when the right answer to the question that is being answered is known. */
  known: false,
};

/** The name of the model, as whoever serves the page calls it. */
const modelName = fetch(new URL("checkpoint/about.json", document.baseURI))
  .then((answer) => answer.json() as Promise<{ name: string }>)
  .then(({ name }) => name)
  .catch(() => "a model");

const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
const send = (message: ToWorker) => worker.postMessage(message);

const optionInputs = LETTERS.map((letter) => {
  const label = document.createElement("label");
  const input = document.createElement("input");
  input.autocomplete = "off";
  input.required = true;
  label.append(letter, input);
  element("options").append(label);
  return input;
});
element("words").textContent = WORDS;

function refresh(): void {
  const possible = page.modelReady && page.obstacle === undefined;
  ask.disabled = !possible || page.busy || page.clip === undefined;
  stop.disabled = !page.busy;
  element("form").ariaBusy = String(page.busy);
}

/** Shows a problem in place of the last one; an obstacle stays. */
function show(problem: Problem | undefined = page.obstacle): void {
  element("problem").hidden = problem === undefined;
  if (problem === undefined) return;
  element("problem-title").textContent = problem.title;
  element("problem-text").textContent = problem.text;
}

function radio(group: string, text: string, chosen: () => void): HTMLLabelElement {
  const label = document.createElement("label");
  const input = document.createElement("input");
  input.type = "radio";
  input.name = group;
  input.addEventListener("change", chosen);
  label.append(input, text);
  return label;
}

function usePreset(preset: Question): void {
  page.preset = preset;
  question.value = preset.text;
  optionInputs.forEach((input, i) => (input.value = preset.options[i]!));
}

/** A question that somebody typed has no known answer. */
function forgetPreset(): void {
  page.preset = undefined;
  for (const input of element("presets").querySelectorAll("input")) input.checked = false;
}

function useClip(name: string, data: Blob): void {
  page.clip = { name, data };
  URL.revokeObjectURL(player.src);
  player.src = URL.createObjectURL(data);
  show();
  refresh();
}

function useSample(sample: SampleClip, data: Blob): void {
  useClip(sample.file, data);
  upload.value = "";
  const presets = element("presets");
  presets.replaceChildren(
    ...sample.questions.map((one) => radio("preset", one.text, () => usePreset(one))),
  );
  element("preset-box").hidden = false;
  presets.querySelector("input")!.checked = true;
  usePreset(sample.questions[0]!);
  element("slots").replaceChildren(
    ...sample.colours.map((colour, i) => {
      const slot = document.createElement("li");
      slot.dataset["colour"] = colour;
      slot.textContent = `${colour}, ${sample.sounds[i]!}`;
      return slot;
    }),
  );
  element("contents").hidden = false;
}

async function offerSamples(): Promise<void> {
  const box = element("samples");
  try {
    const samples = await loadSamples();
    box.replaceChildren(
      ...samples.map(({ sample, data }, i) => {
        const label = radio("sample", `Clip ${i + 1}`, () => useSample(sample, data));
        const picture = document.createElement("video");
        Object.assign(picture, { src: URL.createObjectURL(data), muted: true, preload: "auto" });
        picture.ariaHidden = "true";
        label.prepend(picture);
        return label;
      }),
    );
    box.querySelector("input")!.click();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const words = document.createElement("p");
    words.textContent = `There are no samples here: ${text} Choose a file of your own.`;
    box.replaceChildren(words);
  }
}

function useFile(file: File): void {
  for (const input of element("samples").querySelectorAll("input")) input.checked = false;
  element("preset-box").hidden = true;
  element("contents").hidden = true;
  page.preset = undefined;
  useClip(file.name, file);
}

upload.addEventListener("change", () => {
  if (upload.files?.[0] !== undefined) useFile(upload.files[0]);
});
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  const file = event.dataTransfer?.files[0];
  if (file === undefined) return;
  upload.files = event.dataTransfer!.files;
  useFile(file);
});
for (const input of [question, ...optionInputs]) input.addEventListener("input", forgetPreset);
stop.addEventListener("click", () => {
  send({ type: "stop" });
  // Decoding a clip ends before it is heard.
  status.textContent = "Stopping ...";
  stop.disabled = true;
});

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (ask.disabled || page.clip === undefined) return;
  const options = optionInputs.map(({ value }) => value.trim());
  const sampled = Number(element<HTMLSelectElement>("count").value);
  page.busy = true;
  page.known = page.preset !== undefined;
  refresh();
  show();
  element("answers").hidden = false;
  element("answers").scrollIntoView({ block: "nearest" });
  fill(element("greedy"), { text: "" });
  element("sampled").replaceChildren();
  element("sampled-box").hidden = sampled === 0;
  element("sampled-title").textContent = "Sampled at temperature 1";
  element("numbers").textContent = "";
  const message: Ask = {
    type: "ask",
    clip: page.clip,
    prompt: composePrompt(question.value, options),
    options,
    answer: page.preset?.answer,
    sampled,
  };
  send(message);
});

function fill(place: HTMLElement, { text, correct }: AnswerText): void {
  place.textContent = text;
  if (correct === undefined) delete place.dataset["verdict"];
  else {
    place.dataset["verdict"] = correct ? "right" : "wrong";
    const mark = document.createElement("span");
    mark.className = "verdict";
    mark.textContent = correct ? "right" : "wrong";
    place.append(mark);
  }
}

function finish(
  { promptTokens, tokens, firstTokenS, tokensPerS }: Numbers,
  stopped: boolean,
): void {
  page.busy = false;
  refresh();
  const answers = [...element("sampled").children] as HTMLElement[];
  const right = answers.filter(({ dataset }) => dataset["verdict"] === "right").length;
  const said = element("greedy").firstChild?.textContent ?? "";
  status.textContent = stopped
    ? "Stopped."
    : `Done: ${said.replaceAll(/(<[^>]*>|\s)+/g, " ").trim()}`;
  element("sampled-box").hidden = answers.length === 0;
  const judged = page.known ? `, ${right} of them right` : "";
  element("sampled-title").textContent =
    `Sampled: ${answers.length} draws at temperature 1${judged}.`;
  element("answers").scrollIntoView({ block: "nearest" });
  element("numbers").textContent =
    `Prompt of ${promptTokens} tokens; first token after ${firstTokenS.toFixed(2)} s; ` +
    `${tokens} tokens in all, ${tokensPerS.toFixed(0)} a second.`;
}

function sampledPlace(index: number): HTMLElement {
  const list = element("sampled");
  while (list.children.length <= index) list.append(document.createElement("li"));
  return list.children[index] as HTMLElement;
}

worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
  switch (data.type) {
    case "device": {
      const kind = data.software ? "software, slow" : "GPU";
      element("adapter").textContent = `${data.adapter}, tier ${data.tier} (${kind})`;
      element("model").textContent = "loading ...";
      break;
    }
    case "progress":
      loading.value = data.done / data.total;
      element("model").textContent =
        `loading, ${(data.done / 1e6).toFixed(1)} of ${(data.total / 1e6).toFixed(1)} MB`;
      break;
    case "ready": {
      const millions = (data.parameters / 1e6).toFixed(2);
      const facts = `Qwen2.5-Omni architecture, ${millions} M parameters, ready in ${data.seconds.toFixed(1)} s`;
      element("model").textContent = facts;
      void modelName.then((name) => (element("model").textContent = `${name}: ${facts}`));
      loading.hidden = true;
      page.modelReady = true;
      status.textContent = "Ready.";
      refresh();
      break;
    }
    case "stage":
      status.textContent = `${data.text[0]!.toUpperCase()}${data.text.slice(1)} ...`;
      break;
    case "note":
      show({ title: "Good to know", text: data.text });
      break;
    case "greedy":
      fill(element("greedy"), data.answer);
      break;
    case "sampled":
      fill(sampledPlace(data.index), data.answer);
      break;
    case "done":
      finish(data.numbers, data.stopped);
      break;
    case "problem":
      fail(data.during, describe(data.code, data.message));
      break;
  }
});
worker.addEventListener("error", ({ message }) => {
  fail("start", { title: "The worker did not start", text: message || "Reload the page." });
});

function fail(during: "start" | "ask", problem: Problem): void {
  if (during === "start") page.obstacle ??= problem;
  show(problem);
  page.busy = false;
  if (during === "start") {
    loading.hidden = true;
    status.textContent = "Asking is not possible.";
    if (element("model").textContent === "waiting") element("adapter").textContent = "none";
    element("model").textContent = "not loaded";
  } else {
    status.textContent = `No answer: ${problem.title}.`;
    element("problem").scrollIntoView({ block: "nearest" });
    if (element("greedy").textContent === "") element("answers").hidden = true;
  }
  refresh();
}

show();
void offerSamples();
send({ type: "load", folder: new URL("checkpoint", document.baseURI).href });
