#!/usr/bin/env node
// Every command of aubade: node aubade.js COMMAND [arguments]
import { launch } from "./src/cli/launch.js";

await launch();
