/** Says whether a path is a web address. */
export function isUrl(path: string): boolean {
  return /^https?:\/\//i.test(path);
}

/** Joins a folder (a path or a URL) and a name inside it with exactly one slash. */
export function joinPath(folder: string, ...names: string[]): string {
  let path = folder;
  for (const name of names) {
    if (name === "") continue;
    path = path === "" ? name : `${path.replace(/\/+$/, "")}/${name.replace(/^\/+/, "")}`;
  }
  return path;
}

/** Returns the last part of a path or URL. */
export function baseName(path: string): string {
  return (
    path
      .replace(/[?#].*$/, "")
      .replace(/\/+$/, "")
      .split(/[/\\]/)
      .pop() ?? ""
  );
}
