#!/usr/bin/env node
// Evaluates by a configuration: node eval.js CONFIG [key=value ...]
import { launch } from "./src/cli/launch.js";

await launch(["eval", ...process.argv.slice(2)]);
