/** What the kernel counts about TCP and tells nobody else: a segment with a wrong MD5 signature, or too small a TTL, just disappears. */
import { readFileSync } from "node:fs";

const COUNTERS = {
  /** Signed with another key. */
  md5Failure: "TCPMD5Failure",
  /** Not signed although a key is set. */
  md5NotFound: "TCPMD5NotFound",
  /** Signed although no key is set. */
  md5Unexpected: "TCPMD5Unexpected",
  /** RFC 5082. */
  ttlTooSmall: "TCPMinTTLDrop",
} as const;

export type TcpCounter = keyof typeof COUNTERS;

/** Segments dropped in this network namespace since it exists. */
export function tcpCounters(): Readonly<Record<TcpCounter, number>> {
  return parseTcpCounters(readFileSync("/proc/thread-self/net/netstat", "utf8"));
}

/** Two lines for each group: names, then numbers. What a kernel does not count is 0. */
export function parseTcpCounters(text: string): Readonly<Record<TcpCounter, number>> {
  const [names = [], numbers = []] = text
    .split("\n")
    .filter((line) => line.startsWith("TcpExt: "))
    .map((line) => line.split(" "));
  const of = (name: string): number => Number(numbers[names.indexOf(name)] ?? 0) || 0;
  return {
    md5Failure: of(COUNTERS.md5Failure),
    md5NotFound: of(COUNTERS.md5NotFound),
    md5Unexpected: of(COUNTERS.md5Unexpected),
    ttlTooSmall: of(COUNTERS.ttlTooSmall),
  };
}
