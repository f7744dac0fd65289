/**
 * Authentication of control packets, RFC 5880 §6.7: a digest over the packet with the key in the digest's place, and a
 * sequence number that only grows. The hash comes in as an argument.
 */
import { CONTROL_LENGTH, DIGESTS, encodeControl, type Control, type DigestType } from "./packet.ts";

export interface BfdKey {
  readonly type: "password" | DigestType;
  readonly keyId: number;
  /** 1 to 16 bytes; to 20 with SHA1. */
  readonly secret: Uint8Array;
}

export type Hash = (algorithm: "md5" | "sha1", bytes: Uint8Array) => Uint8Array;

/** What was last heard; `undefined`: nothing for so long that any number may start anew (§6.8.1, bfd.AuthSeqKnown). */
export type ReceivedSequence = number | undefined;

export type Verdict =
  | { readonly ok: true; readonly sequence: ReceivedSequence }
  | { readonly ok: false; readonly fault: AuthenticationFault };

export type AuthenticationFault = "unexpectedAuthentication" | "missingAuthentication" | "wrongKey" | "replayed";

const UINT32 = 2 ** 32;

/** The packet on the wire, signed where there is a key. */
export function sealControl(control: Control, key: BfdKey | undefined, sequence: number, hash: Hash): Uint8Array {
  if (key === undefined) return encodeControl(control);
  const { type, keyId, secret } = key;
  if (type === "password") return encodeControl({ ...control, authentication: { type, keyId, password: secret } });
  const digest = padded(secret, DIGESTS[type].length);
  const bytes = encodeControl({ ...control, authentication: { type, keyId, sequence, digest } });
  bytes.set(hash(algorithmOf(type), bytes), bytes.length - digest.length);
  return bytes;
}

/** §6.7.2-6.7.4 on receipt. `bytes` are those that `control` was read from. */
export function verifyControl(
  control: Control,
  bytes: Uint8Array,
  key: BfdKey | undefined,
  received: ReceivedSequence,
  hash: Hash,
): Verdict {
  const { authentication: section } = control;
  if (section === undefined)
    return key === undefined ? { ok: true, sequence: received } : fault("missingAuthentication");
  if (key === undefined) return fault("unexpectedAuthentication");
  if (section.type === "unknown" || section.type !== key.type || section.keyId !== key.keyId) return fault("wrongKey");
  if (section.type === "password")
    return sameBytes(section.password, key.secret) ? { ok: true, sequence: received } : fault("wrongKey");
  const { sequence, digest, type } = section;
  const meticulous = type === "meticulousKeyedMd5" || type === "meticulousKeyedSha1";
  if (received !== undefined && !follows(received, sequence, meticulous ? 1 : 0, 3 * control.detectMult))
    return fault("replayed");
  const signed = Uint8Array.from(bytes.subarray(0, CONTROL_LENGTH + 8 + digest.length));
  signed.set(padded(key.secret, digest.length), signed.length - digest.length);
  return sameBytes(hash(algorithmOf(type), signed), digest) ? { ok: true, sequence } : fault("wrongKey");
}

/** Within [before + least, before + most], around the end of 32 bits too. */
function follows(before: number, sequence: number, least: number, most: number): boolean {
  const distance = (sequence - before + UINT32) % UINT32;
  return distance >= least && distance <= most;
}

function algorithmOf(type: DigestType): "md5" | "sha1" {
  return type === "keyedMd5" || type === "meticulousKeyedMd5" ? "md5" : "sha1";
}

function padded(secret: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(secret.subarray(0, length));
  return bytes;
}

/** In the same time wherever they differ. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i += 1) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

function fault(kind: AuthenticationFault): Verdict {
  return { ok: false, fault: kind };
}
