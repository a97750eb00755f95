import { assert } from "../../core/errors.ts";
import type { DeviceProfile } from "../../gpu/capabilities.ts";
import { chooseTunables } from "../../kernels/choose.ts";
import {
  rootOf,
  tensorsOf,
  type Dispatch,
  type Fetch,
  type Graph,
  type HostStep,
  type Lowering,
  type Node,
} from "../graph.ts";
import { chunksOf, type Capacity } from "./chunks.ts";

/** A launch as an op asks for it, with all constants that the device decides. */
export interface LoweredDispatch {
  /** Name of the op that it is part of. */
  op: string;
  dispatch: Dispatch;
}

/** A step of the host, and how many launches come before it. */
export type Pause = (HostStep | Fetch) & { before: number };

/** A graph as launches in their order, and the pauses between them. */
export interface Lowered {
  launches: LoweredDispatch[];
  pauses: Pause[];
}

/** Asks every op of a graph for its launches, for a device and the largest sizes of a replay. */
export function lowerGraph(graph: Graph, profile: DeviceProfile, capacity: Capacity): Lowered {
  const lowered: Lowered = { launches: [], pauses: [] };
  for (const node of graph.nodes) {
    node.op.lower(node.inputs, node.outputs, loweringOf(node, lowered, profile, capacity));
  }
  return lowered;
}

function loweringOf(
  { op, inputs, outputs }: Node,
  { launches, pauses }: Lowered,
  profile: DeviceProfile,
  capacity: Capacity,
): Lowering {
  const known = new Set([...tensorsOf(inputs), ...tensorsOf(outputs)].map(rootOf));
  const pause = (step: HostStep | Fetch) => {
    pauses.push({ ...step, before: launches.length });
  };
  return {
    profile,
    chunks: (tensor) => chunksOf(tensor, capacity, profile.chunkBytes),
    dispatch(dispatch: Dispatch) {
      // Memory is planned by the node's tensors: another one might be somebody else's by now.
      for (const { tensor } of Object.values(dispatch.buffers)) {
        const message = `${op.name} binds ${tensor.name}, which is no tensor of its node`;
        assert(known.has(rootOf(tensor)), message);
      }
      const consts = { ...chooseTunables(profile, dispatch.kernel), ...dispatch.consts };
      launches.push({ op: op.name, dispatch: { ...dispatch, consts } });
    },
    host: pause,
    fetch: pause,
  };
}
