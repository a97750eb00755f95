#!/usr/bin/env node
// Every command of aubade: node aubade.js COMMAND [arguments]
import { existsSync } from "node:fs";

// A clone runs its sources as they are; an installed package has only what was built from them.
const sources = new URL("./src/cli/launch.js", import.meta.url);
const built = new URL("./dist/node/cli.js", import.meta.url);
const { launch } = await import(existsSync(sources) ? sources.href : built.href);
await launch(process.argv.slice(2));
