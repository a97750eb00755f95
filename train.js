#!/usr/bin/env node
// Trains by a configuration: node train.js CONFIG [key=value ...]
import { launch } from "./src/cli/launch.js";

await launch(["train", ...process.argv.slice(2)]);
