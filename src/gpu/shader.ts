import { readAsset } from "#core";
import { assert } from "../core/errors.ts";
import type { Tier } from "./capabilities.ts";
import type { Consts } from "./kernel.ts";
import { SHADER_LIBRARY } from "./shader-library.ts";

/** Values for a shader's top-level `const` declarations and its library variants. */
export interface Specialisation {
  /** New right-hand sides of top-level `const NAME: type = ...;`. */
  consts?: Consts;
  /** Variant of a `// uses:` library, such as `{ weight: "f16s" }`; by tier when left out. */
  library?: Readonly<Partial<Record<string, string>>>;
}

/** Returns a name that is the same exactly when two specialisations give the same text. */
export function specialisationKey(specialisation: Specialisation): string {
  const list = (record: Record<string, unknown> = {}) =>
    Object.entries(record)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `${name}=${String(value)}`)
      .join(",");
  return `${list(specialisation.consts)};${list(specialisation.library)}`;
}

/**
 * Gives a shader's top-level constants new values; the file itself stays plain, checkable WGSL.
 *
 * @throws {Error} when a name is not declared in the file, as Dawn does for unknown overrides, or has
 *   no value.
 */
export function specialise(source: string, consts: Consts = {}): string {
  let text = source;
  for (const [name, value] of Object.entries(consts)) {
    assert(value !== undefined, `the shader's const ${name} was given no value`);
    const declaration = new RegExp(`^(const ${name}: *(\\w+) *= *)[^;]+;`, "m");
    const match = declaration.exec(text);
    assert(match !== null, `the shader declares no top-level const ${name}`);
    const type = match[2];
    const literal =
      type === "u32" ? `${Number(value)}u` : type === "f32" ? floatLiteral(value) : String(value);
    text = text.replace(declaration, `$1${literal};`);
  }
  return text;
}

function floatLiteral(value: number | boolean): string {
  const text = String(Number(value));
  return /[.e]/.test(text) ? `${text}f` : `${text}.0f`;
}

const files = new Map<string, Promise<string>>();

function fileText(url: URL): Promise<string> {
  let text = files.get(url.href);
  if (text === undefined) files.set(url.href, (text = readAsset(url)));
  return text;
}

/** Returns the highest variant of a library file that the tier may use. */
function tierVariant(name: string, tier: Tier): string {
  const variants = SHADER_LIBRARY[name]!;
  if (tier !== "t0" && variants["t1"] !== undefined) return "t1";
  return variants["t0"] !== undefined ? "t0" : "all";
}

/** Starts the comment line before each appended library. */
const LIBRARY_MARK = "// file: ";

/** Returns the file and line that a line of built WGSL (counted from 1) comes from. */
export function locateLine(
  lines: readonly string[],
  line: number,
  kernelFile: string,
): { file: string; line: number } {
  const mark = lines.slice(0, line).findLastIndex((text) => text.startsWith(LIBRARY_MARK));
  if (mark < 0) return { file: kernelFile, line };
  return { file: `lib/${lines[mark]!.slice(LIBRARY_MARK.length)}`, line: line - mark - 1 };
}

/**
 * Builds the WGSL of a kernel: the file with its constants set, then each library it uses.
 *
 * Libraries are appended (module scope has no order in WGSL) and `enable` lines go before the first
 * line without a line break, so that the compiler's line numbers are those of the file.
 */
export async function buildShader(
  url: URL,
  tier: Tier,
  specialisation: Specialisation = {},
): Promise<string> {
  const source = specialise(await fileText(url), specialisation.consts);
  const parts = [source];
  const chosen = specialisation.library ?? {};
  const used = [...source.matchAll(/^\/\/ uses: (.+)$/gm)].flatMap((m) => m[1]!.split(/,\s*/));
  for (const name of used) {
    const variants = SHADER_LIBRARY[name];
    assert(variants !== undefined, `${url.pathname} uses the unknown library ${name}`);
    const variant = chosen[name] ?? tierVariant(name, tier);
    const file = variants[variant];
    assert(file !== undefined, `library ${name} has no variant ${variant}`);
    parts.push(LIBRARY_MARK + file.pathname.split("/").at(-1)!, await fileText(file));
  }
  for (const name of Object.keys(chosen)) {
    assert(used.includes(name), `${url.pathname} does not use the library ${name}`);
  }
  const text = parts.join("\n");
  const enables: string[] = [];
  if (tier !== "t0" && /\bf16\b/.test(text.replace(/\/\/.*$/gm, ""))) enables.push("enable f16;");
  if (/\bsubgroup[A-Z_]\w*/.test(text.replace(/\/\/.*$/gm, ""))) enables.push("enable subgroups;");
  return enables.join(" ") + text;
}
