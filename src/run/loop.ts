import { DataError } from "../core/errors.ts";
import { type Evaluations, report, reportSpan } from "../core/run-events.ts";
import { type HeldOut, scoresOf } from "../eval/held-out.ts";
import { joinPath } from "../io/path.ts";
import type { Model } from "../model/model.ts";
import { writeExport } from "../model/save.ts";
import type { Cursor, TrainingTask } from "../train/task.ts";
import { saveCheckpoint, scoredBy } from "./checkpoint-folder.ts";
import { restoreTrainingState, writeTrainingState } from "./checkpoint.ts";
import { RUN_FILES } from "./folder.ts";
import type { RunExport, Session, TrainResult } from "./options.ts";
import { loadExported, type Parts } from "./parts.ts";
import { STATE_VERSION, type TrainerState } from "./state.ts";

/*
 * The loop of a run, whatever it trains. In go the session (configuration, folder, logs, events), the
 * parts (device, model, processor), the task and the held-out questions; out comes what the run did:
 * steps, scores before and after, and the model that it left.
 *
 *   evaluate            held-out questions, greedily: the "before" of the model card
 *   step                the task's own: rollout, rewards, advantages and updates (train/grpo.ts), or a
 *                       supervised batch (train/sft-task.ts); its metrics become an event
 *   save, evaluate      when they are due
 *   ...                 until the last step, or until somebody stops the run
 *   save, export        the last checkpoint, and the model in Hugging Face layout
 *   evaluate            the model that was written, loaded again: the "after" of the card
 *
 * A task never changes where the run stands: it takes a cursor and returns the next one. So a step
 * that fails has not happened, and a checkpoint is the cursor, the weights, the moments and the
 * lengths of the logs. It is of the moment before its step's evaluation, which may be interrupted; a
 * resumed run therefore begins with the evaluation of the step that it resumes from. What listens to
 * the run hears events after the fact and cannot change a number of it. Only the log keeper and the
 * rules of the run's health are asked after every step, and end the run by raising.
 *
 * Transformers' Trainer, and so TRL, counts optimizer updates; this loop counts rollout batches, each
 * of which may take several updates. Source: TRL 1.16 `GRPOTrainer`, transformers `Trainer`.
 */

/** A run from its first step, or a checkpoint, to its end. */
export class RunLoop {
  readonly #session: Session;
  readonly #parts: Parts;
  readonly #task: TrainingTask;
  #heldOut: HeldOut;
  /** The model that the run left in its folder, once it is loaded. */
  #left: Model | undefined;
  /** Values since the last checkpoint of the metric that `output.keep_best` names. */
  #sinceSave: number[] = [];
  #cursor: Cursor;
  readonly #started = performance.now();
  readonly #secondsBefore: number;
  #numTokens: number;
  readonly #digest: string;
  #before: Evaluations | null;
  /** The position of the logs before the evaluation of the step just done, if it had one. */
  #logsBefore: TrainerState["logs"] | undefined;

  /** @param heldOut stays the caller's to free; @param digest of the rows that are trained on. */
  constructor(
    session: Session,
    parts: Parts,
    task: TrainingTask,
    { heldOut, digest }: { heldOut: HeldOut; digest: string },
  ) {
    this.#session = session;
    this.#digest = digest;
    this.#parts = parts;
    this.#task = task;
    this.#heldOut = heldOut;
    const state = session.resume?.state;
    this.#cursor = {
      step: state?.step ?? 0,
      draw: state?.draw ?? 0,
      samplesConsumed: state?.samplesConsumed ?? 0,
      entropyControl: state?.entropyControl ?? null,
    };
    this.#secondsBefore = state?.seconds ?? 0;
    this.#numTokens = state?.numTokens ?? 0;
    this.#before = state?.before ?? null;
  }

  /** The model as it stands; at the end of a run with a folder, the one that was loaded from it. */
  get model(): Model {
    return this.#left ?? this.#parts.model;
  }

  get #seconds(): number {
    return this.#secondsBefore + (performance.now() - this.#started) / 1000;
  }

  /** Puts weights and moments back, where the run is resumed. */
  async restore(): Promise<void> {
    const { resume } = this.#session;
    if (resume === undefined) return;
    const { optimizer, reference } = this.#task;
    await restoreTrainingState(resume.folder, { model: this.model, optimizer, reference });
  }

  /** Runs what is left of the run, or until the user stops it. */
  async toEnd(): Promise<TrainResult> {
    const { events, stop, config } = this.#session;
    const { totalSteps } = this.#task;
    const { save_steps: saveSteps, save_minutes: saveMinutes } = config.train;
    if (this.#cursor.step === 0 && this.#before === null) {
      this.#before = scoresOf(await this.#ask(0, "before", null));
    }
    report(events, "start", { step: this.#cursor.step, totalSteps });
    let saved = this.#cursor.step;
    let savedAt = performance.now();
    // A checkpoint is of the moment before its step's evaluation, which may not have come to an end.
    if (saved > 0) await this.#evaluate();
    while (this.#cursor.step < totalSteps && !stop.aborted) {
      const updates = this.#task.optimizer.step;
      const step = await this.#step().catch(async (error: unknown) => {
        // A row that cannot be read fails before its step updates anything: no step is lost.
        const whole = error instanceof DataError && this.#task.optimizer.step === updates;
        if (whole && saved !== this.#cursor.step) await this.#save();
        throw error;
      });
      const due =
        (saveSteps > 0 && step % saveSteps === 0) ||
        performance.now() - savedAt >= (saveMinutes ?? Infinity) * 60_000;
      if (due && step < totalSteps) {
        await this.#save();
        saved = step;
        savedAt = performance.now();
      }
      await this.#evaluate();
    }
    if (saved !== this.#cursor.step) await this.#save();
    return this.#finish();
  }

  /** Does one step of the task, reports it and returns its number. */
  async #step(): Promise<number> {
    const { events, logs } = this.#session;
    const started = performance.now();
    const { cursor, metrics, tokens } = await reportSpan(
      events,
      "step",
      this.#cursor.step + 1,
      () => this.#task.step(this.#cursor),
    );
    const { step } = (this.#cursor = cursor);
    this.#numTokens += tokens;
    const timed = {
      ...metrics,
      num_tokens: this.#numTokens,
      step_time: (performance.now() - started) / 1000,
    };
    report(events, "step", { step, totalSteps: this.#task.totalSteps, metrics: timed });
    logs.check();
    this.#logsBefore = undefined;
    this.#watch(metrics);
    return step;
  }

  /** Exports and evaluates a run that came to its last step. */
  async #finish(): Promise<TrainResult> {
    const { step } = this.#cursor;
    const result: TrainResult = {
      ...{ steps: step, seconds: this.#seconds, before: this.#before, after: null, controls: {} },
      questions: this.#heldOut.questions,
      stopped: step < this.#task.totalSteps,
      exported: null,
    };
    if (result.stopped) return result;
    result.exported = await this.#export();
    result.after = scoresOf(await this.#ask(step, "after", null));
    for (const control of this.#heldOut.controls) {
      const asked = scoresOf(await this.#ask(step, "after", control));
      if (asked !== null) result.controls[control] = asked;
    }
    return { ...result, seconds: this.#seconds };
  }

  /** Collects the metric by which the best checkpoint is kept. */
  #watch(metrics: Readonly<Record<string, number>>): void {
    const value = metrics[this.#session.config.output.keep_best ?? ""];
    if (value !== undefined && !Number.isNaN(value)) this.#sinceSave.push(value);
  }

  /** The evaluation between two steps, where one is due. */
  async #evaluate(): Promise<void> {
    const { step } = this.#cursor;
    const { eval_steps: every } = this.#session.config.train;
    if (every === 0 || step % every !== 0 || step >= this.#task.totalSteps) return;
    this.#logsBefore = this.#session.logs.position();
    await this.#ask(step, "during", null);
  }

  #ask(...question: Parameters<HeldOut["ask"]>): ReturnType<HeldOut["ask"]> {
    const work = () => this.#heldOut.ask(...question);
    return reportSpan(this.#session.events, "evaluation", question[0], work);
  }

  /** Leaves the model in the run folder and goes on with what was written there. */
  async #export(): Promise<RunExport | null> {
    const { runFolder, events, logs, config } = this.#session;
    const { model, output } = config;
    const dtype = output.export_dtype;
    if (runFolder === undefined || dtype === null) return null;
    logs.check();
    const folder = joinPath(runFolder, RUN_FILES.model);
    const { base, model: trained } = this.#parts;
    const compare = model.init === "weights";
    const how = { dtype, compare, occupied: "replace-all" } as const;
    const exported = await writeExport(folder, trained, base, how);
    // Room for the model that is loaded: nothing trains any more.
    this.#task.destroy();
    this.#parts.freeModel();
    this.#left = await loadExported(this.#parts, folder, model.storage, events);
    this.#heldOut = this.#heldOut.for(this.#left);
    return exported;
  }

  async #save(): Promise<void> {
    const { runFolder, logs, events, config } = this.#session;
    if (runFolder === undefined) return;
    const { task, output } = config;
    const { optimizer, reference } = this.#task;
    const { model, base } = this.#parts;
    const cursor = this.#cursor;
    const { step } = cursor;
    logs.check();
    const write = async (path: string) => {
      await writeTrainingState(
        path,
        { model, base, optimizer, reference },
        {
          version: STATE_VERSION,
          ...{ task, ...cursor },
          numTokens: this.#numTokens,
          seconds: this.#seconds,
          data: this.#digest,
          before: this.#before,
          logs: this.#logsBefore ?? logs.position(),
        },
      );
      logs.check();
    };
    const keeping = { last: output.keep_last, score: this.#score(), by: scoredBy(output) };
    const folder = await reportSpan(events, "checkpoint", step, () =>
      saveCheckpoint(runFolder, step, keeping, write),
    );
    report(events, "checkpoint", { step, folder });
  }

  /** How good the steps since the last checkpoint were; undefined where nothing says so. */
  #score(): number | undefined {
    const { events, config } = this.#session;
    const { keep_best: best, greater_is_better: greater } = config.output;
    const seen = this.#sinceSave.splice(0);
    if (best === null) return undefined;
    if (seen.length === 0) {
      const message = `No step measured ${best} since the last checkpoint: the one of step ${this.#cursor.step} cannot be the best.`;
      report(events, "warning", { code: "no-score", message });
      return undefined;
    }
    const mean = seen.reduce((sum, value) => sum + value, 0) / seen.length;
    return greater ? mean : -mean;
  }

  /** Frees the model that was loaded at the end, and what asked it. */
  destroy(): void {
    if (this.#left === undefined) return;
    this.#heldOut.destroy();
    this.#left.weights.destroy();
  }
}
