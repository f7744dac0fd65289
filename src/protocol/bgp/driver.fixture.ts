/** Speakers on loopback, each with an address of its own, and peers made of nothing but a socket. */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { address } from "../../net/address.ts";
import { parsePrefix } from "../../net/prefix.ts";
import { CONFIG, peerOpen } from "./session.fixture.ts";
import type { SessionConfig } from "./config.ts";
import { INITIAL_CONTEXT } from "./context.ts";
import { startSpeaker, type SpeakerOptions } from "./driver.ts";
import { Framer } from "./framer.ts";
import { encodeMessage, type Message } from "./message.ts";
import { formatNotification } from "./notification.ts";
import type { Route } from "./route.ts";
import type { SessionView, Speaker } from "./speaker.ts";

export function route(prefix: string, more: Partial<Route> = {}): Route {
  const parsed = parsePrefix(prefix);
  if (parsed === undefined) throw new SyntaxError(`${prefix} is no prefix`);
  return { prefix: parsed, ...more };
}

/** Every run its own, below what the kernel gives away; every speaker of a file its own address. */
export const PORT: number = 10_000 + (process.pid % 20_000);

export function speakerAt(
  host: string,
  asn: number,
  options: Partial<SpeakerOptions> = {},
): { speaker: Speaker; host: string; asn: number } {
  const identity = { bgpIdentifier: Number(address(host).value), hostname: `node-${host}` };
  const speaker = startSpeaker({
    identity,
    listenPort: PORT,
    listenAddresses: { IPv4: host },
    drainMilliseconds: 50,
    ...options,
  });
  return { speaker, host, asn };
}

export function sessionTo(
  from: { readonly host: string; readonly asn: number },
  to: { readonly host: string; readonly asn: number },
  change: Partial<SessionConfig> = {},
): SessionConfig {
  return {
    ...CONFIG,
    name: `to-${to.host}`,
    localAsn: from.asn,
    peerAsn: to.asn,
    peer: { type: "address", address: address(to.host) },
    port: PORT,
    sourceAddress: address(from.host),
    connectTimeSeconds: 1,
    ...change,
  };
}

export async function until<Value>(what: string, look: () => Value | undefined | false): Promise<Value> {
  for (let round = 0; round < 1500; round += 1) {
    const found = look();
    if (found !== undefined && found !== false) return found;
    // One look after the other is the purpose.
    // oxlint-disable-next-line no-await-in-loop
    await sleep(10);
  }
  throw new Error(`Waited in vain until ${what}`);
}

export function established(speaker: Speaker, name?: string): Promise<SessionView> {
  return until("a session is established", () =>
    speaker.view().find((view) => view.state === "established" && (name === undefined || view.name === name)),
  );
}

/** A peer that does what the test wants, right or wrong. */
export interface RawPeer {
  readonly socket: Socket;
  /** What came, as text: `OPEN`, `UPDATE`, `NOTIFICATION header: bad message length (1/2) 0012`. */
  readonly heard: string[];
  send(...messages: readonly (Message | Uint8Array)[]): void;
  /** OPEN and KEEPALIVE, as {@link CONFIG} expects them. */
  shakeHands(): Promise<void>;
  over: Promise<void>;
}

export async function callRaw(to: string, from: string): Promise<RawPeer> {
  const socket = connect({ host: to, port: PORT, localAddress: from });
  await once(socket, "connect");
  return rawPeer(socket);
}

export function rawPeer(socket: Socket): RawPeer {
  const heard: string[] = [];
  const framer = new Framer();
  framer.context = { ...INITIAL_CONTEXT, fourOctetAs: true };
  socket.on("data", (chunk: Buffer) => {
    for (const framed of framer.push(chunk))
      heard.push(framed.ok ? textOf(framed.value) : `broken: ${framed.error.reason}`);
  });
  socket.on("error", () => {});
  const over = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const send = (...messages: readonly (Message | Uint8Array)[]): void => {
    for (const message of messages)
      socket.write(
        message instanceof Uint8Array ? message : encodeMessage(message, { ...INITIAL_CONTEXT, fourOctetAs: true }),
      );
  };
  return {
    socket,
    heard,
    send,
    over,
    shakeHands: async () => {
      send(peerOpen(), { type: "keepalive" });
      await until("our KEEPALIVE came", () => heard.includes("KEEPALIVE"));
    },
  };
}

function textOf(message: Message): string {
  if (message.type !== "notification") return message.type.toUpperCase();
  const { code, subcode, data } = message;
  return `NOTIFICATION ${code}/${subcode} ${Buffer.from(data).toString("hex")} ${formatNotification(message)}`.trim();
}
