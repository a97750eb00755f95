import { DeviceError } from "../../core/errors.ts";
import { BUFFER_USAGE, type Device } from "../../gpu/device.ts";
import { isLive, type ReadyLaunch } from "./launches.ts";

/** One launch and how long the GPU took for it. */
export interface LaunchTime {
  /** Name of the op that it is part of. */
  op: string;
  kernel: string;
  ms: number;
  /** Multiply-adds times two; 0 where they are not counted. */
  flops: number;
}

/** All launches of one kernel together. */
export interface KernelTime {
  kernel: string;
  launches: number;
  ms: number;
  flops: number;
}

/** The time of one replay, dispatch by dispatch. */
export interface PlanProfile {
  /** In the order in which they ran; launches over nothing are left out, as in a report. */
  launches: LaunchTime[];
  /** By kernel, the slowest first. */
  kernels: KernelTime[];
}

/** Maximum number of queries that WebGPU allows in one set; a launch takes two. */
const SET_QUERIES = 4096;
const NS_PER_MS = 1e6;

/**
 * Runs launches in order, each in a compute pass of its own between two timestamps.
 *
 * A pass of its own costs a few microseconds that the launches of one pass share otherwise. Browsers
 * round timestamps to 0.1 ms unless they are told not to.
 *
 * @throws {DeviceError} `no-timestamps` when the device lacks the feature timestamp-query.
 */
export async function timeLaunches(
  device: Device,
  label: string,
  launches: readonly ReadyLaunch[],
): Promise<PlanProfile> {
  if (!device.capabilities.timestamps) {
    throw new DeviceError(
      "no-timestamps",
      `plan ${label} cannot be profiled: the device of ${device.capabilities.adapter}, tier ${device.capabilities.tier}, has no feature timestamp-query.`,
      { hint: "Open a device of tier t1 or better on an adapter that has timestamp-query." },
    );
  }
  const live = launches.filter(isLive);
  const set = device.raw.createQuerySet({ label, type: "timestamp", count: SET_QUERIES });
  const stamps = device.createBuffer(`${label}/stamps`, SET_QUERIES * 8, BUFFER_USAGE.queryResolve);
  const times: LaunchTime[] = [];
  try {
    for (let first = 0; first < live.length;) {
      const part = nextPart(live, first, device.pacer.submitWork);
      times.push(...(await timePart(device, part, set, stamps)));
      first += part.length;
    }
  } finally {
    set.destroy();
    device.destroyBuffer(stamps);
  }
  return { launches: times, kernels: byKernel(times) };
}

/** Launches from `first` on that one submit and one query set hold. */
function nextPart(live: readonly ReadyLaunch[], first: number, most: number): ReadyLaunch[] {
  let work = 0;
  let end = first;
  while (end < live.length && end - first < SET_QUERIES / 2 && work < most) {
    work += live[end++]!.work;
  }
  return live.slice(first, end);
}

async function timePart(
  device: Device,
  part: readonly ReadyLaunch[],
  querySet: GPUQuerySet,
  stamps: GPUBuffer,
): Promise<LaunchTime[]> {
  const encoder = device.raw.createCommandEncoder();
  part.forEach(({ pipeline, group, offset, grid }, i) => {
    const pass = encoder.beginComputePass({
      timestampWrites: {
        querySet,
        beginningOfPassWriteIndex: 2 * i,
        endOfPassWriteIndex: 2 * i + 1,
      },
    });
    pass.setPipeline(pipeline.raw);
    pass.setBindGroup(0, group, [offset]);
    pass.dispatchWorkgroups(...grid);
    pass.end();
    device.counters.dispatches++;
  });
  encoder.resolveQuerySet(querySet, 0, 2 * part.length, stamps, 0);
  device.submitEncoder(
    encoder,
    part.reduce((sum, { work }) => sum + work, 0),
  );
  const clock = new BigUint64Array(await device.read(stamps, 0, part.length * 16));
  return part.map(({ op, pipeline, flops }, i) => {
    const [begin, end] = [clock[2 * i]!, clock[2 * i + 1]!];
    // A GPU may set its clock back between two passes; the span is unknown then.
    const ms = end > begin ? Number(end - begin) / NS_PER_MS : 0;
    return { op, kernel: pipeline.kernel.name, ms, flops };
  });
}

function byKernel(times: readonly LaunchTime[]): KernelTime[] {
  const kernels = new Map<string, KernelTime>();
  for (const { kernel, ms, flops } of times) {
    const sum = kernels.get(kernel) ?? { kernel, launches: 0, ms: 0, flops: 0 };
    kernels.set(kernel, sum);
    sum.launches++;
    sum.ms += ms;
    sum.flops += flops;
  }
  return [...kernels.values()].sort((a, b) => b.ms - a.ms);
}
