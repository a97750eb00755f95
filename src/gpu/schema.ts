import { z } from "zod";

/** Which GPU a run uses, and how much of it. */
export const deviceSchema = z.strictObject({
  adapter: z
    .string()
    .nullable()
    .default(null)
    .describe("Part of the name of the GPU to use; null takes the fastest that WebGPU offers."),
  tier: z
    .enum(["auto", "T0", "T1", "T2"])
    .default("auto")
    .describe(
      "Highest kernel tier: T0 core WGSL, T1 with 16-bit floats and subgroups, T2 with subgroup " +
        "matrices; `auto` takes the highest that the device has.",
    ),
});

/** Which GPU a run uses, checked. */
export type DeviceConfig = z.output<typeof deviceSchema>;
