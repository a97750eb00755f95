import { z } from "zod";

/** How a run uses its GPU. */
export const deviceSchema = z.strictObject({
  adapter: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe(
      "Part of the name of the adapter to use, such as `NVIDIA`, where there are several (Node); null " +
        "takes the fastest.",
    ),
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
