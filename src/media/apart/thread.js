// Plain JavaScript: a thread starts without what the main thread did to read TypeScript. A build,
// where this file lies beside the library's module, has nothing of TypeScript left to read.
import { readTypeScript } from "../../core/read-typescript.js";

if (import.meta.url.endsWith("/src/media/apart/thread.js")) await readTypeScript();
const { decodeHere } = await import("./serve.ts");
decodeHere();
