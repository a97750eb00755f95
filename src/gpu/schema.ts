import { z } from "zod";

/** How a run uses its GPU. */
export const deviceSchema = z.strictObject({
  tier: z
    .enum(["auto", "T0", "T1", "T2"])
    .default("auto")
    .describe(
      "Highest kernel tier: T0 core WGSL, T1 with 16-bit floats and subgroups, T2 with subgroup " +
        "matrices; `auto` takes the highest that the device has.",
    ),
});

/** How a run uses its GPU, checked. */
export type DeviceConfig = z.output<typeof deviceSchema>;
