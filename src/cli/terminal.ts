import { ConsoleLine } from "../observe/console-line.ts";

/**
 * Makes the status line on a stream of this process: live and coloured on a terminal, plain elsewhere.
 */
export function terminalLine(stream: NodeJS.WriteStream): ConsoleLine {
  const live = stream.isTTY === true;
  return new ConsoleLine({
    write: (text) => stream.write(text),
    live,
    color: live && !process.env["NO_COLOR"],
    columns: () => stream.columns ?? 80,
    now: () => performance.now(),
  });
}
