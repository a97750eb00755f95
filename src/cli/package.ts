import { packageRoot } from "#run";

/** The folder of aubade's package: the clone's root, or the installed package. */
export const ROOT = packageRoot();
