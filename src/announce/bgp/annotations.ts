/**
 * What Fairlead can do and MetalLB's objects cannot say: annotations `fairlead.io/…` of BGPPeers and BGPAdvertisements.
 * docs/configuration.md lists them. A value that cannot be read is reported and has no effect; so is a name nobody knows.
 */
import { parsePrefix, type Prefix } from "../../net/prefix.ts";
import type { BfdKey } from "../../protocol/bfd/authentication.ts";
import type { Role } from "../../protocol/bgp/capability.ts";
import { parseDuration } from "../../time/duration.ts";
import { quote, type Finding } from "./findings.ts";

export interface PeerAnnotations {
  /** Wait for the peer to connect, never call it. */
  readonly passive: boolean;
  /** Instead of an address: whoever connects from this prefix. */
  readonly peerPrefix?: Prefix;
  /** Of peers from the prefix. */
  readonly sessionsMax?: number;
  /** GTSM (RFC 5082): the peer is at most so many hops away. */
  readonly ttlSecurityHops?: number;
  /** RFC 9234. */
  readonly role?: Role;
  readonly roleRequired: boolean;
  /** One more from the peer ends the session. */
  readonly receivedPrefixesMax?: number;
  /** The session comes up only when BFD is up. */
  readonly bfdStrict: boolean;
  /** How long the peer keeps our routes while we restart. */
  readonly restartTimeSeconds?: number;
  /** RFC 9494: for so long again, as routes of last resort. */
  readonly longLivedSeconds?: number;
}

export interface AdvertisementAnnotations {
  /** MULTI_EXIT_DISC. */
  readonly med?: number;
  /** Our own AS number once more, so many times: goes before the field, which MetalLB has since 0.16.2. */
  readonly asPathPrepend?: number;
  /** What a ready endpoint on a node is worth, in bytes a second: a route's link bandwidth is their sum (weighted ECMP). */
  readonly endpointBandwidth?: number;
  /** Not addresses of pools are announced but each node's pod CIDRs. */
  readonly podCidrs: boolean;
}

export interface ProfileAnnotations {
  /** How BFD packets are authenticated (RFC 5880 §6.7). */
  readonly authentication?: BfdKey["type"];
  readonly keyId?: number;
  /** Name of the Secret with the key. */
  readonly secret?: string;
}

export interface Read<T> {
  readonly value: T;
  readonly findings: readonly Finding[];
}

type Annotations = Readonly<Record<string, string>>;

const PREFIX = "fairlead.io/";
export const BFD_SECRET_ANNOTATION = `${PREFIX}authentication-secret`;
const ROLES: Readonly<Record<string, Role>> = {
  provider: "provider",
  "rs-server": "routeServer",
  "rs-client": "routeServerClient",
  customer: "customer",
  peer: "peer",
};
const AUTHENTICATIONS: Readonly<Record<string, BfdKey["type"]>> = {
  password: "password",
  "keyed-md5": "keyedMd5",
  "meticulous-keyed-md5": "meticulousKeyedMd5",
  "keyed-sha1": "keyedSha1",
  "meticulous-keyed-sha1": "meticulousKeyedSha1",
};
/** What is not here is a slip of the pen. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  BGPPeer: [
    "passive",
    "peer-prefix",
    "sessions-max",
    "ttl-security-hops",
    "role",
    "role-required",
    "received-prefixes-max",
    "bfd-strict",
    "restart-time",
    "long-lived-restart-time",
  ],
  BFDProfile: ["authentication", "authentication-key-id", "authentication-secret"],
  BGPAdvertisement: ["med", "as-path-prepend", "endpoint-bandwidth", "advertise"],
};

export function peerAnnotations(annotations: Annotations): Read<PeerAnnotations> {
  const reader = new Reader(annotations);
  const peerPrefix = reader.read("peer-prefix", "a CIDR such as 10.0.0.0/24", parsePrefix);
  const value = {
    passive: reader.flag("passive"),
    ...present({
      peerPrefix,
      sessionsMax: reader.number("sessions-max", 1, 10_000),
      ttlSecurityHops: reader.number("ttl-security-hops", 1, 254),
      role: reader.read("role", `one of ${Object.keys(ROLES).join(", ")}`, (text) => own(ROLES, text)),
      receivedPrefixesMax: reader.number("received-prefixes-max", 0, 4_294_967_295),
      restartTimeSeconds: reader.seconds("restart-time", 4095),
      longLivedSeconds: reader.seconds("long-lived-restart-time", 16_777_215),
    }),
    roleRequired: reader.flag("role-required"),
    bfdStrict: reader.flag("bfd-strict"),
  };
  return { value, findings: [...reader.findings, ...unknownAnnotations(annotations, "BGPPeer")] };
}

export function profileAnnotations(annotations: Annotations): Read<ProfileAnnotations> {
  const reader = new Reader(annotations);
  const kinds = `one of ${Object.keys(AUTHENTICATIONS).join(", ")}`;
  const value = present({
    authentication: reader.read("authentication", kinds, (text) => own(AUTHENTICATIONS, text)),
    keyId: reader.number("authentication-key-id", 0, 255),
    secret: reader.read("authentication-secret", "the name of a Secret", (text) => (text === "" ? undefined : text)),
  });
  return { value, findings: [...reader.findings, ...unknownAnnotations(annotations, "BFDProfile")] };
}

export function advertisementAnnotations(annotations: Annotations): Read<AdvertisementAnnotations> {
  const reader = new Reader(annotations);
  const value = {
    ...present({
      med: reader.number("med", 0, 4_294_967_295),
      endpointBandwidth: reader.number("endpoint-bandwidth", 1, 4_294_967_295),
      asPathPrepend: reader.number("as-path-prepend", 0, 16),
    }),
    podCidrs: reader.read("advertise", '"pod-cidrs"', (text) => own({ "pod-cidrs": true }, text)) ?? false,
  };
  return { value, findings: [...reader.findings, ...unknownAnnotations(annotations, "BGPAdvertisement")] };
}

/** Those under our prefix that mean nothing on this kind. */
function unknownAnnotations(annotations: Annotations, kind: string): readonly Finding[] {
  const known = KNOWN[kind] ?? [];
  return Object.keys(annotations)
    .filter((key) => key.startsWith(PREFIX) && !known.includes(key.slice(PREFIX.length)))
    .map((key) => {
      const names = known.length === 0 ? "it has none" : `there are ${known.join(", ")}`;
      return { path: pathOf(key), message: `is no annotation of a ${kind}: ${names}`, harmless: true };
    });
}

class Reader {
  readonly findings: Finding[] = [];
  readonly #annotations: Annotations;

  constructor(annotations: Annotations) {
    this.#annotations = annotations;
  }

  read<T>(name: string, wanted: string, parse: (text: string) => T | undefined): T | undefined {
    const text = own(this.#annotations, PREFIX + name);
    if (text === undefined) return undefined;
    const value = parse(text);
    if (value === undefined)
      this.findings.push({
        path: pathOf(PREFIX + name),
        message: `${quote(text)} is not ${wanted}; it has no effect`,
        harmless: true,
      });
    return value;
  }

  flag(name: string): boolean {
    return this.read(name, '"true" or "false"', (text) => own({ true: true, false: false }, text)) ?? false;
  }

  number(name: string, least: number, most: number): number | undefined {
    return this.read(name, `a whole number from ${least} to ${most}`, (text) =>
      /^\d{1,10}$/.test(text) && Number(text) >= least && Number(text) <= most ? Number(text) : undefined,
    );
  }

  seconds(name: string, most: number): number | undefined {
    return this.read(name, `a duration of whole seconds up to ${most}s`, (text) => {
      const seconds = (parseDuration(text) ?? -1) / 1000;
      return Number.isInteger(seconds) && seconds >= 0 && seconds <= most ? seconds : undefined;
    });
  }
}

function pathOf(key: string): string {
  return `metadata.annotations[${quote(key)}]`;
}

/** Annotations come from users: one called "constructor" must not be found on an object that has none. */
function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}
