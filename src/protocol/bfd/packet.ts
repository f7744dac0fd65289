/**
 * BFD control packets, RFC 5880 §4.1, with every kind of authentication section (§4.2-4.4). Left out: MPLS and multipoint.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-----+---------+---+-+-+-+-+-+-+---------------+---------------+
 *     |vers |  diag   |sta|P|F|C|A|D|M|  detect mult  |    length     |
 *     +-----+---------+---+-+-+-+-+-+-+---------------+---------------+
 *     |                       my discriminator                        |
 *     |                      your discriminator                       |
 *     |                 desired min TX interval, µs                   |
 *     |                 required min RX interval, µs                  |
 *     |               required min echo RX interval, µs               |
 *     +---------------+---------------+-------------------------------+
 *     |  auth type    |  auth length  |  authentication data …         with A
 *     +---------------+---------------+-------------------------------+
 */
import { decoded, faulty, type Decoded } from "../../bytes/decoded.ts";
import { Reader } from "../../bytes/reader.ts";
import { Writer } from "../../bytes/writer.ts";

const VERSION = 1;
export const CONTROL_LENGTH = 24;

/** §4.1: the two bits. */
export const STATES = ["adminDown", "down", "init", "up"] as const;
export type BfdState = (typeof STATES)[number];

/** §4.1: why the state last changed. Codes beyond keep their number. */
export const DIAGNOSTICS = [
  "none",
  "detectionTimeExpired",
  "echoFailed",
  "neighborSignaledDown",
  "forwardingPlaneReset",
  "pathDown",
  "concatenatedPathDown",
  "administrativelyDown",
  "reverseConcatenatedPathDown",
] as const;
export type Diagnostic = (typeof DIAGNOSTICS)[number] | number;

export interface Control {
  readonly diagnostic: Diagnostic;
  readonly state: BfdState;
  readonly poll: boolean;
  readonly final: boolean;
  readonly controlPlaneIndependent: boolean;
  readonly demand: boolean;
  readonly detectMult: number;
  readonly myDiscriminator: number;
  /** 0: not known yet. */
  readonly yourDiscriminator: number;
  readonly desiredMinTxMicros: number;
  /** 0: send none. */
  readonly requiredMinRxMicros: number;
  /** 0: no echo. */
  readonly requiredMinEchoRxMicros: number;
  readonly authentication?: AuthenticationSection;
}

/** §4.2-4.4: a password, or a digest with a sequence number. */
export type AuthenticationSection =
  | { readonly type: "password"; readonly keyId: number; readonly password: Uint8Array }
  | {
      readonly type: DigestType;
      readonly keyId: number;
      readonly sequence: number;
      readonly digest: Uint8Array;
    }
  | { readonly type: "unknown"; readonly code: number; readonly data: Uint8Array };

export const DIGESTS = {
  keyedMd5: { code: 2, length: 16 },
  meticulousKeyedMd5: { code: 3, length: 16 },
  keyedSha1: { code: 4, length: 20 },
  meticulousKeyedSha1: { code: 5, length: 20 },
} as const;
export type DigestType = keyof typeof DIGESTS;

const PASSWORD_CODE = 1;
const PASSWORD_LENGTH_MAX = 16;
/** Type, length, key, reserved, sequence. */
const DIGEST_HEADER_LENGTH = 8;
const FLAGS = {
  poll: 0x20,
  final: 0x10,
  independent: 0x08,
  authentication: 0x04,
  demand: 0x02,
  multipoint: 0x01,
} as const;

export type ControlFault =
  | "truncated"
  | "otherVersion"
  | "badLength"
  | "zeroDetectMult"
  | "multipoint"
  | "zeroMyDiscriminator"
  | "zeroYourDiscriminator"
  | "pollAndFinal"
  | "badAuthenticationSection";

/** §6.8.6, what is to be discarded whatever the session: the first rules of it. Bytes behind the packet's own length are ignored. */
export function decodeControl(bytes: Uint8Array): Decoded<Control, ControlFault> {
  if (bytes.length < CONTROL_LENGTH) return faulty("truncated");
  const reader = new Reader(bytes);
  const first = reader.u8();
  const second = reader.u8();
  const detectMult = reader.u8();
  const length = reader.u8();
  if (first >> 5 !== VERSION) return faulty("otherVersion");
  const authenticated = (second & FLAGS.authentication) !== 0;
  if (length > bytes.length || length < CONTROL_LENGTH + (authenticated ? 2 : 0)) return faulty("badLength");
  if (detectMult === 0) return faulty("zeroDetectMult");
  if ((second & FLAGS.multipoint) !== 0) return faulty("multipoint");
  const myDiscriminator = reader.u32();
  if (myDiscriminator === 0) return faulty("zeroMyDiscriminator");
  const yourDiscriminator = reader.u32();
  const state = STATES[second >> 6] ?? "down";
  if (yourDiscriminator === 0 && state !== "down" && state !== "adminDown") return faulty("zeroYourDiscriminator");
  const [poll, final] = [(second & FLAGS.poll) !== 0, (second & FLAGS.final) !== 0];
  if (poll && final) return faulty("pollAndFinal");
  const control: Control = {
    diagnostic: DIAGNOSTICS[first & 0x1f] ?? first & 0x1f,
    state,
    poll,
    final,
    controlPlaneIndependent: (second & FLAGS.independent) !== 0,
    demand: (second & FLAGS.demand) !== 0,
    detectMult,
    myDiscriminator,
    yourDiscriminator,
    desiredMinTxMicros: reader.u32(),
    requiredMinRxMicros: reader.u32(),
    requiredMinEchoRxMicros: reader.u32(),
  };
  if (!authenticated) return decoded(control);
  const authentication = decodeAuthentication(bytes.subarray(CONTROL_LENGTH, length));
  return authentication === undefined ? faulty("badAuthenticationSection") : decoded({ ...control, authentication });
}

/** Throws on numbers that do not fit their fields. */
export function encodeControl(control: Control): Uint8Array {
  const section = control.authentication === undefined ? undefined : encodeAuthentication(control.authentication);
  const length = CONTROL_LENGTH + (section?.length ?? 0);
  const { diagnostic } = control;
  const writer = new Writer(length)
    .u8((VERSION << 5) | (typeof diagnostic === "number" ? diagnostic & 0x1f : DIAGNOSTICS.indexOf(diagnostic)))
    .u8(flagsOf(control))
    .u8(control.detectMult)
    .u8(length)
    .u32(control.myDiscriminator)
    .u32(control.yourDiscriminator)
    .u32(control.desiredMinTxMicros)
    .u32(control.requiredMinRxMicros)
    .u32(control.requiredMinEchoRxMicros);
  return section === undefined ? writer.finish() : writer.bytes(section).finish();
}

/** One line, for logs and captures. */
export function formatControl(control: Control): string {
  const flags = [
    control.poll ? "P" : "",
    control.final ? "F" : "",
    control.controlPlaneIndependent ? "C" : "",
    control.demand ? "D" : "",
    control.authentication === undefined ? "" : "A",
  ].join("");
  const ms = (micros: number): string => `${micros / 1000}`;
  const intervals = [control.desiredMinTxMicros, control.requiredMinRxMicros, control.requiredMinEchoRxMicros].map(ms);
  const [mine, yours] = [control.myDiscriminator, control.yourDiscriminator].map((one) => `0x${one.toString(16)}`);
  return (
    `BFD ${control.state}${flags === "" ? "" : ` [${flags}]`} diag ${control.diagnostic}, mult ${control.detectMult}, ` +
    `my ${mine} your ${yours}, tx ${intervals[0]} rx ${intervals[1]} echo ${intervals[2]} ms`
  );
}

function decodeAuthentication(bytes: Uint8Array): AuthenticationSection | undefined {
  const reader = new Reader(bytes);
  const code = reader.u8();
  const length = reader.u8();
  if (length !== bytes.length) return undefined;
  if (code === PASSWORD_CODE) {
    const keyId = reader.u8();
    const password = reader.rest();
    return reader.ranOut || password.length === 0 || password.length > PASSWORD_LENGTH_MAX
      ? undefined
      : { type: "password", keyId, password };
  }
  const type = digestType(code);
  if (type === undefined) return { type: "unknown", code, data: reader.rest() };
  if (length !== DIGEST_HEADER_LENGTH + DIGESTS[type].length) return undefined;
  const keyId = reader.u8();
  reader.u8();
  return { type, keyId, sequence: reader.u32(), digest: reader.rest() };
}

function encodeAuthentication(section: AuthenticationSection): Uint8Array {
  switch (section.type) {
    case "password": {
      const length = 3 + section.password.length;
      return new Writer(length).u8(PASSWORD_CODE).u8(length).u8(section.keyId).bytes(section.password).finish();
    }
    case "unknown": {
      const length = 2 + section.data.length;
      return new Writer(length).u8(section.code).u8(length).bytes(section.data).finish();
    }
    default: {
      const { code, length } = DIGESTS[section.type];
      const whole = DIGEST_HEADER_LENGTH + length;
      return new Writer(whole)
        .u8(code)
        .u8(whole)
        .u8(section.keyId)
        .u8(0)
        .u32(section.sequence)
        .bytes(section.digest, length)
        .finish();
    }
  }
}

function flagsOf(control: Control): number {
  return (
    (STATES.indexOf(control.state) << 6) |
    (control.poll ? FLAGS.poll : 0) |
    (control.final ? FLAGS.final : 0) |
    (control.controlPlaneIndependent ? FLAGS.independent : 0) |
    (control.authentication === undefined ? 0 : FLAGS.authentication) |
    (control.demand ? FLAGS.demand : 0)
  );
}

function digestType(code: number): DigestType | undefined {
  const found = Object.entries(DIGESTS).find(([, digest]) => digest.code === code)?.[0];
  return found as DigestType | undefined;
}
