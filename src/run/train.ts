import { DataError } from "../core/errors.ts";
import { type Evaluations, report, reportSpan } from "../core/run-events.ts";
import type { DataSet } from "../data/dataset.ts";
import { openData } from "../data/open.ts";
import { HeldOut, openBenchmarks, scoresOf } from "../eval/held-out.ts";
import { sharedRows } from "../eval/overlap.ts";
import { openRunDevice } from "../gpu/run-device.ts";
import type { Model } from "../model/model.ts";
import { Processor } from "../model/processor.ts";
import { type BaseModel, fetchModel, reportedLoading } from "../model/run-model.ts";
import { joinPath } from "../io/path.ts";
import { saveCheckpoint, scoredBy } from "./checkpoint-folder.ts";
import { restoreTrainingState, writeTrainingState } from "./checkpoint.ts";
import { exportRun, loadExported } from "./export-run.ts";
import { GrpoTask } from "../train/grpo-task.ts";
import { RUN_FILES } from "./folder.ts";
import type { RunExport, RunSettings, TrainOptions, TrainResult } from "./run-interface.ts";
import { checkTrainingRows } from "./check-rows.ts";
import { loadRunModel, runRewards } from "./setup.ts";
import { SftTask } from "../train/sft-task.ts";
import { checkSameRows, STATE_VERSION, type TrainerState } from "./state.ts";
import type { Cursor, TrainingTask } from "../train/task.ts";

/**
 * Trains a model: evaluation, steps with checkpoints, the model in Hugging Face layout, and the
 * evaluation of what was written there.
 *
 * Deterministic: the same settings on the same adapter, driver and build give the same bits, also
 * across a stop and a resume.
 *
 * @throws {ConfigError | DataError | DeviceError | CheckpointError} with what to do about it; what
 *   was written before stays whole.
 */
export async function train(settings: RunSettings, options: TrainOptions): Promise<TrainResult> {
  const { events, resume } = options;
  // Before weights are loaded: what is wrong with rows is known at once.
  const dataset = await trainingData(settings, options);
  const { length: rows, digest } = dataset;
  if (resume !== undefined) checkSameRows(resume.state, digest);
  report(events, "data", { rows, digest });
  const rewards = settings.task === "grpo" ? await runRewards(settings, options) : [];
  if (settings.task === "grpo" && dataset.alike !== true) {
    await checkTrainingRows(dataset, settings, rewards);
  }
  const benchmarks = await openBenchmarks(settings.eval, options);
  for (const message of sharedRows(dataset, benchmarks)) {
    report(events, "warning", { code: "held-out-is-trained", message });
  }
  const device = await openRunDevice(settings.device, events);
  try {
    const base = await fetchModel(settings.model, events);
    const local = { ...settings, model: { ...settings.model, path: base.folder } };
    const processor = await Processor.load(base.folder);
    processor.onWarning = (warning) => report(events, "warning", { ...warning });
    const model = await loadRunModel(device, local, events);
    const asking = { ...options, rewards };
    const heldOut = new HeldOut(model, processor, settings, asking, benchmarks);
    const state = resume?.state;
    const cursor: Cursor = {
      step: state?.step ?? 0,
      stage: state?.stage ?? 0,
      draw: state?.draw ?? 0,
      samplesConsumed: state?.samplesConsumed ?? 0,
      entropyControl: state?.entropyControl ?? null,
    };
    const task: TrainingTask =
      settings.task === "grpo"
        ? await GrpoTask.create(model, processor, local, { events, rewards, dataset })
        : await SftTask.create(model, processor, settings, events);
    if (resume !== undefined) {
      const { optimizer, reference } = task;
      await restoreTrainingState(resume.folder, { model, optimizer, reference });
    }
    const run = new Run(settings, options, { model, base, digest }, task, heldOut, cursor, state);
    const result = await run.toEnd();
    if (!result.stopped) await options.onTrained?.(run.model, processor);
    report(events, "end", { step: result.steps, stopped: result.stopped });
    return result;
  } finally {
    device.close();
  }
}

/** The rows that a run trains on: a program's own, or those that the configuration names. */
async function trainingData(
  { data }: RunSettings,
  { dataset, configUrl }: TrainOptions,
): Promise<DataSet> {
  if (dataset !== undefined) return dataset;
  const { set } = await openData(data, { split: "train", questions: null, configUrl });
  return set;
}

/** The loop of a run. */
class Run {
  readonly #settings: RunSettings;
  readonly #options: TrainOptions;
  #model: Model;
  readonly #base: BaseModel;
  readonly #digest: string;
  readonly #task: TrainingTask;
  /** Values since the last checkpoint of the metric that `output.keep_best` names. */
  #sinceSave: number[] = [];
  #heldOut: HeldOut;
  readonly #cursor: Cursor;
  readonly #started = performance.now();
  readonly #secondsBefore: number;
  #numTokens: number;
  #before: Evaluations | null;
  /** Where the logs stood before the evaluation of the step just done, if it had one. */
  #logsBefore: TrainerState["logs"] | undefined;

  constructor(
    settings: RunSettings,
    options: TrainOptions,
    { model, base, digest }: { model: Model; base: BaseModel; digest: string },
    task: TrainingTask,
    heldOut: HeldOut,
    cursor: Cursor,
    state: TrainerState | undefined,
  ) {
    this.#settings = settings;
    this.#options = options;
    this.#model = model;
    this.#base = base;
    this.#digest = digest;
    this.#task = task;
    this.#heldOut = heldOut;
    this.#cursor = cursor;
    this.#secondsBefore = state?.seconds ?? 0;
    this.#numTokens = state?.numTokens ?? 0;
    this.#before = state?.before ?? null;
  }

  /** The model as it stands; at the end of a run with a folder, the one that was loaded from it. */
  get model(): Model {
    return this.#model;
  }

  get #seconds(): number {
    return this.#secondsBefore + (performance.now() - this.#started) / 1000;
  }

  /** Runs what is left of the run, or until the user stops it. */
  async toEnd(): Promise<TrainResult> {
    const { events, stop, logs } = this.#options;
    const { totalSteps } = this.#task;
    const cursor = this.#cursor;
    const { save_steps: saveSteps, save_minutes: saveMinutes } = this.#settings.train;
    if (cursor.step === 0 && this.#before === null) {
      this.#before = scoresOf(await this.#ask(0, "before", null));
    }
    report(events, "start", { step: cursor.step, totalSteps });
    let saved = cursor.step;
    let savedAt = performance.now();
    // A checkpoint is of the moment before its step's evaluation, which may not have come to an end.
    if (saved > 0) await this.#evaluate();
    while (cursor.step < totalSteps && !stop.aborted) {
      const started = performance.now();
      const updates = this.#task.optimizer.step;
      const { metrics, tokens } = await reportSpan(events, "step", cursor.step + 1, () =>
        this.#task.step(cursor),
      ).catch(async (error: unknown) => {
        // A row that cannot be read fails before its step updates anything: no step is lost.
        const whole = error instanceof DataError && this.#task.optimizer.step === updates;
        if (whole && saved !== cursor.step) await this.#save();
        throw error;
      });
      this.#numTokens += tokens;
      const timed = {
        ...metrics,
        num_tokens: this.#numTokens,
        step_time: (performance.now() - started) / 1000,
      };
      report(events, "step", { step: cursor.step, totalSteps, metrics: timed });
      logs?.check();
      this.#logsBefore = undefined;
      this.#watch(metrics);
      const due =
        (saveSteps > 0 && cursor.step % saveSteps === 0) ||
        performance.now() - savedAt >= (saveMinutes ?? Infinity) * 60_000;
      if (due && cursor.step < totalSteps) {
        await this.#save();
        saved = cursor.step;
        savedAt = performance.now();
      }
      await this.#evaluate();
    }
    const stopped = cursor.step < totalSteps;
    const result: TrainResult = {
      steps: cursor.step,
      seconds: this.#seconds,
      before: this.#before,
      after: null,
      controls: {},
      questions: this.#heldOut.questions,
      stopped,
      exported: null,
    };
    if (saved !== cursor.step) await this.#save();
    if (stopped) return result;
    result.exported = await this.#export();
    result.after = scoresOf(await this.#ask(cursor.step, "after", null));
    for (const control of this.#heldOut.controls) {
      const asked = scoresOf(await this.#ask(cursor.step, "after", control));
      if (asked !== null) result.controls[control] = asked;
    }
    return { ...result, seconds: this.#seconds };
  }

  /** Collects the metric by which the best checkpoint is kept. */
  #watch(metrics: Readonly<Record<string, number>>): void {
    const value = metrics[this.#settings.output.keep_best ?? ""];
    if (value !== undefined && !Number.isNaN(value)) this.#sinceSave.push(value);
  }

  /** The evaluation between two steps, where one is due. */
  async #evaluate(): Promise<void> {
    const { step } = this.#cursor;
    const { eval_steps: every } = this.#settings.train;
    if (every === 0 || step % every !== 0 || step >= this.#task.totalSteps) return;
    this.#logsBefore = this.#options.logs?.position();
    await this.#ask(step, "during", null);
  }

  #ask(...question: Parameters<HeldOut["ask"]>): ReturnType<HeldOut["ask"]> {
    const work = () => this.#heldOut.ask(...question);
    return reportSpan(this.#options.events, "evaluation", question[0], work);
  }

  /** Leaves the model in the run folder and goes on with what was written there. */
  async #export(): Promise<RunExport | null> {
    const { runFolder, events } = this.#options;
    const { model, output } = this.#settings;
    const dtype = output.export_dtype;
    if (runFolder === undefined || dtype === null) return null;
    this.#options.logs?.check();
    const folder = joinPath(runFolder, RUN_FILES.model);
    const compare = model.init === "weights";
    const exported = await exportRun(folder, this.#model, this.#base, { dtype, compare });
    // Room for the model that is loaded: nothing trains any more.
    this.#task.optimizer.destroy();
    this.#model.weights.destroy();
    const loading = reportedLoading(events, "loading the trained model");
    const how = { storage: model.storage, loading };
    this.#model = await loadExported(this.#model, this.#base, folder, how);
    this.#heldOut = this.#heldOut.for(this.#model);
    return exported;
  }

  async #save(): Promise<void> {
    const { runFolder, logs, events } = this.#options;
    if (runFolder === undefined) return;
    const { task, output } = this.#settings;
    const { optimizer, reference } = this.#task;
    const cursor = { ...this.#cursor };
    const { step } = cursor;
    const seen = this.#sinceSave.splice(0);
    const mean = seen.reduce((sum, value) => sum + value, 0) / seen.length;
    const score = seen.length === 0 ? undefined : output.greater_is_better ? mean : -mean;
    if (output.keep_best !== null && score === undefined) {
      const message = `No step measured ${output.keep_best} since the last checkpoint: the one of step ${step} cannot be the best.`;
      report(events, "warning", { code: "no-score", message });
    }
    logs?.check();
    const write = async (path: string) => {
      await writeTrainingState(
        path,
        { model: this.#model, base: this.#base, optimizer, reference },
        {
          version: STATE_VERSION,
          ...{ task, ...cursor },
          numTokens: this.#numTokens,
          seconds: this.#seconds,
          data: this.#digest,
          before: this.#before,
          logs: this.#logsBefore ?? logs?.position() ?? { bytes: {}, pending: {} },
        },
      );
      logs?.check();
    };
    const folder = await reportSpan(events, "checkpoint", step, () =>
      saveCheckpoint(
        runFolder,
        step,
        { last: output.keep_last, score, by: scoredBy(output) },
        write,
      ),
    );
    report(events, "checkpoint", { step, folder });
  }
}
