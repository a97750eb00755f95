#!/usr/bin/env node
// Runs benchmarks by a configuration: node eval.js CONFIG [key=value ...]
import { launch } from "./src/cli/launch.js";

await launch("eval");
