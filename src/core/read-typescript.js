/** Teaches this process to import TypeScript where Node cannot (below 22.18, or below 23.6). */
export async function readTypeScript() {
  if (process.features.typescript) return;
  const { register } = await import("tsx/esm/api");
  register();
}
