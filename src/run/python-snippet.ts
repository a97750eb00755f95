/**
 * Python that loads a model folder, or adapters on their base.
 *
 * @param name the class of transformers that holds the model.
 * @param base the model that adapters are on; none for whole weights.
 */
export function pythonSnippet(name: string, folder: string, base?: string): string {
  const load = (path: string) => `${name}.from_pretrained(${JSON.stringify(path)}, dtype="auto")`;
  if (base === undefined) return `from transformers import ${name}\n\nmodel = ${load(folder)}\n`;
  return `from peft import PeftModel
from transformers import ${name}

base = ${load(base)}
model = PeftModel.from_pretrained(base, ${JSON.stringify(folder)})
`;
}
