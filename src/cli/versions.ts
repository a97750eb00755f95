import { programVersions } from "#run";

/** The version of aubade. */
export function ownVersion(): string {
  return programVersions()["aubade"]!;
}
