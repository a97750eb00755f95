import { execFile, execFileSync } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import ts from "typescript";
import { ROOT } from "../../src/cli/package.ts";
import { filesUnder } from "./source-tree.ts";

/**
 * A fenced block of a document. After the language its first line may say what the tests do with it:
 * a name with a dot is the file that it stands for, `long` runs it in test/long only, `by-hand`
 * never: a server, a download of many gigabytes, another program.
 */
export interface Block {
  /** `README.md:57`. */
  place: string;
  language: string;
  /** The file that the block stands for. */
  file?: string;
  when: "always" | "long" | "by-hand";
  text: string;
}

/** The documents of the repository. */
export const DOCUMENTS: readonly string[] = [
  "README.md",
  "CONTRIBUTING.md",
  ...filesUnder("docs", ".md"),
];

/** The fenced blocks of a document, in its order. */
export function blocksOf(document: string): Block[] {
  const blocks: Block[] = [];
  let open: Block | undefined;
  for (const [at, line] of readFileSync(join(ROOT, document), "utf8").split("\n").entries()) {
    if (!line.startsWith("```")) {
      if (open !== undefined) open.text += `${line}\n`;
      continue;
    }
    if (open !== undefined) {
      blocks.push(open);
      open = undefined;
      continue;
    }
    const [language = "", ...words] = line.slice(3).trim().split(/\s+/);
    const file = words.find((word) => word.includes("."));
    const when = words.find((word) => word === "long" || word === "by-hand") ?? "always";
    const place = `${document}:${at + 1}`;
    open = { place, language, when: when as Block["when"], text: "", ...(file && { file }) };
  }
  return blocks;
}

const run = promisify(execFile);

/** A clone of this checkout as it is now, in which the blocks of a document are run in order. */
export class Clone {
  readonly root: string;

  /** @param packages whether it shares the packages of this checkout, or has none yet. */
  constructor(packages = true) {
    this.root = mkdtempSync(join(tmpdir(), "aubade-clone-"));
    const options = { cwd: ROOT, encoding: "utf8" as const };
    const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard"], options);
    for (const file of files.trim().split("\n")) {
      if (file.startsWith("test/")) continue;
      cpSync(join(ROOT, file), join(this.root, file), { recursive: true });
    }
    if (packages) symlinkSync(join(ROOT, "node_modules"), join(this.root, "node_modules"));
  }

  /** A path in the clone. */
  path(...parts: string[]): string {
    return join(this.root, ...parts);
  }

  /** Writes a file into the clone. */
  write(file: string, text: string): void {
    mkdirSync(dirname(this.path(file)), { recursive: true });
    writeFileSync(this.path(file), text);
  }

  /**
   * Runs one block as printed: commands line by line in a shell that stops at the first failure, a
   * program after it has compiled; any other block that names its file is written.
   *
   * @returns the standard output.
   */
  async run(block: Block): Promise<string> {
    const { language, text, place } = block;
    if (language === "sh") return await this.shell(text);
    if (language === "ts") {
      const file = block.file ?? `${place.replace(/\W+/g, "-")}.ts`;
      this.write(file, text);
      const errors = this.compile(file);
      if (errors !== "") throw new Error(`${place} does not compile:\n${errors}`);
      // A block that stands for a file is used by a later one.
      return block.file === undefined
        ? await this.shell(`node aubade.js node --import tsx ${file}`)
        : "";
    }
    if (block.file !== undefined) this.write(block.file, text);
    return "";
  }

  /** Returns the errors that TypeScript, strict, finds in a file of the clone. */
  compile(file: string): string {
    const program = ts.createProgram([this.path(file)], {
      target: ts.ScriptTarget.ES2023,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      lib: ["lib.es2023.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
      types: ["@webgpu/types", "node"],
      strict: true,
      noUncheckedIndexedAccess: true,
      allowImportingTsExtensions: true,
      skipLibCheck: true,
      noEmit: true,
      paths: { aubade: [this.path("src/index.ts")] },
    });
    return ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"))
      .join("\n");
  }

  /** Runs commands in the clone, and returns their standard output. */
  async shell(commands: string): Promise<string> {
    const options = { cwd: this.root, maxBuffer: 1 << 26, env: { ...process.env, CI: "true" } };
    try {
      return (await run("bash", ["-euo", "pipefail", "-c", commands], options)).stdout;
    } catch (error) {
      const { stdout, stderr } = error as { stdout: string; stderr: string };
      throw new Error(`${commands}\nfailed:\n${stdout.slice(-3000)}${stderr.slice(-3000)}`);
    }
  }

  /** Deletes the clone. */
  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}
