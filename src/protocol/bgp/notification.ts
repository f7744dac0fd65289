/**
 * NOTIFICATION, RFC 4271 §4.5: the last message of a session. With the text of an administrator (RFC 9003) and the hard
 * reset that wraps another reason (RFC 8538 §3).
 */
import { Writer } from "../../bytes/writer.ts";
import { ERRORS, formatErrorCode, type BgpError } from "./error.ts";

export interface Notification {
  readonly type: "notification";
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
}

const CEASE = ERRORS.cease.code;
const { administrativeShutdown, administrativeReset, hardReset, maximumPrefixes } = ERRORS.cease.subcodes;
/** RFC 9003 §2: of the text in UTF-8. */
const COMMUNICATION_LENGTH_MAX = 255;

/** What to send about an error found here. */
export function notificationOf(error: BgpError): Notification {
  return { type: "notification", code: error.code, subcode: error.subcode, data: error.data };
}

/** Cease; the text is cut, at a character, where 255 bytes end. */
export function ceaseNotification(
  subcode: keyof typeof ERRORS.cease.subcodes,
  communication: string = "",
): Notification {
  const number = ERRORS.cease.subcodes[subcode];
  const takesText = number === administrativeShutdown || number === administrativeReset;
  return {
    type: "notification",
    code: CEASE,
    subcode: number,
    data: takesText ? encodeText(communication) : new Uint8Array(0),
  };
}

/** The same reason as a hard reset: a helper that keeps routes on a NOTIFICATION drops them on this one. */
export function hardResetOf(notification: Notification): Notification {
  const { code, subcode, data } = notification;
  const wrapped = new Writer(2 + data.length).u8(code).u8(subcode).bytes(data).finish();
  return { type: "notification", code: CEASE, subcode: hardReset, data: wrapped };
}

export function decodeNotification(body: Uint8Array): Notification {
  const [code = 0, subcode = 0] = body;
  return { type: "notification", code, subcode, data: body.slice(2) };
}

export function encodeNotification({ code, subcode, data }: Notification): Uint8Array {
  return new Writer(2 + data.length).u8(code).u8(subcode).bytes(data).finish();
}

export function isHardReset(notification: Notification): boolean {
  return notification.code === CEASE && notification.subcode === hardReset;
}

/** What an administrator wrote, also inside a hard reset; `undefined`: nothing, or nothing readable. */
export function shutdownCommunication(notification: Notification): string | undefined {
  const inner = unwrapped(notification);
  if (inner === undefined) return shutdownCommunicationOf(notification);
  return shutdownCommunicationOf(inner);
}

/** In words: `cease: hard reset (6/9): cease: administrative shutdown (6/2) "maintenance"`. */
export function formatNotification(notification: Notification): string {
  const { code, subcode, data } = notification;
  const words = formatErrorCode(code, subcode);
  const inner = unwrapped(notification);
  if (inner !== undefined) return `${words}: ${formatNotification(inner)}`;
  const text = shutdownCommunicationOf(notification);
  if (text !== undefined) return `${words} ${JSON.stringify(text)}`;
  if (code === CEASE && subcode === maximumPrefixes && data.length === 7) {
    const view = new DataView(data.buffer, data.byteOffset);
    return `${words}: at most ${view.getUint32(3)} of AFI ${view.getUint16(0)} SAFI ${view.getUint8(2)}`;
  }
  return words;
}

/** Not inside itself a second time: nobody sends that, and text should not nest as deep as a stranger likes. */
function unwrapped(notification: Notification): Notification | undefined {
  if (!isHardReset(notification) || notification.data.length < 2) return undefined;
  const inner = decodeNotification(notification.data);
  return isHardReset(inner) ? undefined : inner;
}

function shutdownCommunicationOf({ code, subcode, data }: Notification): string | undefined {
  if (code !== CEASE || (subcode !== administrativeShutdown && subcode !== administrativeReset)) return undefined;
  const [length = 0] = data;
  if (length === 0 || 1 + length > data.length) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(data.subarray(1, 1 + length));
  } catch {
    return undefined;
  }
}

function encodeText(text: string): Uint8Array {
  if (text === "") return new Uint8Array(0);
  const bytes = new Uint8Array(COMMUNICATION_LENGTH_MAX);
  const { written } = new TextEncoder().encodeInto(text, bytes);
  return new Writer(1 + written).u8(written).bytes(bytes.subarray(0, written)).finish();
}
