/** Names by which drivers that compute on the processor call themselves. */
const SOFTWARE = /llvmpipe|lavapipe|swiftshader|basic render driver|\bwarp\b|software/i;

/**
 * Says whether an adapter computes on the processor: good for trying things out, not for training.
 *
 * Browsers may leave every name empty; then only their own `isFallbackAdapter` decides.
 */
export function isSoftware(info: Partial<GPUAdapterInfo>): boolean {
  if (info.isFallbackAdapter === true) return true;
  const names = [info.vendor, info.architecture, info.device, info.description];
  return names.some((name) => name !== undefined && SOFTWARE.test(name));
}
