import { readFile } from "node:fs/promises";

/** Reads a text file that ships with aubade, given its URL next to the importing module. */
export async function readAsset(url: URL): Promise<string> {
  if (url.protocol === "file:") return readFile(url, "utf8");
  return (await fetch(url)).text();
}
