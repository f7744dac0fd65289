/**
 * What a NOTIFICATION says: codes and subcodes of RFC 4271 §4.5 and of the RFCs that added some, by name. A fault of the
 * codec is such an error already: whoever finds it needs only to send it.
 */

/** Code and subcodes by name, as far as one of ours or a peer may send them. */
export const ERRORS = {
  header: { code: 1, subcodes: { connectionNotSynchronized: 1, badMessageLength: 2, badMessageType: 3 } },
  open: {
    code: 2,
    subcodes: {
      unspecific: 0,
      unsupportedVersion: 1,
      badPeerAs: 2,
      badBgpIdentifier: 3,
      unsupportedOptionalParameter: 4,
      authenticationFailure: 5,
      unacceptableHoldTime: 6,
      unsupportedCapability: 7,
      roleMismatch: 11,
    },
  },
  update: {
    code: 3,
    subcodes: {
      malformedAttributeList: 1,
      unrecognizedWellKnownAttribute: 2,
      missingWellKnownAttribute: 3,
      attributeFlagsError: 4,
      attributeLengthError: 5,
      invalidOriginAttribute: 6,
      asRoutingLoop: 7,
      invalidNextHopAttribute: 8,
      optionalAttributeError: 9,
      invalidNetworkField: 10,
      malformedAsPath: 11,
    },
  },
  holdTimer: { code: 4, subcodes: { unspecific: 0 } },
  /** RFC 6608. */
  stateMachine: {
    code: 5,
    subcodes: { unspecific: 0, unexpectedInOpenSent: 1, unexpectedInOpenConfirm: 2, unexpectedInEstablished: 3 },
  },
  /** RFC 4486, RFC 8538 (hard reset), RFC 9384 (BFD). */
  cease: {
    code: 6,
    subcodes: {
      unspecific: 0,
      maximumPrefixes: 1,
      administrativeShutdown: 2,
      peerDeconfigured: 3,
      administrativeReset: 4,
      connectionRejected: 5,
      otherConfigurationChange: 6,
      connectionCollision: 7,
      outOfResources: 8,
      hardReset: 9,
      bfdDown: 10,
    },
  },
  /** RFC 7313. */
  routeRefresh: { code: 7, subcodes: { invalidMessageLength: 1 } },
  /** RFC 9687. */
  sendHoldTimer: { code: 8, subcodes: { unspecific: 0 } },
} as const;

export type ErrorName = keyof typeof ERRORS;
export type SubcodeName<Name extends ErrorName> = keyof (typeof ERRORS)[Name]["subcodes"] & string;

/** Why a session ends: the content of the NOTIFICATION, and the reason in words for our own log and status. */
export interface BgpError {
  readonly code: number;
  readonly subcode: number;
  readonly data: Uint8Array;
  /** What was found, for people: "length 18 is below the 19 of a header". */
  readonly reason: string;
}

const NO_DATA: Uint8Array = new Uint8Array(0);

export function bgpError<Name extends ErrorName>(
  name: Name,
  subcode: SubcodeName<Name>,
  reason: string,
  data: Uint8Array = NO_DATA,
): BgpError {
  const { code, subcodes } = ERRORS[name];
  return { code, subcode: (subcodes as Readonly<Record<string, number>>)[subcode] ?? 0, data, reason };
}

/** Codes in words: "cease: administrative shutdown (6/2)". Unknown ones keep their number: "error 9/1". */
export function formatErrorCode(code: number, subcode: number): string {
  for (const [name, error] of Object.entries(ERRORS)) {
    if (error.code !== code) continue;
    const found = Object.entries(error.subcodes).find(([, number]) => number === subcode);
    const detail = found === undefined ? `subcode ${subcode}` : words(found[0]);
    return detail === "unspecific"
      ? `${words(name)} (${code}/${subcode})`
      : `${words(name)}: ${detail} (${code}/${subcode})`;
  }
  return `error ${code}/${subcode}`;
}

function words(name: string): string {
  return name
    .replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .replace(/\b(bgp|as|bfd)\b/g, (short) => short.toUpperCase());
}
