import { refuseUnknown } from "../../core/options.ts";
import { isUrl } from "../path.ts";
import { checkRevision, fileUrl, isHubName } from "./name.ts";
import { checkEndpoint, HUB_OPTIONS, type HubOptions } from "./options.ts";

export { isHubName } from "./name.ts";
export type { HubOptions, HubProgress } from "./options.ts";

/**
 * Turns a model reference into a folder that a page can read.
 *
 * A name on the Hub becomes the address of its files at `revision` ("main" when absent), which the
 * loaders read in ranges; the browser keeps its own cache. Anything else is returned as it is. Of
 * the options only `revision` and `endpoint` matter: a page sends no token.
 *
 * @throws {ConfigError} `bad-endpoint`, `bad-revision`.
 */
export async function modelFolder(reference: string, options: HubOptions = {}): Promise<string> {
  refuseUnknown(options, HUB_OPTIONS, "the Hub");
  if (isUrl(reference) || !isHubName(reference)) return reference;
  const endpoint = checkEndpoint(options.endpoint ?? "https://huggingface.co");
  return fileUrl(endpoint, reference, checkRevision(options.revision ?? "main"));
}
