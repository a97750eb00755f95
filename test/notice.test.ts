import { describe, expect, it } from "vitest";
import { textOf } from "./helpers/source-tree.ts";

interface Lock {
  packages: Record<string, { license?: string }>;
}

const { dependencies, optionalDependencies } = JSON.parse(textOf("package.json")) as Record<
  "dependencies" | "optionalDependencies",
  Record<string, string>
>;
const { packages } = JSON.parse(textOf("package-lock.json")) as Lock;
const notice = textOf("NOTICE").replace(/\s+/g, " ");

/** How NOTICE writes a licence, by its SPDX name. */
const WORDS: Record<string, RegExp> = {
  MIT: /MIT/,
  ISC: /ISC/,
  "Apache-2.0": /Apache License 2\.0/,
  "MPL-2.0": /Mozilla Public License 2\.0/,
  "LGPL-3.0-or-later": /GNU Lesser General Public License, version 3 or later/,
};

describe("NOTICE", () => {
  const direct = Object.keys({ ...dependencies, ...optionalDependencies });

  it.each(direct)("names %s with its licence", (name) => {
    const licence = packages[`node_modules/${name}`]!.license!;
    const at = notice.search(new RegExp(`${name.replace("/", "\\/")}(?![\\w/-])`));
    expect(at, `${name} (${licence})`).toBeGreaterThanOrEqual(0);
    expect(notice.slice(at, at + 160)).toMatch(WORDS[licence]!);
  });

  it("names the licence of every binary that an optional dependency brings", () => {
    const binaries = Object.entries(packages).filter(([path]) =>
      /@img\/sharp-libvips-|@seydx\/node-av-/.test(path),
    );
    expect(binaries.length).toBeGreaterThan(0);
    for (const [path, { license }] of binaries) expect(notice, path).toMatch(WORDS[license!]!);
  });

  it("names no package that is not one of them", () => {
    const named = notice.match(/(?<![\w/@-])(?:tsx|typescript|vite)(?![\w-])/g);
    expect(named).toBeNull();
  });
});
