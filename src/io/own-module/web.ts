/** Imports a module of a user's own by its address. */
export async function importOwnModule(url: string): Promise<Record<string, unknown>> {
  return (await import(/* @vite-ignore */ url)) as Record<string, unknown>;
}
