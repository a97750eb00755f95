import { existsSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, expect, it } from "vitest";
import { ROOT } from "../src/cli/package.ts";
import { commentsOf, filesUnder, textOf } from "./helpers/source-tree.ts";

const pages = filesUnder("docs", ".md");
const documents = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", ...pages];

/** The text of a document without its fenced blocks, in which nothing is a link. */
function proseOf(document: string): string {
  return textOf(document).replace(/^```[^]*?^```/gm, "");
}

/** The anchors that GitHub gives the headings of a document. */
function anchorsOf(document: string): Set<string> {
  const headings = [...proseOf(document).matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading!);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** True when a path, with an anchor or without, leads to a file or folder, and to a heading of it. */
function leadsSomewhere(target: string): boolean {
  const [path, anchor] = target.split("#") as [string, string?];
  if (!existsSync(join(ROOT, path))) return false;
  return anchor === undefined || anchorsOf(path).has(anchor);
}

/** Numbers that a page defines, by a pattern whose first group is the number. */
function numbersOf(page: string, pattern: RegExp): Set<string> {
  return new Set([...textOf(page).matchAll(pattern)].map(([, number]) => number!));
}

const laws = numbersOf("docs/laws.md", /^(\d+)\. /gm);
const failures = numbersOf("docs/failures.md", /^### F(\d+)$/gm);
/** Types of tensor files, which look like numbers of failures. */
const TYPES = new Set(["8", "16", "32", "64"]);

const programs = ["src", "test", "scripts", "demo", "shaders"].flatMap((folder) =>
  filesUnder(folder),
);
const comments = programs.flatMap(commentsOf);
/** Titles of tests, which name laws and failures too. */
const titles = filesUnder("test", ".test.ts").flatMap((path) =>
  [...textOf(path).matchAll(/^ *(?:describe|it)[^\n]*?"([^"\n]+)"/gm)].map(([, text]) => ({
    place: path,
    text: text!,
  })),
);

/** The places of citations that name something which is not there. */
function unknown(pattern: RegExp, exists: (name: string) => boolean, from = comments): string[] {
  return from.flatMap(({ place, text }) =>
    [...text.matchAll(pattern)]
      .filter(([, name]) => !exists(name!))
      .map(([cited]) => `${place} cites ${cited}`),
  );
}

describe("documents", () => {
  it("are all in the index, which names no other", () => {
    const listed = [...textOf("docs/README.md").matchAll(/^\| \[[^\]]+\]\(([^)]+)\)/gm)];
    expect(listed.map(([, page]) => `docs/${page}`).sort()).toEqual(
      pages.filter((page) => page !== "docs/README.md"),
    );
  });

  it("have links that lead somewhere, anchors included", () => {
    const wrong = documents.flatMap((document) =>
      [...proseOf(document).matchAll(/\]\((?!\w+:)([^)\s]+)\)/g)]
        .map(([, link]) => (link!.startsWith("#") ? document + link : link!))
        .map((link) =>
          link.startsWith(document) ? link : posix.join(posix.dirname(document), link),
        )
        .filter((target) => !leadsSomewhere(target))
        .map((target) => `${document} links to ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it("name files of the repository that exist, from its root or from src/", () => {
    const named =
      /`((?:[\w-]+\/)+[\w.-]+\.(?:ts|wgsl|py|js)|(?:src|test|scripts|shaders)\/(?:[\w-]+\/)*)`/g;
    const isThere = (path: string) =>
      path.includes("NAME") || ["", "src"].some((at) => existsSync(join(ROOT, at, path)));
    const wrong = documents.flatMap((document) =>
      [...proseOf(document).matchAll(named)]
        .filter(([, path]) => !isThere(path!))
        .map(([, path]) => `${document} names ${path}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe("comments cite what everybody can open:", () => {
  it("laws and failures that a page defines", () => {
    const cited = [...comments, ...titles];
    const law = /\b[Ll]aws? (\d+)/g;
    expect(cited.filter(({ text }) => text.search(law) >= 0).length).toBeGreaterThan(5);
    expect(unknown(law, (number) => laws.has(number), cited)).toEqual([]);
    const failure = /\bF(\d{1,2})\b(?! of)/g;
    const known = (number: string) => failures.has(number) || TYPES.has(number);
    expect(unknown(failure, known, cited)).toEqual([]);
  });

  it("pages and headings of docs/", () => {
    expect(unknown(/\b(docs\/[\w-]+\.md(?:#[\w-]+)?)/g, leadsSomewhere)).toEqual([]);
  });

  it("files and folders of the repository", () => {
    const isThere = (path: string) => existsSync(join(ROOT, path));
    const ours =
      /(?<![\w./-])((?:src|test|scripts|shaders|configs)\/[\w./-]*(?:\.ts|\.wgsl|\/(?!\w)))/g;
    expect(unknown(ours, isThere)).toEqual([]);
  });

  it("sections of public papers and standards only", () => {
    const section = /\b([Ss]ections?|[Aa]ppendix|[Cc]hapter) [A-Z\d]/;
    const source =
      /RFC \d|ISO|ITU|H\.26\d|et al\.|WebGPU, |Qwen2(\.5)?-\w+|\b(19|20)\d\d\b|"[^"]+", table/;
    const wrong = comments
      .filter(({ text }) => section.test(text) && !source.test(text))
      .map(({ place }) => place);
    expect(wrong).toEqual([]);
    const numbered = /(?<![Aa]ppendix )\b(?!H\.26)([A-L]\.\d{1,2})\b/g;
    expect(unknown(numbered, () => false, [...comments, ...titles])).toEqual([]);
  });
});
