/** Imports a module of a user's own by its address, from the page's own where it is relative. */
export async function importOwnModule(path: string): Promise<Record<string, unknown>> {
  const { href } = new URL(path, location.href);
  return (await import(/* @vite-ignore */ href)) as Record<string, unknown>;
}
