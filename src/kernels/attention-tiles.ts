import { attentionDecodeKernel } from "./attention-decode.ts";
import { attentionDecodeWideKernel } from "./attention-decode-wide.ts";

/** Constants of an attention kernel: threads, threads per (row, head), keys in flight, staging. */
export type AttentionConsts = Readonly<Record<string, number | boolean>>;

/** Constants of the attention kernels that have some to choose, and which kernel decodes. */
export interface AttentionTile {
  forward: AttentionConsts;
  backwardQ: AttentionConsts;
  backwardKv: AttentionConsts;
  decode: AttentionConsts;
  decodeKernel: typeof attentionDecodeKernel;
}

/**
 * A software driver runs a workgroup of eight threads as the lanes of one vector: no barrier, no
 * copies, and keys at uniform addresses are read once for all lanes.
 */
const SOFTWARE: AttentionTile = {
  forward: { WG: 8, SPLIT: 1, KEYS: 4, STAGE: false },
  backwardQ: { WG: 8, SPLIT: 1, KEYS: 2, STAGE: false },
  backwardKv: { WG: 8, SPLIT: 1, QUERIES: 2, STAGE: false },
  decode: { WG: 8, KEYS: 4 },
  decodeKernel: attentionDecodeKernel,
};

/** On a GPU keys go through workgroup memory, and large heads are split so that they fit registers. */
function gpuTile(split: number): AttentionTile {
  return {
    forward: { WG: 128, SPLIT: split, KEYS: 8, STAGE: true },
    backwardQ: { WG: 128, SPLIT: split, KEYS: 4, STAGE: true },
    backwardKv: { WG: 128, SPLIT: split, QUERIES: 4, STAGE: true },
    decode: { WG: 128 },
    decodeKernel: attentionDecodeWideKernel,
  };
}

/**
 * The constants for a head size and kind of device; HEAD_DIM is the caller's to add.
 *
 * headDim: a multiple of 4 up to 128.
 */
export function attentionTile(headDim: number, software: boolean): AttentionTile {
  if (software) return SOFTWARE;
  if (headDim >= 64 && headDim % 16 === 0) return gpuTile(4);
  return gpuTile(headDim % 8 === 0 ? 2 : 1);
}
