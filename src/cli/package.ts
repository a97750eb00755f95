import { packageRoot, programVersions } from "#run";

/** The folder of aubade's package: the clone's root, or the installed package. */
export const ROOT = packageRoot();

/** Returns the version of aubade. */
export function ownVersion(): string {
  return programVersions()["aubade"]!;
}
