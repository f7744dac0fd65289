/**
 * What libbpf would print to stderr, collected while one action runs. libbpf has one print function for the process and koffi calls back on
 * the thread that registered it: so it is set only around calls that explain themselves by printing, and only on the main thread.
 */
import koffi from "koffi";
import { libbpf_set_print, printCallback } from "./libbpf.ts";
import { vsnprintf } from "./libc.ts";

const LINE_BYTES_MAX = 4096;
const LEVEL_WARN = 0;

export function collectMessages<T>(action: () => T): { readonly result: T; readonly messages: readonly string[] } {
  const messages: string[] = [];
  const buffer = new Uint8Array(LINE_BYTES_MAX);
  const print = (level: number, format: bigint, args: bigint): number => {
    if (level > LEVEL_WARN) return 0;
    const length = vsnprintf(buffer, buffer.length, format, args);
    const text = new TextDecoder().decode(buffer.subarray(0, Math.max(0, Math.min(length, buffer.length - 1))));
    messages.push(text.replace(/^libbpf: /, "").trimEnd());
    return 0;
  };
  const callback = koffi.register(print, koffi.pointer(printCallback));
  libbpf_set_print(callback);
  try {
    return { result: action(), messages };
  } finally {
    libbpf_set_print(null);
    koffi.unregister(callback);
  }
}
