import { train } from "../train/train.ts";
import { trainCommand } from "./train-command.ts";

/** The `train` command: `node train.js CONFIG [key=value ...]`. */
export const main = (argv: string[]): Promise<number> => trainCommand(argv, train);
