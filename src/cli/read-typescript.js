/**
 * Teaches this process to import TypeScript where Node cannot strip types by itself
 * (below 22.18, or below 23.6) or will not (in an installed package).
 */
export async function readTypeScript() {
  const installed = import.meta.url.includes("/node_modules/");
  if (process.features.typescript && !installed) return;
  const { register } = await import("tsx/esm/api");
  register();
}
