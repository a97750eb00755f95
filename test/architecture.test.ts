import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../src/cli/package.ts";
import {
  circlesOf,
  commentsOf,
  exportsOf,
  filesUnder,
  importsOf,
  lineCount,
  nonNullAssertions,
  takenBy,
  textOf,
} from "./helpers/source-tree.ts";

/** The folders that each folder of src/ may import directly, and with them all that those may. */
const BELOW: Record<string, readonly string[]> = {
  core: [],
  gpu: ["core"],
  kernels: ["gpu"],
  graph: ["kernels"],
  ops: ["graph"],
  reference: ["core"],
  io: ["core"],
  text: ["core"],
  // Numbers of pictures and sound.
  signal: ["core"],
  // Headers and facts of media files.
  container: ["core"],
  media: ["signal", "container"],
  network: ["ops"],
  checkpoint: ["network", "io"],
  prompt: ["network", "io", "text", "media"],
  families: ["checkpoint", "prompt"],
  model: ["families"],
  reward: ["model"],
  // Files of rows, before anything is known of their keys.
  tables: ["io"],
  // A benchmark has a scorer, and rows are checked against what rewards can read.
  data: ["reward", "tables"],
  datasets: ["data"],
  rollout: ["data"],
  // Tensors of a model, for comparison with other implementations.
  inspect: ["datasets", "rollout"],
  eval: ["rollout", "datasets"],
  policy: ["rollout"],
  train: ["policy", "datasets"],
  observe: ["core"],
  config: ["train", "eval", "observe"],
  // A run evaluates before, during and after its training.
  run: ["config"],
  cli: ["run", "inspect"],
};

/** Every folder that a folder may import. */
function reach(folder: string): Set<string> {
  return new Set([folder, ...BELOW[folder]!.flatMap((below) => [...reach(below)])]);
}

const sources = filesUnder("src", ".ts");
const demo = existsSync(join(ROOT, "demo"))
  ? filesUnder("demo").filter((path) => /\.(js|tsx?)$/.test(path))
  : [];

/** Every kernel: the file that declares it, the export, and the name of its shader. */
const kernels = filesUnder("src/kernels", ".ts").flatMap((path) =>
  [...textOf(path).matchAll(/^export const (\w+) = defineKernel\(\{\n *name: "([\w-]+)"/gm)].map(
    ([, binding, name]) => ({ path, binding: binding!, name: name! }),
  ),
);

/** The two files behind each name that begins with #. */
const switches = Object.entries(
  (JSON.parse(textOf("package.json")) as { imports: Record<string, Record<string, string>> })
    .imports,
).map(([name, { node, default: web }]) => ({
  name,
  node: node!.replace(/^\.\//, ""),
  web: web!.replace(/^\.\//, ""),
}));

/** The folder of src/ that an import leads to; undefined for packages and src/index.ts. */
function folderOf(imported: string): string | undefined {
  const path = switches.find(({ name }) => name === imported)?.node ?? imported;
  return /^src\/([\w-]+)\//.exec(path)?.[1];
}

describe("imports", () => {
  it("know every folder", () => {
    const folders = new Set(sources.map(folderOf).filter((folder) => folder !== undefined));
    expect([...folders].filter((folder) => BELOW[folder] === undefined)).toEqual([]);
  });

  it("go one way", () => {
    const wrong = sources.flatMap((path) => {
      const folder = folderOf(path);
      if (folder === undefined) return [];
      const allowed = reach(folder);
      return importsOf(path)
        .filter((imported) => /^(src\/|#)/.test(imported))
        .filter((imported) => !allowed.has(folderOf(imported) ?? "index"))
        .map((imported) => `${path} imports ${imported}`);
    });
    expect(wrong).toEqual([]);
  });

  it("never go round in a circle of files, types included", () => {
    const imports = new Map(
      sources.map((path) => [
        path,
        importsOf(path).flatMap((imported) => {
          const platforms = switches.find(({ name }) => name === imported);
          return platforms === undefined ? [imported] : [platforms.node, platforms.web];
        }),
      ]),
    );
    expect(circlesOf(imports).map((circle) => circle.join(" -> "))).toEqual([]);
  });

  it("end with the name of a file that exists", () => {
    const wrong = [...sources, ...filesUnder("test", ".ts"), ...demo].flatMap((path) =>
      importsOf(path)
        .filter((imported) => /^(src|test|demo|scripts|shaders)\//.test(imported))
        .filter((imported) => !existsSync(join(ROOT, imported.replace(/\?.*$/, ""))))
        .map((imported) => `${path} imports ${imported}`),
    );
    expect(wrong).toEqual([]);
  });

  it("of the demo and of src/ meet in src/index.ts only", () => {
    const wrong = demo
      .flatMap((path) => importsOf(path).map((imported) => [path, imported] as const))
      .filter(([, imported]) => /^(src\/|#)/.test(imported) && imported !== "src/index.ts");
    expect(wrong).toEqual([]);
  });

  it("of Node are in files called node.ts and in src/cli/", () => {
    const wrong = sources
      .filter((path) => !path.endsWith("/node.ts") && !path.startsWith("src/cli/"))
      .filter((path) => importsOf(path).some((imported) => imported.startsWith("node:")));
    expect(wrong).toEqual([]);
  });
});

/** Names that several files declare on purpose, since each has its own form of one thing. */
const SAME_BY_DESIGN: { why: string; at: (path: string, name: string) => boolean }[] = [
  { why: "the definition of an op in float64", at: (path) => path.startsWith("src/reference/") },
  {
    why: "a family's own form of a part that all families have",
    at: (path) => /^src\/families\/qwen[^/]+\/[^/]+\.ts$/.test(path),
  },
  {
    why: "what `aubade` calls of every command",
    at: (path, name) => name === "main" && path.startsWith("src/cli/commands/"),
  },
  {
    why: "the value of a symbolic size, as one evaluates an expression",
    at: (path, name) => name === "evaluate" && path === "src/graph/extent.ts",
  },
];

describe("exports", () => {
  const all = sources.flatMap((path) => exportsOf(path).map((found) => ({ path, ...found })));
  const where = ({ path, line, name }: (typeof all)[number]) => `${path}:${line} ${name}`;

  it("have a doc comment with a sentence", () => {
    const wrong = all.filter(({ kind, doc }) => kind === "declaration" && !/\w.*[.:]/s.test(doc));
    expect(wrong.map(where)).toEqual([]);
  });

  it("are never a default", () => {
    const others = [...filesUnder("test", ".ts"), ...filesUnder("scripts", ".ts")];
    const found = others.flatMap((path) => exportsOf(path).map((other) => ({ path, ...other })));
    expect([...all, ...found].filter(({ kind }) => kind === "default").map(where)).toEqual([]);
  });

  it("of another file are passed on by src/index.ts and by the platform switches only", () => {
    const passing = ["src/index.ts", ...switches.flatMap(({ node, web }) => [node, web])];
    const wrong = all.filter(({ kind, path }) => kind === "from" && !passing.includes(path));
    expect(wrong.map(where)).toEqual([]);
    expect(exportsOf("src/index.ts").every(({ kind }) => kind === "from")).toBe(true);
  });

  it("are used by another file, or are types that a used export of their file speaks of", () => {
    const users = [
      ...sources,
      ...["test", "scripts", "demo", "examples"]
        .filter((folder) => existsSync(join(ROOT, folder)))
        .flatMap((folder) => filesUnder(folder))
        .filter((path) => /\.(ts|tsx|js)$/.test(path)),
      ...filesUnder("src", ".js"),
      ...readdirSync(ROOT).filter((name) => /\.(ts|js)$/.test(name)),
    ];
    const used = new Map<string, Set<string>>();
    for (const { from, names } of users.flatMap(takenBy)) {
      // Both sides of a switch have the same names, so one that is used on one side is used.
      const platforms = switches.find(({ name, node, web }) => [name, node, web].includes(from));
      for (const path of platforms === undefined ? [from] : [platforms.node, platforms.web]) {
        used.set(path, new Set([...(used.get(path) ?? []), ...names]));
      }
    }
    const unused = sources
      .filter((path) => path !== "src/index.ts")
      .flatMap((path) => {
        const own = all.filter((each) => each.path === path && each.kind === "declaration");
        const names = used.get(path) ?? new Set();
        const live = own.filter(({ name }) => names.has("*") || names.has(name));
        for (const { signature } of live) {
          live.push(
            ...own.filter(
              (each) => each.isType && signature.has(each.name) && !live.includes(each),
            ),
          );
        }
        return own.filter((each) => !live.includes(each));
      });
    expect(unused.map(where)).toEqual([]);
  });

  it("have a name of their own: one name is one thing", () => {
    const places = new Map<string, Set<string>>();
    for (const { path, name, kind } of all) {
      if (kind !== "declaration" || SAME_BY_DESIGN.some(({ at }) => at(path, name))) continue;
      const platform = switches.find(({ node, web }) => [node, web].includes(path))?.name;
      places.set(name, (places.get(name) ?? new Set()).add(platform ?? path));
    }
    const shared = [...places].filter(([, paths]) => paths.size > 1);
    expect(shared.map(([name, paths]) => `${name}: ${[...paths].join(", ")}`)).toEqual([]);
  });

  it("are the same on both sides of a platform switch", () => {
    expect(switches.length).toBeGreaterThan(0);
    const names = (path: string) =>
      exportsOf(path)
        .filter(({ isType }) => !isType)
        .map(({ name }) => name)
        .sort();
    for (const { node, web } of switches) expect(names(web), web).toEqual(names(node));
  });
});

describe("the graph", () => {
  it("has named operands: few values are said to be there in spite of their type", () => {
    const files = [...filesUnder("src/graph", ".ts"), ...filesUnder("src/ops", ".ts")];
    const counts = files.map(nonNullAssertions);
    expect(counts.reduce((sum, count) => sum + count, 0)).toBeLessThan(40);
  });
});

describe("a kernel", () => {
  const tests = filesUnder("test/kernels", ".test.ts").map((path) => ({
    imports: importsOf(path),
    text: textOf(path),
  }));

  it("has a shader, and a shader has a kernel", () => {
    const shaders = filesUnder("shaders", ".wgsl")
      .filter((path) => !path.startsWith("shaders/lib/"))
      .map((path) => path.replace(/^.*\//, "").replace(/(\.t2)?\.wgsl$/, ""));
    expect([...new Set(shaders)].sort()).toEqual(kernels.map(({ name }) => name).sort());
  });

  it("is compared with a float64 reference by a test in test/kernels/", () => {
    const untested = kernels.filter(
      ({ path, binding }) =>
        !tests.some(
          ({ imports, text }) =>
            imports.includes(path) &&
            new RegExp(`\\b${binding}\\b`).test(text) &&
            imports.some((other) => other.startsWith("src/reference/")),
        ),
    );
    expect(untested).toEqual([]);
  });

  it("finds its reference in a test: none of them is idle", () => {
    const references = filesUnder("src/reference", ".ts");
    const used = new Set([
      ...tests.flatMap(({ imports }) => imports),
      ...references.flatMap(importsOf),
    ]);
    const idle = references.filter((path) => !used.has(path));
    expect(idle).toEqual([]);
  });
});

describe("a circle of imports", () => {
  const graph = (edges: Record<string, string[]>) => new Map(Object.entries(edges));

  it("is found with the files along it, once", () => {
    expect(circlesOf(graph({ a: ["b"], b: ["c", "d"], c: ["a"], d: ["c"], e: ["a"] }))).toEqual([
      ["a", "b", "c", "a"],
    ]);
    expect(circlesOf(graph({ a: ["a"], b: ["c"], c: ["b"] }))).toEqual([
      ["a", "a"],
      ["b", "c", "b"],
    ]);
  });

  it("is none where two ways lead to one file", () => {
    expect(circlesOf(graph({ a: ["b", "c"], b: ["d"], c: ["d"], d: [] }))).toEqual([]);
  });

  it("is seen through types and what is passed on", () => {
    const platform = importsOf("src/core/node.ts");
    expect(platform).toEqual(["node:fs/promises"]);
    expect(importsOf("src/policy/loss/formula.ts")).toContain("src/policy/loss/settings.ts");
    expect(importsOf("src/index.ts")).toContain("src/core/events.ts");
    expect(takenBy("src/index.ts")).toContainEqual({
      from: "src/core/events.ts",
      names: ["Events", "Listener"],
    });
    expect(takenBy("src/policy/loss/formula.ts")).toContainEqual({
      from: "src/policy/loss/settings.ts",
      names: ["CommonLossSettings"],
    });
  });
});

/** Files of src/ that are shorter than 15 lines for a reason; both sides of a switch may be. */
const SHORT_FILES: Record<string, string> = {
  "src/cli/launch.js": "runs before TypeScript can be read",
  "src/cli/driver/with-adapter.js": "runs before TypeScript can be read",
  "src/core/read-typescript.js": "is what lets TypeScript be read",
  "src/media/apart/thread.js": "starts a thread before TypeScript can be read",
  "src/cli/package.ts": "facts of the package, for commands, drivers and tests",
  "src/reward/rewards/random.ts": "a reward is a file",
};

/** Maximum lines of TypeScript and WGSL in a folder of src/ with its subfolders. */
const FOLDER_LINES = 3500;

describe("files", () => {
  const texts = ["src", "shaders", "test", "scripts", "demo", "docs", "configs", ".ci"]
    .filter((folder) => existsSync(join(ROOT, folder)))
    .flatMap((folder) => filesUnder(folder))
    .concat(filesUnder(".").filter((path) => /^[\w.-]+\.(md|json|js|ts)$/.test(path)))
    .filter((path) => /\.(ts|tsx|js|mjs|wgsl|py|md|ya?ml|html|css|sh)$|^\.ci\//.test(path));

  it("are small", () => {
    const limit = (path: string) => (path.endsWith(".wgsl") ? 250 : 600);
    const wrong = texts
      .filter((path) => /\.(ts|tsx|js|wgsl)$/.test(path) && !path.startsWith("test/"))
      .map((path) => ({ path, lines: lineCount(textOf(path)) }))
      .filter(({ path, lines }) => lines >= limit(path));
    expect(wrong).toEqual([]);
  });

  it("of a folder of src/ are one subject: together they stay small", () => {
    const lines = new Map<string, number>();
    for (const path of filesUnder("src").filter((each) => /\.(ts|wgsl)$/.test(each))) {
      const parts = path.split("/").slice(0, -1);
      for (let depth = 2; depth <= parts.length; depth++) {
        const folder = parts.slice(0, depth).join("/");
        lines.set(folder, (lines.get(folder) ?? 0) + lineCount(textOf(path)));
      }
    }
    expect([...lines].filter(([, count]) => count > FOLDER_LINES)).toEqual([]);
  });

  it("of src/ are an idea each: a short one has a reason", () => {
    const platforms = switches.flatMap(({ node, web }) => [node, web]);
    const short = filesUnder("src")
      .filter((path) => /\.(ts|js|wgsl)$/.test(path) && !platforms.includes(path))
      .filter((path) => lineCount(textOf(path)) < 15);
    expect(short.sort()).toEqual(Object.keys(SHORT_FILES).sort());
  });

  it("have kebab-case names", () => {
    const code = texts.filter((path) => /\.(ts|tsx|js|wgsl)$/.test(path));
    const wrong = code.filter((path) => !/^(?:\.?[a-z0-9-]+[./])*[a-z0-9-]+$/.test(path));
    expect(wrong).toEqual([]);
  });

  it("are ASCII", () => {
    const wrong = texts.flatMap((path) =>
      textOf(path)
        .split("\n")
        // eslint-disable-next-line no-control-regex
        .flatMap((line, at) => (/[^\x00-\x7f]/.test(line) ? [`${path}:${at + 1}: ${line}`] : [])),
    );
    expect(wrong).toEqual([]);
  });

  it("name no folder of the machine they were written on", () => {
    const machine = /(?<![\w.$})\]])\/(?:work|root|Users)\/\w/;
    const wrong = texts
      .filter((path) => path !== "test/architecture.test.ts")
      .filter((path) => machine.test(textOf(path)));
    expect(wrong).toEqual([]);
  });

  it("have comments that say what a thing is or does, and open with no question about it", () => {
    const programs = ["src", "test", "scripts", "demo", "shaders"].flatMap((at) => filesUnder(at));
    const comments = programs.flatMap(commentsOf);
    expect(comments.length).toBeGreaterThan(3000);
    const question = /^\s*(?:\/\*+\s+(?:\* )?|\/\/ |# )(?:What|Who|Where|Whether)\b/;
    const wrong = comments.filter(({ text }) => question.test(text)).map(({ place }) => place);
    expect(wrong).toEqual([]);
  });

  it("draw random numbers from src/core/random.ts only", () => {
    const wrong = sources.filter((path) => /\bMath\.random\b/.test(textOf(path)));
    expect(wrong).toEqual([]);
  });
});
