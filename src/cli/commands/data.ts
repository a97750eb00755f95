import { Command } from "commander";
import { readText } from "#io";
import { loadConfig } from "../../config/load.ts";
import { loadStages } from "../../config/stages.ts";
import { ConfigError } from "../../core/errors.ts";
import { Events } from "../../core/events.ts";
import { type DataReport, reportData, type SetReport } from "../../run/data-report.ts";
import { shipped } from "../options.ts";
import { ownVersion } from "../package.ts";
import type { CommandModule } from "../run-command.ts";
import { terminalLine } from "../terminal.ts";
import { parseCommandLine } from "../usage.ts";

const HELP = `
Examples:
  aubade data check configs/own.yaml data.path=rows.jsonl
  aubade data check configs/recipes/omni-7b-intent.yaml --dry-run --json

No GPU is used and nothing is downloaded. --dry-run looks at rows alone and decodes no medium. The exit
code is 1 where a run would end before its first step.`;

/** Entries of a list that are printed; --json has all. */
const SHOWN = 10;

/**
 * Runs the `data` command: `data check` examines the data of a configuration.
 *
 * @param argv what the user typed after `data`.
 * @returns 0, or 1 where a run would end before its first step.
 */
export const main: CommandModule["main"] = async (argv) => {
  const [word, ...rest] = argv;
  if (word !== "check" && word !== "--help" && word !== "-h") {
    throw new ConfigError("usage", `data has no command ${word ?? ""}.`.replace(" .", "."), {
      hint: "Write aubade data check CONFIG.",
    });
  }
  const program = new Command("aubade data check")
    .description("Examines the data of a configuration: rows, answers, media, tokens, overlap.")
    .argument("<config>", "YAML file, or one that aubade ships")
    .argument("[overrides...]", "settings laid over it: key=value")
    .option("--dry-run", "look at rows alone, decode nothing", false)
    .option("--json", "print one JSON object", false)
    .version(ownVersion(), "-v, --version")
    .addHelpText("after", HELP);
  const words = word === "check" ? rest : argv;
  if (!parseCommandLine(program, words, (text) => process.stdout.write(text))) return 0;
  const { dryRun, json } = program.opts<{ dryRun: boolean; json: boolean }>();
  const [config, ...overrides] = program.args;
  const file = shipped(config!);
  const stages = await loadStages(file, { readText, overrides });
  const configs = stages?.map((stage) => stage.config) ?? [
    await loadConfig(file, { readText, overrides }),
  ];
  const line = terminalLine(process.stderr);
  const events = new Events();
  events.listen(line.listen);
  const reports: DataReport[] = [];
  for (const one of configs) reports.push(await reportData(one, { events, rowsOnly: dryRun }));
  line.end();
  const whole = stages === undefined ? reports[0] : { stages: reports };
  const text = json ? `${JSON.stringify(whole, null, 2)}\n` : reports.map(textOf).join("\n");
  process.stdout.write(text);
  return reports.some(({ faults }) => faults.length > 0) ? 1 : 0;
};

function textOf({ sets, faults, warnings }: DataReport): string {
  const parts = sets.map(setText);
  if (warnings.length > 0) parts.push(`worth knowing\n${listed(warnings)}`);
  parts.push(
    faults.length === 0
      ? "nothing here would end a run before its first step\n"
      : `a run would end before its first step\n${listed(faults)}`,
  );
  return parts.join("\n");
}

function setText(set: SetReport): string {
  const counted = (counts: Record<string, number>) =>
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(", ");
  const lines = [
    `${set.use}: ${set.rows} rows${set.read < set.rows ? ` (${set.read} read)` : ""}, ${set.media} media`,
    `  kinds    ${counted(set.kinds)}`,
    `  answers  ${counted(set.answers)}`,
  ];
  if (set.tokens !== null) {
    const spread = Object.entries(set.tokens).map(
      ([kind, { least, mean, most }]) => `${kind} ${least} to ${most} (mean ${mean})`,
    );
    lines.push(`  tokens   ${spread.join(", ")}`);
  }
  for (const [what, places] of [
    ["rows that repeat an earlier one", set.repeatedRows],
    ["rows with two equal options", set.repeatedOptions],
    ["media that are not there", set.missingMedia],
  ] as const) {
    if (places.length > 0)
      lines.push(`  ${places.length} ${what}`, listed(places, "    ").trimEnd());
  }
  return `${lines.join("\n")}\n`;
}

function listed(entries: readonly string[], indent = "  "): string {
  const shown = entries.slice(0, SHOWN).map((entry) => `${indent}- ${entry}\n`);
  const more = entries.length > SHOWN ? `${indent}and ${entries.length - SHOWN} more\n` : "";
  return `${shown.join("")}${more}`;
}
