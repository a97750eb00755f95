/*
 * Trains adapters in a page and saves them as a folder that PEFT loads, in the page's own directory
 * (the origin private file system); `showDirectoryPicker()` gives one of the user's instead.
 *
 * The page is served with a checkpoint under `model/`; the rows are text, so that it needs no clip.
 */
import { defineReward, saveModel, train } from "aubade";

const BASE = new URL("model", location.href).href;
const status = document.querySelector("[role=status]")!;
const list = document.querySelector("#files")!;

const rows = ["first", "second"].map((word) => ({
  question: ` Which colour is shown ${word} ?`,
  options: ["red", "blue"],
  answer: "red",
}));
const short = defineReward("short", ({ ids }) => 1 / ids.length);

async function trainAndSave(): Promise<void> {
  const root = await navigator.storage.getDirectory();
  const folder = await root.getDirectoryHandle(`adapters-${Date.now()}`, { create: true });
  await train(
    {
      model: { path: BASE },
      rollout: { max_completion_length: 8 },
      train: { max_steps: 1, prompts_per_step: 2, num_generations: 4, lora: { r: 4 } },
      eval: null,
    },
    {
      data: rows,
      rewards: [{ reward: short, weight: 1 }],
      onEvent: ({ kind, data }) => {
        if (kind === "step") status.textContent = `step ${data.step} of ${data.totalSteps}`;
      },
      onTrained: async (model) => {
        await saveModel(model, folder, { base: BASE });
      },
    },
  );
  for await (const [name, handle] of folder.entries()) {
    if (handle.kind !== "file") continue;
    const file = await (handle as FileSystemFileHandle).getFile();
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = name;
    link.textContent = `${name}, ${file.size} bytes`;
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  status.textContent = "saved";
}

document.querySelector("#start")!.addEventListener("click", () => {
  status.textContent = "loading";
  trainAndSave().catch((error: unknown) => {
    status.textContent = error instanceof Error ? error.message : String(error);
  });
});
