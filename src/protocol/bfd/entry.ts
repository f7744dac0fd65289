/** A session of this node with all that is kept beside its machine, and what is told of it. */
import { formatAddress } from "../../net/address.ts";
import type { Instant } from "../../time/instant.ts";
import type { ReceivedSequence } from "./authentication.ts";
import { SESSIONS_MAX, type BfdSessionConfig } from "./config.ts";
import { echoDetectionMicros, type Echo } from "./echo.ts";
import { detectionMicros, type Session } from "./session.ts";
import type { BfdDetails, BfdSessionView, EchoDetails } from "./view.ts";

export interface Entry {
  readonly config: BfdSessionConfig;
  /** Of `sessionKey`. */
  readonly key: string;
  /** Of the socket it sends from; before there is one, what the predecessor of this process used, or 0. */
  sourcePort: number;
  session: Session;
  /** Of the next packet, with a key (bfd.XmitAuthSeq). */
  sequence: number;
  receivedSequence: ReceivedSequence;
  lastReceivedAt: Instant | undefined;
  since: Instant;
  flaps: number;
  sent: number;
  received: number;
  discarded: Map<string, number>;
  longestGapMilliseconds: number;
  /** Why nothing can be sent, why nothing can be heard. */
  sendProblem: string | undefined;
  listenProblem: string | undefined;
  echo: EchoEntry;
  /** Received in the second that began then. */
  second: { readonly began: Instant; readonly packets: number };
}

/** The echo function beside the session. */
export interface EchoEntry {
  readonly cookie: bigint;
  running: Echo | undefined;
  sent: number;
  returned: number;
  /** Of the last packet sent, and how long the last one took that was the newest. */
  sentAt: Instant | undefined;
  roundTripMilliseconds: number | undefined;
  /** Why none can be sent. */
  problem: string | undefined;
}

/** What a change of state is told with: nothing that changes with every packet. */
export function viewOf(details: BfdDetails): BfdSessionView {
  const { name, peer, state, remoteState, diagnostic, remoteDiagnostic, since, flaps, problem } = details;
  return { name, peer, state, remoteState, diagnostic, remoteDiagnostic, since, flaps, problem };
}

export function refusedView(config: BfdSessionConfig, now: Instant): BfdSessionView {
  return {
    name: config.name,
    peer: peerText(config),
    state: "adminDown",
    remoteState: "down",
    diagnostic: "none",
    remoteDiagnostic: "none",
    since: now,
    flaps: 0,
    problem: `more than the ${SESSIONS_MAX} sessions of a node`,
  };
}

export function detailsOf(entry: Entry): BfdDetails {
  const { config, session } = entry;
  const { remote, settings } = session;
  return {
    name: config.name,
    peer: peerText(config),
    state: session.state,
    remoteState: remote.state,
    diagnostic: session.diagnostic,
    remoteDiagnostic: remote.diagnostic,
    since: entry.since,
    flaps: entry.flaps,
    problem: entry.listenProblem ?? entry.sendProblem ?? entry.echo.problem,
    multihop: config.multihop,
    myDiscriminator: settings.myDiscriminator,
    yourDiscriminator: remote.discriminator,
    transmitIntervalMilliseconds: Math.max(session.txMicros, remote.requiredMinRxMicros) / 1000,
    detectionMilliseconds: detectionMicros(session) / 1000,
    remote,
    sent: entry.sent,
    received: entry.received,
    discarded: Object.fromEntries(entry.discarded),
    longestGapMilliseconds: entry.longestGapMilliseconds,
    echo: echoDetailsOf(entry),
  };
}

function echoDetailsOf({ echo, session }: Entry): EchoDetails {
  const { running, sent, returned, roundTripMilliseconds } = echo;
  return {
    intervalMilliseconds: (running?.intervalMicros ?? 0) / 1000,
    detectionMilliseconds: running === undefined ? 0 : echoDetectionMicros(running.intervalMicros, session) / 1000,
    sent,
    returned,
    ...(roundTripMilliseconds === undefined ? {} : { roundTripMilliseconds }),
  };
}

export function peerText({ peer, device }: Pick<BfdSessionConfig, "peer" | "device">): string {
  const text = formatAddress(peer);
  return text.startsWith("fe80:") && device !== undefined ? `${text}%${device}` : text;
}
