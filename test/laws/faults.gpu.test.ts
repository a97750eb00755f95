import fs, { type FileHandle } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  inject,
  it,
  vi,
} from "vitest";
import { trainCommand } from "../../src/cli/commands/train.ts";
import type { Device } from "../../src/gpu/device.ts";
import { findCheckpoint } from "../../src/run/checkpoint-folder.ts";
import { train } from "../../src/run/train.ts";
import { runFiles } from "../helpers/run-files.ts";
import { TinyWorkplace, writeConfig } from "../helpers/tiny-run.ts";

const opened = vi.hoisted((): { device?: Device } => ({}));
vi.mock("../../src/gpu/run-device.ts", async (original) => {
  const actual = await original<typeof import("../../src/gpu/run-device.ts")>();
  const openRunDevice: typeof actual.openRunDevice = async (...args) =>
    (opened.device = await actual.openRunDevice(...args));
  return { openRunDevice };
});

const STEPS = 5;

describe("a run that breaks goes on from its last checkpoint as if nothing had been", () => {
  const place = new TinyWorkplace();
  const { open } = fs;
  let want: Map<string, unknown>;
  beforeAll(async () => {
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
    await place.make();
    await run("whole");
    want = await runFiles(place.path("whole"), STEPS);
  });
  afterAll(() => place.remove());
  beforeEach(() => {
    vi.spyOn(process.stdout, "write").mockReturnValue(true);
  });
  afterEach(() => {
    fs.open = open;
    syncBuiltinESMExports();
    vi.restoreAllMocks();
  });

  /** The `train` command; `fault` is called at every completion of a step. */
  async function run(name: string, fault?: (step: number) => void, ...more: string[]) {
    const file = place.path("faults.yaml");
    const tier = inject("tier").toUpperCase();
    await writeConfig(file, place.config({ train: { max_steps: STEPS }, device: { tier } }));
    return trainCommand(
      [file, `output.run_dir=${place.path(name)}`, ...more],
      (config, options) => {
        options.events.listen(({ kind, data }) => {
          if (kind === "rollout") fault?.(data["step"] as number);
        });
        return train(config, options);
      },
    );
  }

  async function expectWholeAgain(name: string): Promise<void> {
    expect((await findCheckpoint(place.path(name))).step).toBe(2);
    const names = await fs.readdir(place.path(name));
    expect(names.filter((entry) => entry.endsWith(".tmp"))).toEqual([]);
    expect(await run(name, undefined, "--resume")).toBe(0);
    const got = await runFiles(place.path(name), STEPS);
    for (const [file, content] of want) expect(got.get(file), file).toEqual(content);
  }

  it("the device is lost in step 3", async () => {
    const lost = run("lost", (step) => {
      if (step === 3) opened.device!.raw.destroy();
    });
    await expect(lost).rejects.toMatchObject({ name: "DeviceError", code: "device-lost" });
    await expect(lost).rejects.toThrow(/--resume/);
    await expectWholeAgain("lost");
  });

  it("the disk is full when checkpoint 4 is written", async () => {
    fs.open = async (...args: Parameters<typeof open>): Promise<FileHandle> => {
      const handle = await open(...args);
      if (!/checkpoint-00004\.tmp.optimizer/.test(String(args[0]))) return handle;
      handle.write = () =>
        Promise.reject(Object.assign(new Error("no space left on device"), { code: "ENOSPC" }));
      return handle;
    };
    syncBuiltinESMExports();
    const full = run("full");
    await expect(full).rejects.toMatchObject({ name: "CheckpointError", code: "disk-full" });
    await expect(full).rejects.toThrow(/optimizer\.safetensors \(ENOSPC\)\. Free some space/);
    fs.open = open;
    syncBuiltinESMExports();
    await expectWholeAgain("full");
  });
});
