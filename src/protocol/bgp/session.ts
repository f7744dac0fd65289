/** What a session with one peer consists of, what may happen to it, and what it asks for. How it moves is machine.ts. */
import type { Address } from "../../net/address.ts";
import { earliest, type Instant } from "../../time/instant.ts";
import type { Random } from "../../time/jitter.ts";
import type { SessionConfig } from "./config.ts";
import { connectionDeadline, type Connection } from "./connection.ts";
import type { BgpError } from "./error.ts";
import type { AfiSafi } from "./family.ts";
import type { Change } from "./history.ts";
import type { Negotiated, Offer } from "./negotiate.ts";
import type { Notification } from "./notification.ts";
import type { Open } from "./open.ts";
import type { RouteRefresh } from "./route-refresh.ts";

/** RFC 4271 §8.2.2. */
export type SessionState = "idle" | "connect" | "active" | "openSent" | "openConfirm" | "established";

export interface Session {
  readonly config: SessionConfig;
  /** This node's, where the configuration has none of its own. */
  readonly identity: Identity;
  readonly running: boolean;
  /** Whom to call. */
  readonly target: Target | undefined;
  readonly connections: readonly Connection[];
  /** ConnectRetryTimer. */
  readonly dialAt: Instant | undefined;
  /** Incoming connections before this moment come too soon after another. */
  readonly acceptAfter: Instant | undefined;
  /** Since the session was last up for longer than its hold time. */
  readonly failures: number;
  readonly offer: Offer;
  /** Until then an OPEN says that we have restarted. */
  readonly restartingUntil: Instant | undefined;
  /** What the peer was told last is still forwarded: of an earlier run, if the datapath outlived it, and of every session of this run. */
  readonly forwarding: boolean;
  readonly bfd: "unknown" | "up" | "down" | "adminDown";
  readonly dials: number;
  readonly since: Instant;
  readonly lastReason: string | undefined;
  readonly history: readonly Change[];
}

export interface Identity {
  readonly bgpIdentifier: number;
  readonly hostname: string;
}

export interface Target {
  readonly address: Address;
  readonly device?: string;
}

export type Event =
  /** ManualStart. */
  | { readonly type: "start" }
  /** ManualStop; without a notification the connections end silently, as before a restart. */
  | { readonly type: "stop"; readonly notification?: Notification; readonly reason: string }
  /** An administrator wants the session anew. */
  | { readonly type: "reset"; readonly notification: Notification; readonly reason: string }
  | { readonly type: "configure"; readonly config: SessionConfig }
  /** Of an unnumbered peer: heard of, or not any more. */
  | { readonly type: "target"; readonly target: Target | undefined }
  /** TcpConnectionConfirmed: what we called answered. */
  | { readonly type: "connected"; readonly connection: string }
  /** TcpConnectionConfirmed, incoming. */
  | { readonly type: "accepted"; readonly connection: string }
  /** TcpConnectionFails, at any time. */
  | { readonly type: "closed"; readonly connection: string; readonly reason: string }
  | { readonly type: "received"; readonly connection: string; readonly message: Received }
  /** BGPHeaderErr, BGPOpenMsgErr, UpdateMsgErr; a limit that the peer went over. */
  | { readonly type: "faulty"; readonly connection: string; readonly error: BgpError }
  /** The peer takes nothing more; it took something. */
  | { readonly type: "blocked"; readonly connection: string }
  | { readonly type: "taken"; readonly connection: string; readonly drained: boolean }
  | { readonly type: "bfd"; readonly state: "up" | "down" | "adminDown" }
  /** ConnectRetryTimer_Expires, HoldTimer_Expires, KeepaliveTimer_Expires, SendHoldTimer_Expires. */
  | { readonly type: "clock" };

/** What an UPDATE says is not the machine's business, only that it came. */
export type Received =
  | Open
  | Notification
  | RouteRefresh
  | { readonly type: "keepalive" }
  | { readonly type: "update" };

export type Effect =
  | { readonly type: "dial"; readonly connection: string; readonly target: Target }
  | { readonly type: "send"; readonly connection: string; readonly message: Open | { readonly type: "keepalive" } }
  /** `abort`: whatever waits to be sent is lost. Otherwise it is sent first, then the notification, then FIN. */
  | {
      readonly type: "close";
      readonly connection: string;
      readonly notification?: Notification;
      readonly abort?: boolean;
    }
  /** Routes may be sent. */
  | { readonly type: "up"; readonly connection: string; readonly negotiated: Negotiated }
  | { readonly type: "down"; readonly connection: string }
  /** The peer wants all routes of a family again. */
  | { readonly type: "resend"; readonly family: AfiSafi }
  /** Something went wrong, by name. */
  | { readonly type: "count"; readonly fault: string }
  /** The state, its reason or the history is another than before. */
  | { readonly type: "changed" };

/** What all parts of one step share. */
export interface Turn {
  readonly now: Instant;
  readonly random: Random;
  readonly effects: Effect[];
}

/** What an earlier run has left. */
export interface Inheritance {
  /** Until then, it may be what the peer keeps routes for. */
  readonly restartingUntil?: Instant;
  /** Its datapath is still there. Default: true. */
  readonly forwarding?: boolean;
}

export function initialSession(
  config: SessionConfig,
  identity: Identity,
  now: Instant,
  { restartingUntil, forwarding = true }: Inheritance = {},
): Session {
  return {
    config,
    identity,
    running: false,
    target: staticTarget(config),
    connections: [],
    dialAt: undefined,
    acceptAfter: undefined,
    failures: 0,
    offer: "full",
    restartingUntil,
    forwarding,
    bfd: "unknown",
    dials: 0,
    since: now,
    lastReason: undefined,
    history: [],
  };
}

/** Of the connection that has come furthest. */
export function stateOf({ running, connections }: Session): SessionState {
  for (const state of ["established", "openConfirm", "openSent"] as const)
    if (connections.some((connection) => connection.state === state)) return state;
  if (connections.length > 0) return "connect";
  return running ? "active" : "idle";
}

/** The one moment at which the driver must send a `clock` event; undefined: never. */
export function deadline(session: Session): Instant | undefined {
  return earliest([mayDial(session) ? session.dialAt : undefined, ...session.connections.map(connectionDeadline)]);
}

export function mayDial({ running, config, target, connections }: Session): boolean {
  if (!running || config.initiation === "accept" || target === undefined) return false;
  return !connections.some(
    ({ direction, state }) => direction === "outgoing" || state === "openConfirm" || state === "established",
  );
}

export function staticTarget({ peer }: SessionConfig): Target | undefined {
  if (peer.type !== "address") return undefined;
  return { address: peer.address, ...(peer.device === undefined ? {} : { device: peer.device }) };
}

export function replaced(session: Session, connection: Connection): Session {
  return { ...session, connections: session.connections.map((one) => (one.id === connection.id ? connection : one)) };
}

export function without(session: Session, { id }: Connection): Session {
  return { ...session, connections: session.connections.filter((one) => one.id !== id) };
}
