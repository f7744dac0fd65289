/**
 * Tells when something in a folder may have changed: at once through inotify, and slowly by itself for what inotify
 * misses (network file systems, no watches left, a folder that was replaced or does not exist yet).
 */
import { statSync, watch, type FSWatcher } from "node:fs";

const TICK_MS = 500;
/** While inotify works, look anyway at every so many ticks. */
const TICKS_BETWEEN_LOOKS = 6;

export interface WatchListener {
  /** With the name of the file, or without one when any may have changed. */
  changed(name?: string): void;
  /** Nothing seems to have changed, but it is time to look. */
  routine(): void;
}

/** Returns the way to stop. */
export function watchFolder(path: string, listener: WatchListener): () => void {
  let watcher: FSWatcher | undefined;
  let watched: string | undefined;
  let ticks = 0;
  const start = (): void => {
    watcher?.close();
    watcher = undefined;
    watched = identity(path);
    if (watched === undefined) return;
    try {
      watcher = watch(path, (_event, name) => listener.changed(name ?? undefined));
      // No watch to be had, or lost: the timer looks instead.
      watcher.on("error", () => (watched = undefined));
    } catch {
      watched = undefined;
    }
  };
  start();
  const timer = setInterval(() => {
    ticks += 1;
    const replaced = watched === undefined || watched !== identity(path);
    if (replaced) start();
    if (replaced) listener.changed();
    else if (ticks % TICKS_BETWEEN_LOOKS === 0) listener.routine();
  }, TICK_MS);
  return () => {
    clearInterval(timer);
    watcher?.close();
  };
}

function identity(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? undefined : `${stat.dev}:${stat.ino}`;
}
