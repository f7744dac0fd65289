/**
 * Entering a network namespace, for tests and benchmarks: the product runs in one namespace all its life. Moves the calling thread only, and
 * what it starts from then on (child processes, sockets made by system calls); Node's own thread pool stays behind.
 */
import { closeSync, openSync } from "node:fs";
import { SystemError } from "./error.ts";
import { lastErrno, setns } from "./libc.ts";

const CLONE_NEWNET = 0x4000_0000;

/** Enters the namespace at `path` (`/run/netns/NAME`); the function returned goes back. */
export function enterNamespace(path: string): () => void {
  const home = openSync("/proc/thread-self/ns/net", "r");
  try {
    enter(path);
  } catch (error) {
    closeSync(home);
    throw error;
  }
  return () => {
    setNamespace(home, "the namespace it came from");
    closeSync(home);
  };
}

function enter(path: string): void {
  const fd = openSync(path, "r");
  try {
    setNamespace(fd, path);
  } finally {
    closeSync(fd);
  }
}

function setNamespace(fd: number, subject: string): void {
  if (setns(fd, CLONE_NEWNET) === 0) return;
  throw new SystemError({ call: "setns", errno: lastErrno(), subject, attempt: `enter network namespace ${subject}` });
}
