/**
 * OPEN, RFC 4271 §4.2, with capabilities (RFC 5492) and extended optional parameters (RFC 9072).
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +---------------+-------------------------------+---------------+
 *     |  version = 4  |     My Autonomous System      |   Hold Time   :
 *     +---------------+-------------------------------+---------------+
 *     :               |            BGP Identifier                     :
 *     +---------------+---------------+-------------------------------+
 *     :               | params length | parameters: type, length, value …
 *     +---------------+---------------+-------------------------------+
 *
 * Whether the AS, the identifier and the hold time are acceptable is the session's question, not the codec's.
 */
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";
import { decodeCapability, encodeCapability, type Capability } from "./capability.ts";
import { bgpError, type BgpError } from "./error.ts";

/** Stands in two bytes for an AS number of four (RFC 6793 §9). */
export const AS_TRANS = 23456;

export interface Open {
  readonly type: "open";
  /** "My Autonomous System": two bytes; {@link AS_TRANS} where the number does not fit. See {@link asOf}. */
  readonly myAs: number;
  readonly holdTimeSeconds: number;
  /** 32 bits: an IPv4 address by its look, a number by its meaning. */
  readonly bgpIdentifier: number;
  readonly capabilities: readonly Capability[];
}

const VERSION = 4;
const FIXED_LENGTH = 10;
const PARAMETER_CAPABILITIES = 2;
const PARAMETER_AUTHENTICATION = 1;
const EXTENDED = 255;
/** What one parameter holds where their total has one byte. */
const SHORT_LENGTH_MAX = 253;

/** The AS number an OPEN claims: of capability 65 (the first) where there is one. */
export function asOf(open: Open): number {
  return open.capabilities.find((capability) => capability.type === "fourOctetAs")?.as ?? open.myAs;
}

export type DecodedOpen =
  | { readonly ok: true; readonly value: Open }
  | { readonly ok: false; readonly error: BgpError };

export function decodeOpen(body: Uint8Array): DecodedOpen {
  const reader = new Reader(body);
  const version = reader.u8();
  if (version !== VERSION)
    return {
      ok: false,
      error: bgpError("open", "unsupportedVersion", `version ${version}, not 4`, Uint8Array.of(0, VERSION)),
    };
  const myAs = reader.u16();
  const holdTimeSeconds = reader.u16();
  const bgpIdentifier = reader.u32();
  const capabilities: Capability[] = [];
  const error = readParameters(reader, capabilities);
  if (error !== undefined) return { ok: false, error };
  return { ok: true, value: { type: "open", myAs, holdTimeSeconds, bgpIdentifier, capabilities } };
}

/** All capabilities in one parameter, as BIRD has it; in the long form of RFC 9072 only where the short one is too short. */
export function encodeOpen(open: Open): Uint8Array {
  const capabilities = open.capabilities.map(encodeCapability);
  const length = capabilities.reduce((sum, { length: more }) => sum + more, 0);
  const extended = length > SHORT_LENGTH_MAX;
  const parametersLength = length === 0 ? 0 : length + (extended ? 3 : 2);
  const writer = new Writer(FIXED_LENGTH + (extended ? 3 : 0) + parametersLength)
    .u8(VERSION)
    .u16(open.myAs)
    .u16(open.holdTimeSeconds)
    .u32(open.bgpIdentifier);
  if (extended) writer.u8(EXTENDED).u8(EXTENDED).u16(parametersLength).u8(PARAMETER_CAPABILITIES).u16(length);
  else writer.u8(parametersLength);
  if (!extended && length > 0) writer.u8(PARAMETER_CAPABILITIES).u8(length);
  for (const capability of capabilities) writer.bytes(capability);
  return writer.finish();
}

function readParameters(reader: Reader, capabilities: Capability[]): BgpError | undefined {
  let announced = reader.u8();
  if (reader.ranOut) return unspecific("it ends before its optional parameters");
  // RFC 9072 §2: the first type 255 makes it the long form. The first length is 255 then, but must not be trusted.
  const rest = reader.rest();
  const extended = announced > 0 && rest[0] === EXTENDED;
  const parameters = new Reader(rest);
  if (extended) {
    parameters.u8();
    announced = parameters.u16();
    if (parameters.ranOut) return unspecific("it ends inside the extended length of its optional parameters");
  }
  if (announced !== parameters.remaining)
    return unspecific(`${announced} bytes of optional parameters announced, ${parameters.remaining} found`);
  while (parameters.remaining > 0) {
    const before = parameters.remaining;
    const type = parameters.u8();
    const length = extended ? parameters.u16() : parameters.u8();
    const value = parameters.take(length);
    if (parameters.ranOut) return unspecific(`an optional parameter of type ${type} runs past the end`);
    const whole = rest.subarray(rest.length - before, rest.length - parameters.remaining);
    if (type === PARAMETER_AUTHENTICATION)
      return bgpError("open", "authenticationFailure", "authentication inside BGP (parameter 1) is not supported");
    if (type !== PARAMETER_CAPABILITIES)
      return bgpError("open", "unsupportedOptionalParameter", `optional parameter of type ${type}`, whole.slice());
    const error = readCapabilities(new Reader(value), capabilities);
    if (error !== undefined) return error;
  }
  return undefined;
}

function readCapabilities(reader: Reader, capabilities: Capability[]): BgpError | undefined {
  while (reader.remaining > 0) {
    const code = reader.u8();
    const value = reader.take(reader.u8());
    if (reader.ranOut) return unspecific(`capability ${code} runs past the end of its parameter`);
    const capability = decodeCapability(code, value);
    if (capability === undefined) return unspecific(`capability ${code} has an impossible length of ${value.length}`);
    capabilities.push(capability);
  }
  return undefined;
}

function unspecific(reason: string): BgpError {
  return bgpError("open", "unspecific", `malformed OPEN: ${reason}`);
}
