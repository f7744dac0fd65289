/**
 * BGP messages, RFC 4271 §4: bytes and values. What may not be decoded is the error to end the session with; nothing here
 * throws on what a peer sent.
 *
 *     +---------------------------------------------------------------+
 *     |                     marker: 16 bytes of ones                  |
 *     +-------------------------------+---------------+---------------+
 *     |  length, with this header     |     type      |  body …
 *     +-------------------------------+---------------+
 */
import { Writer } from "../../bytes/writer.ts";
import {
  EXTENDED_MESSAGE_LENGTH_MAX,
  HEADER_LENGTH,
  MESSAGE_LENGTH_MAX,
  sendLengthMax,
  type SessionContext,
} from "./context.ts";
import { bgpError, type BgpError } from "./error.ts";
import { decodeNotification, encodeNotification, type Notification } from "./notification.ts";
import { decodeOpen, encodeOpen, type Open } from "./open.ts";
import { decodeRouteRefresh, encodeRouteRefresh, type RouteRefresh } from "./route-refresh.ts";
import { decodeUpdate, encodeUpdate, type Update } from "./update.ts";

export interface Keepalive {
  readonly type: "keepalive";
}

export type Message = Open | Update | Notification | Keepalive | RouteRefresh;

export type DecodedMessage =
  | { readonly ok: true; readonly value: Message }
  | { readonly ok: false; readonly error: BgpError };

export const MESSAGE_TYPES = { open: 1, update: 2, notification: 3, keepalive: 4, routeRefresh: 5 } as const;

/** RFC 4271 §6.1: the shortest of each kind. */
const LENGTHS_MIN = { open: 29, update: 23, notification: 21, keepalive: 19, routeRefresh: 23 } as const;
const MARKER_LENGTH = 16;

/** One whole message, as the framer cuts it off. */
export function decodeMessage(bytes: Uint8Array, context: SessionContext): DecodedMessage {
  const header = checkHeader(bytes, context);
  if ("code" in header) return { ok: false, error: header };
  if (header.length !== bytes.length)
    return { ok: false, error: badLength(bytes, `length ${header.length} in a message of ${bytes.length} bytes`) };
  const body = bytes.subarray(HEADER_LENGTH);
  switch (header.type) {
    case "open":
      return decodeOpen(body);
    case "update":
      return decodeUpdate(body, context);
    case "notification":
      return { ok: true, value: decodeNotification(body) };
    case "keepalive":
      return { ok: true, value: { type: "keepalive" } };
    case "routeRefresh":
      return decodeRefresh(bytes, context);
  }
}

/** Throws on a message that is longer than the peer takes. */
export function encodeMessage(message: Message, context: SessionContext): Uint8Array {
  const body = encodeBody(message, context);
  const length = HEADER_LENGTH + body.length;
  const longest =
    message.type === "update" || message.type === "notification" ? sendLengthMax(context) : MESSAGE_LENGTH_MAX;
  if (length > longest)
    throw new RangeError(`Cannot send a message of ${length} bytes (${message.type}): at most ${longest}`);
  return writeHeader(new Writer(length), MESSAGE_TYPES[message.type], length).bytes(body).finish();
}

/** `length`: of the whole message. */
export function writeHeader(writer: Writer, type: number, length: number): Writer {
  return writer.bytes(MARKER).u16(length).u8(type);
}

export interface Header {
  readonly type: Message["type"];
  /** Of the whole message. */
  readonly length: number;
}

/** Of the first 19 bytes at least: what RFC 4271 §6.1 wants to be true before the rest is waited for. */
export function checkHeader(bytes: Uint8Array, context: SessionContext): Header | BgpError {
  if (bytes.length < HEADER_LENGTH) return badLength(bytes, `a message of ${bytes.length} bytes has no header`);
  if (bytes.subarray(0, MARKER_LENGTH).some((byte) => byte !== 0xff))
    return bgpError("header", "connectionNotSynchronized", "the marker is not all ones");
  const length = ((bytes[MARKER_LENGTH] ?? 0) << 8) | (bytes[MARKER_LENGTH + 1] ?? 0);
  const code = bytes[MARKER_LENGTH + 2] ?? 0;
  const type = typeOf(code);
  if (length < HEADER_LENGTH) return badLength(bytes, `length ${length} is below the ${HEADER_LENGTH} of a header`);
  if (type === undefined)
    return length > (context.receiveExtended ? EXTENDED_MESSAGE_LENGTH_MAX : MESSAGE_LENGTH_MAX)
      ? badLength(bytes, `length ${length} is above ${MESSAGE_LENGTH_MAX}`)
      : bgpError("header", "badMessageType", `unknown message type ${code}`, Uint8Array.of(code));
  const shortest = LENGTHS_MIN[type];
  if (length < shortest) {
    const reason = `length ${length} is below the ${shortest} of the shortest message of its kind (${type})`;
    return type === "routeRefresh" && context.enhancedRouteRefresh
      ? badRefresh(bytes, reason)
      : badLength(bytes, reason);
  }
  const longest = longestOf(type, context);
  if (length > longest) return badLength(bytes, `length ${length} is above the ${longest} allowed (${type})`);
  return { type, length };
}

const MARKER: Uint8Array = new Uint8Array(MARKER_LENGTH).fill(0xff);

function encodeBody(message: Message, context: SessionContext): Uint8Array {
  switch (message.type) {
    case "open":
      return encodeOpen(message);
    case "update":
      return encodeUpdate(message, context);
    case "notification":
      return encodeNotification(message);
    case "keepalive":
      return new Uint8Array(0);
    case "routeRefresh":
      return encodeRouteRefresh(message);
  }
}

/** RFC 7313 §5: only a marker of a refresh must be exactly so long; a request may carry filters, which we ignore. */
function decodeRefresh(bytes: Uint8Array, context: SessionContext): DecodedMessage {
  const value = decodeRouteRefresh(bytes.subarray(HEADER_LENGTH));
  if (bytes.length === LENGTHS_MIN.routeRefresh || value.subtype === "request") return { ok: true, value };
  const reason = `length ${bytes.length} of a route refresh that is not a request`;
  return { ok: false, error: context.enhancedRouteRefresh ? badRefresh(bytes, reason) : badLength(bytes, reason) };
}

/** RFC 8654 §3: OPEN and KEEPALIVE stay as they were. */
function longestOf(type: Message["type"], { receiveExtended }: SessionContext): number {
  if (type === "keepalive") return LENGTHS_MIN.keepalive;
  return receiveExtended && type !== "open" ? EXTENDED_MESSAGE_LENGTH_MAX : MESSAGE_LENGTH_MAX;
}

function badLength(bytes: Uint8Array, reason: string): BgpError {
  return bgpError("header", "badMessageLength", reason, bytes.slice(MARKER_LENGTH, MARKER_LENGTH + 2));
}

function badRefresh(bytes: Uint8Array, reason: string): BgpError {
  return bgpError("routeRefresh", "invalidMessageLength", reason, bytes.slice());
}

function typeOf(code: number): Message["type"] | undefined {
  const found = Object.entries(MESSAGE_TYPES).find(([, number]) => number === code)?.[0];
  return found as Message["type"] | undefined;
}
