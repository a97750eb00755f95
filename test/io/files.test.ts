import { execFileSync } from "node:child_process";
import { createServer, type Server } from "node:http";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CheckpointError, DataError } from "../../src/core/errors.ts";
import { blobSource, type ByteSource, bytesSource, urlSource } from "../../src/io/byte-source.ts";
import { type JsonLine, readJsonl } from "../../src/io/jsonl.ts";
import * as node from "../../src/io/node.ts";
import { baseName, isUrl, joinPath } from "../../src/io/path.ts";
import * as web from "../../src/io/web.ts";

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
let folder: string;
let server: Server;
let base: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "aubade-io-"));
  server = createServer((request, response) => {
    const range = /bytes=(\d+)-(\d+)/.exec(request.headers.range ?? "");
    if (request.url === "/missing") return response.writeHead(404).end();
    if (request.url === "/secret") return response.writeHead(403).end();
    if (range === null || request.url === "/plain") return response.end(bytes);
    const [start, end] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)];
    const total = request.url === "/sizeless" ? "*" : String(bytes.length);
    response.writeHead(206, { "content-range": `bytes ${start}-${end}/${total}` });
    const cut = request.url === "/cut" && start > 0 ? 1 : 0;
    return response.end(bytes.subarray(start, end + 1 - cut));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await writeFile(join(folder, "bytes"), bytes);
});
afterAll(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

async function failure(work: Promise<unknown>): Promise<CheckpointError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CheckpointError);
  return error as CheckpointError;
}

describe("byte sources", () => {
  const sources: [string, () => Promise<ByteSource>][] = [
    ["bytes", async () => bytesSource(bytes)],
    ["a view into a buffer", async () => bytesSource(new Uint8Array([9, ...bytes]).subarray(1))],
    ["a blob", async () => blobSource(new Blob([bytes]))],
    ["a file", () => node.fileSource(join(folder, "bytes"))],
    ["a file URL", () => node.fileSource(pathToFileURL(join(folder, "bytes")).href)],
    ["a URL", () => node.fileSource(`${base}/ranged`)],
    ["a URL without ranges", () => web.fileSource(`${base}/plain`)],
  ];
  it.each(sources)("%s: reads ranges as the caller's own, and refuses others", async (_, open) => {
    const source = await open();
    expect(source.size).toBe(1000);
    const part = await source.read(251, 8);
    expect([...part]).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([part.byteOffset, part.buffer.byteLength]).toEqual([0, 8]);
    part.fill(0);
    expect([...(await source.read(998, 2))]).toEqual([245, 246]);
    expect((await source.read(1000, 0)).length).toBe(0);
    if (source.readInto !== undefined) {
      const into = new Uint8Array(12).subarray(2, 10);
      await source.readInto(251, into);
      expect([...new Uint8Array(into.buffer)]).toEqual([0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 0, 0]);
      expect((await failure(source.readInto(993, into))).code).toBe("range-outside-file");
    }
    for (const [offset, length] of [
      [999, 2],
      [-1, 1],
      [0, -1],
      [0.5, 1],
      [0, Infinity],
    ] as const) {
      expect((await failure(source.read(offset, length))).code).toBe("range-outside-file");
    }
    await source.close?.();
  });

  it("URLs that fail name the address and what to do", async () => {
    expect((await failure(urlSource(`${base}/missing`))).code).toBe("missing-file");
    expect((await failure(urlSource(`${base}/secret`))).message).toMatch(/status 403.*token/);
    expect((await failure(urlSource(`${base}/sizeless`))).code).toBe("no-size");
    expect((await failure(urlSource("http://127.0.0.1:1/x"))).code).toBe("unreachable");
    const cut = await urlSource(`${base}/cut`);
    expect((await failure(cut.read(10, 10))).message).toMatch(/answered 9 bytes .* 10 from 10/);
  });
});

describe.each([
  ["node", node],
  ["web", web],
] as const)("reading over the web in %s.ts", (_, io) => {
  it("reads, sizes and finds", async () => {
    expect(await io.readBytes(`${base}/x`)).toEqual(bytes);
    expect(await io.fileSize(`${base}/x`)).toBe(1000);
    expect(await io.exists(`${base}/x`)).toBe(true);
    expect(await io.exists(`${base}/missing`)).toBe(false);
    expect((await failure(io.exists(`${base}/secret`))).code).toBe("refused");
    expect((await failure(io.readText(`${base}/missing`))).code).toBe("missing-file");
  });
});

it("node.ts and web.ts export the same names, and a page writes into its directories only", async () => {
  expect(Object.keys(web).sort()).toEqual(Object.keys(node).sort());
  const writers = [
    web.makeFolder("x"),
    web.openWriter("x"),
    web.writeFileAtomic("x", ""),
    web.appendBytes("x", bytes),
    web.appendLine("x", ""),
    web.truncateFile("x", 0),
    web.renamePath("x", "y"),
    web.removePath("x"),
    web.listFolder("x"),
  ];
  for (const writer of writers) {
    expect((await failure(writer)).message).toMatch(
      /x: it is in no directory of this page\. Run this/,
    );
  }
});

describe("writing in Node", () => {
  it("replaces a file in one step and leaves nothing beside it", async () => {
    const dir = join(folder, "a", "b");
    await node.makeFolder(dir);
    const path = join(dir, "state");
    await node.writeFileAtomic(path, "old");
    await node.writeFileAtomic(path, "n\u00e9w");
    expect(await node.readText(path)).toBe("n\u00e9w");
    const writer = await node.openWriter(path);
    await writer.write(bytes);
    expect(await node.readText(path)).toBe("n\u00e9w");
    await writer.abort();
    expect(await node.listFolder(dir)).toEqual(["state"]);
  });

  it("appends, measures, truncates, renames and removes", async () => {
    const path = join(folder, "log");
    await node.appendLine(path, "one");
    await node.appendBytes(path, new TextEncoder().encode("two\n"));
    expect(await node.fileSize(path)).toBe(8);
    await node.truncateFile(path, 4);
    expect(await node.readText(path)).toBe("one\n");
    expect((await failure(node.truncateFile(path, 5))).code).toBe("range-outside-file");
    await node.renamePath(path, join(folder, "log2"));
    expect([await node.exists(path), await node.exists(join(folder, "log2"))]).toEqual([
      false,
      true,
    ]);
    await node.removePath(join(folder, "log2"));
    await node.removePath(join(folder, "log2"));
    expect(await node.exists(join(folder, "log2"))).toBe(false);
  });

  it("says which file, why and what to do", async () => {
    const missing = await failure(node.readText(join(folder, "none")));
    expect(missing).toMatchObject({ code: "missing-file", hint: "Check the path." });
    expect(missing.message).toContain(join(folder, "none"));
    const inFile = join(folder, "bytes", "x");
    expect((await failure(node.writeFileAtomic(inFile, ""))).code).toBe("not-a-folder");
    expect((await failure(node.readBytes(folder))).code).toBe("not-a-file");
    const error = node.fileError("write", "x", Object.assign(new Error(), { code: "ENOSPC" }));
    expect(error).toMatchObject({ code: "disk-full", message: expect.stringMatching(/Free some/) });
  });

  it.skipIf(process.platform !== "linux")("reports a full disk", async () => {
    // Every write to this device fails with ENOSPC.
    expect((await failure(node.appendLine("/dev/full", "x"))).code).toBe("disk-full");
  });

  it.skipIf(process.platform !== "linux" || process.getuid?.() === 0)(
    "reports a folder that cannot be written",
    async () => {
      const dir = join(folder, "closed");
      await mkdir(dir);
      await chmod(dir, 0o500);
      expect((await failure(node.writeFileAtomic(join(dir, "x"), ""))).code).toBe("no-permission");
    },
  );

  it("keeps the old file when the process dies while writing", async () => {
    const path = join(folder, "survivor");
    await node.writeFileAtomic(path, "old");
    const script =
      `const io = await import(${JSON.stringify(new URL("../../src/io/node.ts", import.meta.url).href)});` +
      `const w = await io.openWriter(${JSON.stringify(path)});` +
      `await w.write(new Uint8Array(1e6)); process.kill(process.pid, "SIGKILL");`;
    const tsx = new URL("../../node_modules/tsx/dist/cli.mjs", import.meta.url).pathname;
    expect(() =>
      execFileSync(process.execPath, [tsx, "--input-type=module", "-e", script], {
        stdio: "ignore",
      }),
    ).toThrow();
    expect(await readFile(path, "utf8")).toBe("old");
    expect(await readdir(folder)).toContain("survivor.part");
    await node.writeFileAtomic(path, "new");
    expect(await readFile(path, "utf8")).toBe("new");
    expect(await readdir(folder)).not.toContain("survivor.part");
  }, 20_000);
});

describe("JSON Lines", () => {
  const read = async (input: string | ByteSource, name?: string) => {
    const lines: JsonLine[] = [];
    for await (const line of readJsonl(input, name)) lines.push(line);
    return lines;
  };
  const text = (value: string) => bytesSource(new TextEncoder().encode(value));

  it("reads a file that was written whole and appended to", async () => {
    const path = join(folder, "rows.jsonl");
    const values = [{ a: "\u{1f600}\n" }, [1, null], "x", { b: 2 }];
    const lines = values.map((value) => JSON.stringify(value));
    await node.writeFileAtomic(path, lines.slice(0, 3).join("\n") + "\n");
    await node.appendLine(path, lines[3]!);
    expect(await read(path)).toEqual(values.map((value, i) => ({ value, line: i + 1 })));
  });

  it("counts empty lines, and takes CRLF and a missing last newline", async () => {
    expect(await read(text("1\r\n\n  \n2"))).toEqual([
      { value: 1, line: 1 },
      { value: 2, line: 4 },
    ]);
    expect(await read(text(""))).toEqual([]);
  });

  it("cuts lines at bytes, across chunks", async () => {
    const long = "\u00e9".repeat(700_000);
    const lines = await read(text(`"a"\n"${long}"\n"b"\n`));
    expect(lines.map(({ value }) => (value as string).length)).toEqual([1, 700_000, 1]);
    expect(lines[1]!.value).toBe(long);
  });

  it("names the file and the line of what is no JSON", async () => {
    const error = await read(text('{"a":1}\n{"a":\n'), "rows.jsonl").catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DataError);
    expect((error as DataError).message).toMatch(/^rows.jsonl:2 is not one JSON value: /);
    const bad = bytesSource(Uint8Array.of(0x22, 0xff, 0x22));
    await expect(read(bad, "x.jsonl")).rejects.toThrow(/^x.jsonl:1 is not/);
  });
});

it("paths: join, base name, URLs", () => {
  expect(joinPath("a/", "/b", "", "c")).toBe("a/b/c");
  expect(joinPath("", "b")).toBe("b");
  expect(joinPath("https://host/x/", "y.json")).toBe("https://host/x/y.json");
  expect(
    ["a/b.txt", "b.txt", "https://h/a/b.txt?x=1", "a\\b.txt", "a/b.txt/"].map(baseName),
  ).toEqual(Array.from({ length: 5 }, () => "b.txt"));
  expect([isUrl("https://x"), isUrl("file:///x"), isUrl("http.txt")]).toEqual([true, false, false]);
});
