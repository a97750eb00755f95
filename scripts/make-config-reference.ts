/** Writes docs/configuration.md and configs/schema.json: `npx tsx scripts/make-config-reference.ts`. */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { format } from "prettier";
import { editorSchema, referencePage } from "../src/config/reference-page.ts";

const STYLE = { printWidth: 100 };

/** The generated files, formatted: path from the repository's root, and text. */
export async function referenceFiles(): Promise<{ path: string; text: string }[]> {
  const schema = JSON.stringify(editorSchema());
  return [
    {
      path: "docs/configuration.md",
      text: await format(referencePage(), { ...STYLE, parser: "markdown" }),
    },
    { path: "configs/schema.json", text: await format(schema, { ...STYLE, parser: "json" }) },
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { path, text } of await referenceFiles()) {
    writeFileSync(new URL(`../${path}`, import.meta.url), text);
    console.log(`wrote ${path}`);
  }
}
