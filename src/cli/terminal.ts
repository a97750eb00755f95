import { ConsoleLine } from "../observe/console-line.ts";

function ignore(): void {
  // Its logs say all that the console does.
}

/**
 * The status line on a stream of this process: live and coloured on a terminal, plain elsewhere.
 *
 * A stream that is closed on its other end (a terminal that is gone, a pipe into `head`) is no
 * failure of the run from here on.
 */
export function terminalLine(stream: NodeJS.WriteStream): ConsoleLine {
  if (!stream.listeners("error").includes(ignore)) stream.on("error", ignore);
  const live = stream.isTTY === true;
  return new ConsoleLine({
    write: (text) => stream.write(text),
    live,
    color: live && !process.env["NO_COLOR"],
    columns: () => stream.columns ?? 80,
    now: () => performance.now(),
  });
}
