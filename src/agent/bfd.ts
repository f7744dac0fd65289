/**
 * BFD beside BGP: each session with a profile is watched, and its end told to the speaker. Over a planned restart the peers wait, and
 * the next process goes on with the same numbers.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import type { DesiredBfd, DesiredSession } from "../announce/bgp/desired.ts";
import { formatAddress, parseAddress, sameAddress, type Address } from "../net/address.ts";
import { prefixContains, prefixOf } from "../net/prefix.ts";
import { DEFAULT_PROFILE, type BfdProfile, type BfdSessionConfig } from "../protocol/bfd/config.ts";
import { startBfd, type Bfd } from "../protocol/bfd/driver.ts";
import type { SessionConfig } from "../protocol/bgp/config.ts";
import { formatPeer } from "../protocol/bgp/view.ts";
import type { SessionView, Speaker } from "../protocol/bgp/speaker.ts";
import type { StopMode } from "../protocol/swim/driver.ts";
import type { NodeLink } from "./devices.ts";

/** As long as an agent may be away without its peers finding it down. */
const HOLD_MILLISECONDS = 120_000;
/** FRR's. */
const ECHO_INTERVAL_MILLISECONDS = 50;

/** One that has not begun may be watched already. */
export interface Watched extends DesiredSession {
  /** The address from which another program had its session. */
  readonly formerLocal?: Address;
}

export interface PeerWatch {
  /** Which sessions are watched from now on. */
  apply(sessions: readonly Watched[], links: readonly NodeLink[]): void;
  readonly bfd: Bfd | undefined;
  stop(mode: StopMode): Promise<void>;
}

/** The worker starts with the first session that needs it. */
export function watchPeers(
  speaker: Pick<Speaker, "view" | "bfd">,
  file: string,
  start: typeof startBfd = startBfd,
): PeerWatch {
  let bfd: Bfd | undefined;
  let wanted: readonly BfdSessionConfig[] = [];
  let told = "[]";
  let begun = "";
  const relay = (): void => {
    for (const { name, state, remoteState } of bfd?.view().sessions ?? [])
      speaker.bfd(name, state === "up" ? "up" : remoteState === "adminDown" ? "adminDown" : "down");
  };
  return {
    apply: (sessions, links) => {
      const views = speaker.view();
      const names = views.map(({ name }) => name).join();
      // What has begun only now has not heard how its BFD is.
      if (names !== begun) relay();
      begun = names;
      wanted = bfdSessions(sessions, views, links, wanted);
      const text = JSON.stringify(wanted, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
      if (text === told) return;
      told = text;
      if (bfd === undefined) {
        bfd = start({ parked: takeParked(file) });
        bfd.onChange(relay);
      }
      bfd.setSessions(wanted);
    },
    get bfd() {
      return bfd;
    },
    stop: async (mode) => {
      const parked = await bfd?.stop(
        mode === "leave"
          ? { type: "leave" }
          : mode === "restart"
            ? { type: "restart", holdMilliseconds: HOLD_MILLISECONDS }
            : { type: "silent" },
      );
      if (parked !== undefined && parked.length > 0) writeFileSync(file, JSON.stringify(parked));
    },
  };
}

/** One for each session whose peer has a known address. `before`: what this said last time. */
export function bfdSessions(
  sessions: readonly Watched[],
  views: readonly SessionView[],
  links: readonly NodeLink[],
  before: readonly BfdSessionConfig[] = [],
): readonly BfdSessionConfig[] {
  const known = new Map(before.map((each) => [each.name, each]));
  return sessions.flatMap(({ config, bfd, formerLocal }) => {
    if (bfd === undefined) return [];
    // Peers that called from a prefix have sessions of their own.
    const seen = views.filter(({ name }) => name === config.name || name.startsWith(`${config.name}/`));
    const own: readonly Seen[] = seen.length > 0 ? seen : [notBegun(config, formerLocal)];
    return own.flatMap((view) => {
      const far = locate(view.peerAddress ?? view.peer);
      if (far === undefined) return [];
      // In its VRF the peer has another way than outside of it.
      const device = far.device ?? config.bindDevice;
      const multihop = bfd.multihop === "unlessOnLink" ? !isOnLink(far.address, links) : bfd.multihop;
      const found = multihop
        ? (locate(view.localAddress)?.address ?? lastLocal(known.get(view.name), far, links))
        : undefined;
      const local = config.sourceAddress ?? found;
      // Without its own address the packets of a multihop session could leave with another than BGP's.
      if (multihop && local === undefined) return [];
      return {
        name: view.name,
        peer: far.address,
        ...(local === undefined ? {} : { local }),
        ...(device === undefined ? {} : { device }),
        multihop,
        profile: profileOf(bfd.settings),
      };
    });
  });
}

type Seen = Pick<SessionView, "name" | "peer" | "peerAddress" | "localAddress">;

function notBegun({ name, peer }: SessionConfig, local: Address | undefined): Seen {
  return { name, peer: formatPeer(peer), ...(local === undefined ? {} : { localAddress: formatAddress(local) }) };
}

/** Where BGP ran from when it last ran: it is BFD that says whether the path is there again, so it outlives the connection. */
function lastLocal(
  before: BfdSessionConfig | undefined,
  { address: peer }: { readonly address: Address },
  links: readonly NodeLink[],
): Address | undefined {
  const local = before?.local;
  if (local === undefined || !sameAddress(before?.peer ?? local, peer)) return undefined;
  const own = links.flatMap(({ addresses }) => addresses.map((text) => parseAddress(text.split("/", 1)[0] ?? "")));
  return own.some((each) => each !== undefined && sameAddress(each, local)) ? local : undefined;
}

/** `address` or `address%device`; nothing where the text is a device or a prefix. */
function locate(text: string | undefined): { readonly address: Address; readonly device?: string } | undefined {
  const [first = "", device] = (text ?? "").split("%");
  const address = parseAddress(first);
  return address === undefined ? undefined : { address, ...(device === undefined ? {} : { device }) };
}

function isOnLink(peer: Address, links: readonly NodeLink[]): boolean {
  const networks = links.flatMap(({ addresses }) => addresses.map((text) => text.split("/")));
  return networks.some(([text = "", length = ""]) => {
    const own = parseAddress(text);
    if (own === undefined || own.family !== peer.family || sameAddress(own, peer)) return false;
    return prefixContains(prefixOf(own, Number(length)), peer);
  });
}

function profileOf(settings: DesiredBfd["settings"]): BfdProfile {
  const { transmitIntervalMilliseconds, receiveIntervalMilliseconds, detectMultiplier, minimumTtl } = settings;
  const { echoMode, echoIntervalMilliseconds = ECHO_INTERVAL_MILLISECONDS, passiveMode } = settings;
  const offered = echoMode || settings.echoIntervalMilliseconds !== undefined;
  return {
    transmitIntervalMilliseconds: transmitIntervalMilliseconds ?? DEFAULT_PROFILE.transmitIntervalMilliseconds,
    receiveIntervalMilliseconds: receiveIntervalMilliseconds ?? DEFAULT_PROFILE.receiveIntervalMilliseconds,
    detectMultiplier: detectMultiplier ?? DEFAULT_PROFILE.detectMultiplier,
    minimumTtl: minimumTtl ?? DEFAULT_PROFILE.minimumTtl,
    passive: passiveMode,
    ...(offered ? { echoReceiveIntervalMilliseconds: echoIntervalMilliseconds } : {}),
    ...(echoMode ? { echoTransmitIntervalMilliseconds: echoIntervalMilliseconds } : {}),
  };
}

/** What the process before left; used once. The driver checks it. */
function takeParked(file: string): unknown {
  try {
    const parked: unknown = JSON.parse(readFileSync(file, "utf8"));
    rmSync(file);
    return parked;
  } catch {
    return undefined;
  }
}
