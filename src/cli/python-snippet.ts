/** Classes of transformers 4.57 that hold all that aubade trains, by family. */
const CLASSES: Readonly<Record<string, string>> = {
  "Qwen2.5-Omni": "Qwen2_5OmniThinkerForConditionalGeneration",
  "Qwen2.5-VL": "Qwen2_5_VLForConditionalGeneration",
  "Qwen2-Audio": "Qwen2AudioForConditionalGeneration",
};

/**
 * Python that loads a model folder, or adapters on their base.
 *
 * @param family the makers' name; @param base of adapters, none for whole weights.
 */
export function pythonSnippet(family: string, folder: string, base?: string): string {
  const name = CLASSES[family]!;
  const load = (path: string) => `${name}.from_pretrained(${JSON.stringify(path)}, dtype="auto")`;
  if (base === undefined) return `from transformers import ${name}\n\nmodel = ${load(folder)}\n`;
  return `from peft import PeftModel
from transformers import ${name}

base = ${load(base)}
model = PeftModel.from_pretrained(base, ${JSON.stringify(folder)})
`;
}
