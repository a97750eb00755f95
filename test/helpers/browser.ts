import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, normalize } from "node:path";
import { chromium, type Browser } from "playwright-core";

/** The browser that the tests drive. */
export const CHROMIUM = process.env["AUBADE_CHROMIUM"] ?? "/usr/bin/chromium";

/** Tells whether there is a browser, and says how to get one where there is none. */
export function haveBrowser(): boolean {
  if (existsSync(CHROMIUM)) return true;
  console.log(
    `browser tests are skipped: ${CHROMIUM} is not there. ` +
      "Install it (apt-get install chromium) or set AUBADE_CHROMIUM.",
  );
  return false;
}

/**
 * Starts Chromium, with WebGPU on its own software adapter or without any.
 *
 * The driver that Node's Dawn uses is not offered to it: Chromium brings SwiftShader along.
 */
export function openBrowser(options: { webgpu: boolean; args?: string[] }): Promise<Browser> {
  const { VK_DRIVER_FILES: _driver, ...env } = process.env as Record<string, string>;
  const webgpu = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
  return chromium.launch({
    executablePath: CHROMIUM,
    env,
    args: [
      "--no-sandbox",
      ...(options.webgpu ? webgpu : []),
      ...(options.args ?? []),
      ...["--disable-quic", "--no-first-run", "--disable-background-networking"],
      ...["--disable-component-update", "--disable-sync"],
    ],
  });
}

const TYPES: Record<string, string> = {
  html: "text/html",
  js: "text/javascript",
  css: "text/css",
  json: "application/json",
  mp4: "video/mp4",
};

/** Serves folders under names; `/name/file` is `file` in the folder of that name, "" the root. */
export async function serve(
  folders: Record<string, string>,
): Promise<{ url: string; close: () => void }> {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url!, "http://x").pathname)).slice(1);
    const [name = "", ...rest] = path.split("/");
    const folder = folders[name];
    const file = folder === undefined ? join(folders[""]!, path) : join(folder, ...rest);
    const found =
      existsSync(file) && statSync(file).isDirectory() ? join(file, "index.html") : file;
    if (path.includes("..") || !existsSync(found)) {
      response.writeHead(404).end("not found");
      return;
    }
    const type = TYPES[found.split(".").at(-1)!] ?? "application/octet-stream";
    response.writeHead(200, { "Content-Type": type, "Content-Length": statSync(found).size });
    if (request.method === "HEAD") response.end();
    else createReadStream(found).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
