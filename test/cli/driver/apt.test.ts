import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import {
  aptConfig,
  fetchPackages,
  listBytes,
  networkSettings,
  parseUris,
  readAptSources,
} from "../../../src/cli/driver/apt.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "aubade-apt-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe("aptConfig", () => {
  it("takes nothing from the system but the way to the network", () => {
    const dump = [
      'APT::Update::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb || true";',
      'Acquire::http::Proxy "http://proxy.example:3128";',
      'Acquire::https::CAInfo "/etc/ssl/company.pem";',
      'Acquire::http "";',
      'Dir::Cache "var/cache/apt";',
    ].join("\n");
    const network = networkSettings(dump);
    expect(network).toBe(
      'Acquire::http::Proxy "http://proxy.example:3128";\n' +
        'Acquire::https::CAInfo "/etc/ssl/company.pem";\n',
    );
    const config = aptConfig("/cache/work", "amd64", network);
    expect(config).toContain('Dir::Etc::parts "/dev/null";');
    expect(config).toContain('Dir::State::status "/cache/work/status";');
    expect(config).toContain('Acquire::http::Proxy "http://proxy.example:3128";');
    expect(config).not.toContain("Invoke");
  });
});

describe("what apt prints", () => {
  it("gives packages and their sizes", () => {
    const text =
      "'http://deb.debian.org/debian/pool/main/z/zlib/zlib1g_1.3_amd64.deb' zlib1g_1.3_amd64.deb 88540 SHA256:0a\n" +
      "'http://x/l.deb' libllvm19_1%3a19.1.7-3+b1_amd64.deb 26025372 SHA256:0b\n";
    expect(parseUris(text)).toEqual([
      { name: "zlib1g_1.3_amd64.deb", bytes: 88540 },
      { name: "libllvm19_1%3a19.1.7-3+b1_amd64.deb", bytes: 26025372 },
    ]);
  });

  it.each([
    ["Get:1 x\nFetched 9,876 kB in 2s (4,938 kB/s)\nReading", 9_876_000],
    ["Fetched 19.4 MB in 3s", 19_400_000],
    ["Fetched 512 B in 0s", 512],
    ["Hit:1 x", 0],
  ])("gives the bytes of the lists (%#)", (text, bytes) => {
    expect(listBytes(text)).toBe(bytes);
  });
});

describe("readAptSources", () => {
  it("reads both styles and skips what apt would skip", async () => {
    await mkdir(join(folder, "sources.list.d"));
    await writeFile(join(folder, "sources.list"), "deb http://a.example/debian trixie main\n");
    const parts = join(folder, "sources.list.d");
    await writeFile(
      join(parts, "b.sources"),
      "Types: deb\nURIs: http://b.example\nSuites: trixie\n",
    );
    await writeFile(join(parts, "c.list.disabled"), "deb http://c.example trixie main\n");
    const uris = (await readAptSources(folder)).map(({ uri }) => uri);
    expect(uris).toEqual(["http://a.example/debian", "http://b.example"]);
    expect(await readAptSources(join(folder, "nowhere"))).toEqual([]);
  });
});

describe("fetchPackages", () => {
  it("says that the archive's keys are missing", async () => {
    const archive = {
      mirrors: [],
      suites: [],
      components: [],
      target: "trixie",
      keyring: join(folder, "no.gpg"),
    };
    const options = { archive, packages: [], arch: "amd64", folder, say: () => {} };
    await expect(fetchPackages(options)).rejects.toThrow(/keys are missing .*no\.gpg/);
  });
});
