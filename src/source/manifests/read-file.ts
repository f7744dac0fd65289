/**
 * The bytes of a file that somebody else may be writing, up to a bound. Never waits for a pipe, and never returns half of what
 * was there before and half of what came after.
 */
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";

/** What was read, or why nothing was. `stat` is of before: whatever happens later looks like a change. */
export type FileBytes = { readonly stat: Stats } & ({ readonly bytes: Buffer } | { readonly fault: string });

/** Read in one go: faster than asking for it and waiting. */
export const SMALL_BYTES_MAX = 64 * 1024;
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;
/** Bytes of one request, with a turn for others after it. */
const REQUEST_BYTES = 1024 * 1024;

const GROWING = "was written to while it was read; it is read again";

/** Before it is opened: why it is not read at all. */
export function refusalOf(stat: Stats, bytesMax: number): string | undefined {
  if (!stat.isFile()) return "is not a regular file";
  return stat.size > bytesMax ? `has ${stat.size} bytes, more than ${bytesMax}; split it` : undefined;
}

const scratch = Buffer.allocUnsafe(SMALL_BYTES_MAX + 1);

/** A file of at most {@link SMALL_BYTES_MAX}, found so just now. The bytes are valid until the next call. */
export function readSmallFile(path: string, stat: Stats): FileBytes {
  let fd: number | undefined;
  try {
    fd = openSync(path, FLAGS);
    const length = readSync(fd, scratch, 0, scratch.length, 0);
    if (length !== stat.size || !isSame(stat, fstatSync(fd))) return { stat, fault: GROWING };
    return { stat, bytes: scratch.subarray(0, length) };
  } catch (error) {
    return { stat, fault: unreadable(error) };
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** A file of any size, found so just now. */
export async function readFile(path: string, stat: Stats): Promise<FileBytes> {
  try {
    await using handle = await open(path, FLAGS);
    const bytes = Buffer.allocUnsafe(stat.size);
    const length = await fill(handle, bytes);
    if (length !== stat.size || !isSame(stat, await handle.stat())) return { stat, fault: GROWING };
    return { stat, bytes };
  } catch (error) {
    return { stat, fault: unreadable(error) };
  }
}

async function fill(handle: FileHandle, bytes: Buffer): Promise<number> {
  let at = 0;
  while (at < bytes.length) {
    const { bytesRead } = await handle.read(bytes, at, Math.min(REQUEST_BYTES, bytes.length - at), at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return at;
}

function isSame(a: Stats, b: Stats): boolean {
  return a.ino === b.ino && a.size === b.size && a.mtimeMs === b.mtimeMs;
}

function unreadable(error: unknown): string {
  return `cannot be read: ${error instanceof Error ? error.message : String(error)}`;
}
