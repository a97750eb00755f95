/** Folders that exports are written into: nothing that no export wrote is ever replaced. */
import {
  exists,
  listFolder,
  makeFolder,
  readText,
  realPath,
  removeEmptyFolder,
  removePath,
  renamePath,
  writeFileAtomic,
} from "#io";
import { CheckpointError } from "../core/errors.ts";
import { joinPath } from "../io/path.ts";
import { ADAPTER_FILES } from "./adapter-folder.ts";
import { COMPANIONS, CONFIG_FILE, type ExportReport } from "./export.ts";

/** The file in which an export says of itself how it was made. */
export const EXPORT_FILE = "export.json";

/** The contents of {@link EXPORT_FILE}. */
export interface ExportRecord extends ExportReport {
  /** The model that training started from; null where nothing names it. */
  base: string | null;
  revision: string | null;
}

/** How a folder is treated that has something in it. */
export type Occupied =
  /** It is refused. */
  | "refuse"
  /** The files of an earlier export are replaced; a folder with others of those names is refused. */
  | "replace-export"
  /** It is the program's own, and replaced whole. */
  | "replace-all";

/** The suffix of a folder while its export is incomplete. */
const PART = ".part";

/**
 * Writes an export into a folder, whole or not at all: into a folder inside of it first, whose files
 * take the place of an earlier export's when all are there.
 *
 * So adapters and merged weights never share a folder, and a failure leaves what was there.
 *
 * @param reads folders that the export is made from, which are never written into, also through links.
 * @param write writes flat files into the folder that it is given, and says what to record.
 * @throws {CheckpointError} `same-folder`, `folder-not-empty`, or of `write`.
 */
export async function writeOutput<T extends ExportRecord>(
  out: string,
  { reads, occupied }: { reads: readonly string[]; occupied: Occupied },
  write: (folder: string) => Promise<T>,
): Promise<T> {
  await refuseRead(out, reads);
  const there = (await exists(out)) ? (await listFolder(out)).filter((name) => name !== PART) : [];
  const replaced = await replaceable(out, there, occupied);
  const part = joinPath(out, PART);
  try {
    await removePath(part);
    await makeFolder(part);
    const record = await write(part);
    const text = `${JSON.stringify(record, null, 2)}\n`;
    await writeFileAtomic(joinPath(part, EXPORT_FILE), text);
    const names = (await listFolder(part)).filter((name) => name !== EXPORT_FILE);
    const foreign = names.find((name) => there.includes(name) && !replaced.includes(name));
    if (foreign !== undefined) throw occupiedError(out, [foreign], occupied);
    for (const name of replaced) {
      if (!names.includes(name) && name !== EXPORT_FILE) await removePath(joinPath(out, name));
    }
    // Its own file last: until then the folder is that of the earlier export, which may be replaced.
    for (const name of [...names, EXPORT_FILE]) {
      await renamePath(joinPath(part, name), joinPath(out, name));
    }
    return record;
  } finally {
    await removePath(part).catch(() => {});
    await removeEmptyFolder(out);
  }
}

async function refuseRead(out: string, reads: readonly string[]): Promise<void> {
  const real = await realPath(out);
  for (const folder of reads) {
    if ((await realPath(folder)) !== real) continue;
    throw new CheckpointError("same-folder", `${out} is a folder that is read: ${folder}.`, {
      hint: "Export into another folder.",
    });
  }
}

/** Returns the names in a folder that an export may replace. */
async function replaceable(
  out: string,
  there: readonly string[],
  occupied: Occupied,
): Promise<readonly string[]> {
  if (occupied === "replace-all") return there;
  const shown = there.filter((name) => !name.startsWith("."));
  if (shown.length === 0) return [];
  if (occupied === "refuse" || !there.includes(EXPORT_FILE)) {
    throw occupiedError(out, shown, occupied);
  }
  const { files } = JSON.parse(await readText(joinPath(out, EXPORT_FILE))) as Partial<ExportRecord>;
  const written = new Set([...(files ?? []), ...COMPANIONS, ...ADAPTER_FILES]);
  return there.filter((name) => written.has(name) || [CONFIG_FILE, EXPORT_FILE].includes(name));
}

function occupiedError(out: string, names: readonly string[], occupied: Occupied): CheckpointError {
  const more = names.length > 1 ? ` and ${names.length - 1} more` : "";
  const which = occupied === "refuse" ? "" : ", which no export wrote";
  const also = names.includes(EXPORT_FILE)
    ? " or --overwrite, which replaces the files of an earlier export"
    : "";
  return new CheckpointError("folder-not-empty", `${out} holds ${names[0]}${more}${which}.`, {
    hint: `Name a new or empty folder${also}.`,
  });
}
