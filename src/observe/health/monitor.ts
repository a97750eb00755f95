import { AubadeError } from "../../core/errors.ts";
import { type Events } from "../../core/events.ts";
import { type HealthFinding, report, type RunEvents } from "../../core/run-events.ts";
import type { CompletionView } from "../completions.ts";
import type { WriteFile } from "../log-file.ts";
import { parseMetricRows } from "../reward-curve.ts";
import type { HealthConfig, RuleName } from "../schema.ts";
import { COMPLETION_RULES } from "./completion-rules.ts";
import { LEARNING_RULES } from "./learning-rules.ts";
import { REWARD_RULES } from "./reward-rules.ts";
import type { HealthContext, HealthFacts, HealthRule } from "./rule.ts";
import { type HealthRecord, healthText, type Spell, verdictOf } from "./verdict.ts";

/** Every rule, in the order in which findings are told. */
export const HEALTH_RULES: readonly HealthRule[] = [
  ...COMPLETION_RULES,
  ...LEARNING_RULES,
  ...REWARD_RULES,
];

/** Names of what the monitor keeps in the run folder. */
const HEALTH_FILES = { record: "health.json", words: "health.md" } as const;

/** Rows that rules look back over; more are not kept. */
const MOST_ROWS = 32;
/** Stretches of steps that are told, more than there are rules; events.jsonl has all. */
const MOST_SPELLS = 32;

/** Options of a monitor. */
export interface HealthOptions {
  rules: HealthConfig;
  facts: HealthFacts;
  /** Hears of verdicts as they change. */
  events: Events;
  /** The checkpoint that a resumed run goes on from. */
  checkpoint?: string | undefined;
  /** Writes health.json and health.md; neither is written when left out. */
  write?: WriteFile;
}

const encoder = new TextEncoder();

/**
 * Watches a run as it goes: numbers become a verdict in words.
 *
 * A `health` event is emitted when the set of findings changes; the state of a resumed run follows
 * from its logs, so that it finds the same as one that was never stopped.
 */
export class HealthMonitor {
  readonly #options: HealthOptions;
  readonly #rows: Record<string, number | null>[] = [];
  #findings: HealthFinding[] = [];
  #history: Spell[] = [];
  /** Rules whose notes on single steps were told. */
  readonly #noted = new Set<string>();
  #stop: AubadeError | undefined;
  /** The newest checkpoint, whose weights are finite: no other is saved. */
  #checkpoint: string | undefined;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#checkpoint = options.checkpoint;
    options.events.listen(({ kind, data }) => {
      if (kind === "checkpoint") this.#checkpoint = (data as RunEvents["checkpoint"]).folder;
    });
  }

  /**
   * Takes up a run that is resumed.
   *
   * @param metrics - metrics.jsonl as it was cut back to the checkpoint.
   * @param happened - events.jsonl likewise.
   */
  restore(metrics: string, happened: string): void {
    for (const row of parseMetricRows(metrics)) this.#remember(row);
    for (const line of happened.split("\n")) {
      const event = healthEvent(line);
      if (event !== undefined) this.#turn(event.step, event.findings);
    }
    // The log has the words of a finding's first row; those of the last one follow from the rows.
    const { rules, facts } = this.#options;
    const last = { step: 0, metrics: {}, completions: [], rows: this.#rows, facts };
    this.#findings = this.#findings.map((finding) => {
      const rule = HEALTH_RULES.find(({ name }) => name === finding.rule);
      if (rule?.every !== "row") return finding;
      return { ...finding, ...rule.check(last, rules[rule.name].threshold) };
    });
  }

  /** The findings of the moment, notes among them. */
  get findings(): readonly HealthFinding[] {
    return this.#findings;
  }

  /**
   * Looks at a step; called once for each, in order.
   *
   * @param row - the row of the log that ends with this step, where one does.
   */
  step(
    step: number,
    metrics: Readonly<Record<string, number>>,
    completions: readonly CompletionView[],
    row?: Readonly<Record<string, number>>,
  ): void {
    const { rules, facts, events } = this.#options;
    if (row !== undefined) this.#remember(row);
    const context: HealthContext = {
      ...{ step, metrics, completions, rows: this.#rows, facts },
      checkpoint: this.#checkpoint,
    };
    const findings = HEALTH_RULES.flatMap((rule): HealthFinding[] => {
      const { action, threshold } = rules[rule.name];
      if (action === "off") return [];
      const before = this.#findings.filter((one) => one.rule === rule.name);
      if (rule.every === "row" && row === undefined) return before;
      const found = rule.check(context, threshold);
      const level = action === "mask" ? "warn" : action;
      return found === undefined ? [] : [{ rule: rule.name, level, ...found }];
    });
    const changed = this.#turn(step, findings);
    if (changed) {
      report(events, "health", { step, verdict: verdictOf(findings), findings });
    }
    if (changed || row !== undefined) this.#write(step);
    const fatal = findings.find(({ level }) => level === "stop");
    if (fatal === undefined) return;
    this.#stop ??= new AubadeError("health-stop", `step ${step}: ${fatal.message}`, {
      hint: `health.${fatal.rule}.action stopped the run: repair the cause and continue with --resume, or set it to warn.`,
    });
  }

  /** @throws {AubadeError} `health-stop` once a rule with the action `stop` has fired. */
  check(): void {
    if (this.#stop !== undefined) throw this.#stop;
  }

  #remember(row: Readonly<Record<string, number | null>>): void {
    // Rows of evaluations have neither, and are no part of the training's history.
    if (row["loss"] === undefined && row["reward"] === undefined) return;
    this.#rows.push(row);
    if (this.#rows.length > MOST_ROWS) this.#rows.shift();
  }

  /**
   * Takes up new findings; true when other rules fire than before.
   *
   * Notes on single steps come and go with nearly every step: only their first one counts.
   */
  #turn(step: number, findings: HealthFinding[]): boolean {
    const lasting = (list: readonly HealthFinding[]) =>
      new Set<string>(list.filter((one) => !isPassing(one)).map(({ rule }) => rule));
    const before = lasting(this.#findings);
    const now = lasting(findings);
    for (const spell of this.#history) {
      if (spell.to === null && !now.has(spell.rule)) spell.to = step - 1;
    }
    for (const rule of now) {
      if (!before.has(rule)) this.#history.push({ rule, from: step, to: null });
    }
    const passing = findings.filter(isPassing).map(({ rule }) => rule);
    const first = passing.some((rule) => !this.#noted.has(rule));
    for (const rule of passing) this.#noted.add(rule);
    while (this.#history.length > MOST_SPELLS) {
      // A rule that still fires stays: there are fewer rules than places.
      const oldest = this.#history.findIndex(({ to }) => to !== null);
      this.#history.splice(oldest, 1);
    }
    this.#findings = findings;
    return first || before.size !== now.size || [...now].some((rule) => !before.has(rule));
  }

  #write(step: number): void {
    const { write } = this.#options;
    if (write === undefined) return;
    const record: HealthRecord = {
      step,
      verdict: verdictOf(this.#findings),
      findings: this.#findings,
      history: this.#history,
    };
    write(HEALTH_FILES.record, encoder.encode(`${JSON.stringify(record, null, 2)}\n`));
    write(HEALTH_FILES.words, encoder.encode(healthText(record, this.#actions())));
  }

  #actions(): Record<RuleName, string> {
    const { rules } = this.#options;
    return Object.fromEntries(
      HEALTH_RULES.map(({ name }) => [name, `${rules[name].action}, ${rules[name].threshold}`]),
    ) as Record<RuleName, string>;
  }
}

/**
 * Returns the verdict that a line of events.jsonl tells of; undefined for others, and for a torn
 * line.
 */
function healthEvent(line: string): RunEvents["health"] | undefined {
  if (!line.includes('"health"')) return undefined;
  try {
    const event = JSON.parse(line) as { kind: string } & RunEvents["health"];
    return event.kind === "health" ? event : undefined;
  } catch {
    return undefined;
  }
}

/** Tells whether a finding is a note that is made anew at every step. */
function isPassing({ rule, level }: HealthFinding): boolean {
  return (
    level === "note" && HEALTH_RULES.some(({ name, every }) => name === rule && every === "step")
  );
}
