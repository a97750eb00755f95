import { evaluateRun } from "../eval/run.ts";
import { evalCommand } from "./eval-command.ts";

/** The `eval` command: `node eval.js CONFIG [key=value ...]`. */
export const main = (argv: string[]): Promise<number> => evalCommand(argv, evaluateRun);
