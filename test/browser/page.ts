/* The page of the tests: what it does is called from outside through `globalThis.subject`. */
import * as subject from "./subject.ts";

/** The file that was chosen in the page's upload field. */
function uploaded(): { name: string; data: File } {
  const file = document.querySelector<HTMLInputElement>("#upload")!.files![0]!;
  return { name: file.name, data: file };
}

Object.assign(globalThis, { subject, uploaded });
