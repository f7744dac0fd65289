/** AS_PATH, RFC 4271 §4.3 and §5.1.2, with AS numbers of two or four bytes (RFC 6793). */
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { AS_TRANS } from "./open.ts";

const SEGMENT_TYPES = { set: 1, sequence: 2 } as const;
/** The count has one byte. */
const SEGMENT_LENGTH_MAX = 255;

export interface AsSegment {
  /** `set`: unordered, deprecated (RFC 9774); read, never sent. */
  readonly type: keyof typeof SEGMENT_TYPES;
  /** 1 to 255 of them. */
  readonly numbers: readonly number[];
}

/** A text says what is wrong: RFC 7606 §7.2 lists what can be, RFC 7607 adds AS 0. */
export function decodeAsPath(value: Uint8Array, fourOctets: boolean): readonly AsSegment[] | string {
  const reader = new Reader(value);
  const segments: AsSegment[] = [];
  while (reader.remaining > 0) {
    const code = reader.u8();
    const count = reader.u8();
    const type = code === SEGMENT_TYPES.set ? "set" : code === SEGMENT_TYPES.sequence ? "sequence" : undefined;
    if (reader.ranOut) return "one byte is left after the last segment";
    // Confederation segments (3, 4) have no business outside one (RFC 5065 §5).
    if (type === undefined) return `a segment of type ${code}`;
    if (count === 0) return "a segment without AS numbers";
    const numbers = Array.from({ length: count }, () => (fourOctets ? reader.u32() : reader.u16()));
    if (reader.ranOut) return `a segment of ${count} AS numbers is cut off`;
    if (numbers.includes(0)) return "AS 0 in the path";
    segments.push({ type, numbers });
  }
  return segments;
}

/** Numbers that do not fit in two bytes become AS_TRANS: send AS4_PATH beside it. */
export function encodeAsPath(segments: readonly AsSegment[], fourOctets: boolean): Uint8Array {
  const size = fourOctets ? 4 : 2;
  const writer = new Writer(segments.reduce((sum, { numbers }) => sum + 2 + size * numbers.length, 0));
  for (const { type, numbers } of segments) {
    writer.u8(SEGMENT_TYPES[type]).u8(numbers.length);
    for (const as of numbers) {
      if (fourOctets) writer.u32(as);
      else writer.u16(as > 0xffff ? AS_TRANS : as);
    }
  }
  return writer.finish();
}

/** The path of a route we originate, our number `times` over: in as few sequences as hold it. None for iBGP. */
export function asSequence(as: number, times: number): readonly AsSegment[] {
  const segments: AsSegment[] = [];
  for (let left = times; left > 0; left -= SEGMENT_LENGTH_MAX)
    segments.push({ type: "sequence", numbers: Array.from({ length: Math.min(left, SEGMENT_LENGTH_MAX) }, () => as) });
  return segments;
}

/** What an old speaker's AS_PATH with AS_TRANS in it meant, by the AS4_PATH it carried along (RFC 6793 §4.2.3). */
export function reconstructAsPath(path: readonly AsSegment[], as4Path: readonly AsSegment[]): readonly AsSegment[] {
  const missing = pathLength(path) - pathLength(as4Path);
  if (missing < 0) return path;
  const leading: AsSegment[] = [];
  let wanted = missing;
  for (const { type, numbers } of path) {
    if (wanted <= 0) break;
    leading.push({ type, numbers: type === "set" ? numbers : numbers.slice(0, wanted) });
    wanted -= type === "set" ? 1 : numbers.length;
  }
  return [...leading, ...as4Path];
}

/** A set counts as one (RFC 4271 §9.1.2.2). */
export function pathLength(segments: readonly AsSegment[]): number {
  return segments.reduce((sum, { type, numbers }) => sum + (type === "set" ? 1 : numbers.length), 0);
}

/** `64512 64513 {1,2}`, as routers print it. */
export function formatAsPath(segments: readonly AsSegment[]): string {
  return segments.map(({ type, numbers }) => (type === "set" ? `{${numbers.join(",")}}` : numbers.join(" "))).join(" ");
}
