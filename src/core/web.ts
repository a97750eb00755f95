/** Reads a text file that ships with aubade, given its URL next to the importing module. */
export async function readAsset(url: URL): Promise<string> {
  return (await fetch(url)).text();
}
