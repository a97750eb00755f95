import type { HealthFinding, RunEvents } from "../../core/run-events.ts";

/** Steps in which a rule fired without a pause; `to` is null while it does. */
export interface Spell {
  rule: string;
  from: number;
  to: number | null;
}

/** The contents of health.json. */
export interface HealthRecord {
  step: number;
  verdict: RunEvents["health"]["verdict"];
  findings: readonly HealthFinding[];
  /** The last stretches of steps in which a rule fired, oldest first. */
  history: readonly Spell[];
}

/** Returns the worst of what was found; notes are healthy. */
export function verdictOf(findings: readonly HealthFinding[]): HealthRecord["verdict"] {
  if (findings.some(({ level }) => level === "stop")) return "stop";
  return findings.some(({ level }) => level === "warn") ? "warning" : "healthy";
}

const HEADLINES: Record<HealthRecord["verdict"], string> = {
  healthy: "The run is healthy.",
  warning: "The run needs a look.",
  stop: "The run was stopped.",
};

function section(title: string, findings: readonly HealthFinding[], history: readonly Spell[]) {
  if (findings.length === 0) return "";
  const items = findings.map(({ rule, message, example }) => {
    const since = history.find((spell) => spell.rule === rule && spell.to === null)?.from;
    const from = since === undefined ? "" : `, since step ${since}`;
    // Indented, so that no text of a model can end the code block or become Markdown.
    const shown = example === undefined ? "" : `\n\n      ${example.replaceAll("\n", " ")}`;
    return `- **${rule}**${from}: ${message}${shown}`;
  });
  return `## ${title}\n\n${items.join("\n\n")}\n\n`;
}

/**
 * health.md: the verdict, what is wrong with an example, what is worth knowing, and what was.
 *
 * @param rules - each rule's action and threshold, by name.
 */
export function healthText(record: HealthRecord, rules: Readonly<Record<string, string>>): string {
  const { step, verdict, findings, history } = record;
  const wrong = findings.filter(({ level }) => level !== "note");
  const notes = findings.filter(({ level }) => level === "note");
  const past = history.filter(({ to }) => to !== null);
  const before = past.map(({ rule, from, to }) => `- ${rule}: steps ${from} to ${to}`);
  const was = before.length > 0 ? `## Over again\n\n${before.join("\n")}\n\n` : "";
  const table = Object.entries(rules).map(([name, text]) => `\`${name}\` (${text})`);
  return `# Health at step ${step}

${HEADLINES[verdict]}

${section("Findings", wrong, history)}${section("Notes", notes, history)}${was}Rules, with action and threshold: ${table.join(", ")}.
`;
}
