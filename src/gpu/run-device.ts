import type { Events } from "../core/events.ts";
import { report } from "../core/run-events.ts";
import type { Tier } from "./capabilities.ts";
import { openDevice, type Device } from "./device.ts";
import type { DeviceConfig } from "./schema.ts";

/**
 * Opens the device that a configuration asks for and reports what it is.
 *
 * @throws {DeviceError} as `openDevice`.
 */
export async function openRunDevice(
  { tier, adapter }: DeviceConfig,
  events: Events,
): Promise<Device> {
  const device = await openDevice({
    ...(tier !== "auto" && { tier: tier.toLowerCase() as Tier }),
    ...(adapter !== null && { adapter }),
  });
  reportDevice(device, events);
  return device;
}

/** Reports what a device is. */
export function reportDevice({ capabilities }: Device, events: Events): void {
  const { adapter, software, tier } = capabilities;
  const kind = software ? "software" : "GPU";
  report(events, "device", { adapter, kind, tier: tier.toUpperCase() });
}
