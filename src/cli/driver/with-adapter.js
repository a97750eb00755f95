// node src/cli/driver/with-adapter.js SCRIPT [arguments]: runs a script under a node that has a WebGPU
// adapter with every tier where one can be had, and as it is, with a warning, where none can.
import { readTypeScript } from "../../core/read-typescript.js";

await readTypeScript();
const { runScript } = await import("../run-command.ts");
process.exitCode = await runScript(process.argv.slice(2));
