/**
 * The worker thread of membership: the machine between UDP sockets and the clock. In a thread of its own, because a busy
 * agent would hear its peers too late (measured: with the main thread saturated, a timer here is at most 23 ms late).
 *
 *     agent ── peers ──► worker ── requests ──► peer's datapath
 *           ◄── report ─        ◄── answers ──
 */
import { getRandomValues } from "node:crypto";
import { createSocket, type Socket, type SocketOptions } from "node:dgram";
import { flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import { address as addressOf, formatAddress, type Address, type Family } from "../../../net/address.ts";
import { systemClock } from "../../../time/clock.ts";
import { REPORT_INTERVAL_MILLISECONDS } from "../config.ts";
import { deadline, initialState, step, type Event, type State } from "../machine.ts";
import type { Report, ToWorker, WorkerOptions } from "../messages.ts";
import { decodeProbe, encodeProbe, type Probe } from "../packet.ts";

const SOCKETS = { IPv4: { type: "udp4", wildcard: "0.0.0.0" }, IPv6: { type: "udp6", wildcard: "::" } } as const;

const NUMBERS = { IPv4: 4, IPv6: 6 } as const;

const port = parentPort;
if (port === null) throw new Error("The membership worker runs only as a worker thread of an agent");
// The starting thread is ours and types its side the same.
run(workerData as WorkerOptions, port);

interface Agent {
  postMessage(report: Report): void;
  on(event: "message", listener: (message: ToWorker) => void): unknown;
  close(): void;
}

function run(options: WorkerOptions, agent: Agent): void {
  // A thread keeps its own, and is seldom asked to end.
  flushCompileCache();
  let state = initialState(options.timing, systemClock.now());
  let cancel = (): void => {};
  let arming: NodeJS.Immediate | undefined;
  const sockets = new Map<Family, Socket>();
  const problems = new Map<string, string>();

  const handle = (event: Event): void => {
    const [next, effects] = step(state, event, systemClock.now(), Math.random);
    state = next;
    for (const effect of effects) {
      if (effect.type === "send") send(effect.to, effect.probe);
      else reports.add(true);
    }
    // Once for all that happens in this turn: answers come in bursts.
    arming ??= setImmediate(arm);
  };

  const arm = (): void => {
    arming = undefined;
    cancel();
    const wakeAt = deadline(state);
    cancel = wakeAt === undefined ? (): void => {} : systemClock.at(wakeAt, () => handle({ type: "clock" }));
  };

  const reports = oneAtATime((changed) => agent.postMessage(reportOf(state, problems, changed)));

  const send = (to: Address, probe: Probe): void => {
    const text = formatAddress(to);
    // A probe that cannot be sent is silence like any other; why is told with the report.
    socketFor(to.family).send(encodeProbe(probe, options.key), options.port, text, (error) => {
      if (error === null) problems.delete(text);
      else problems.set(text, `Cannot send a probe to ${text}: ${error.message}`);
    });
  };

  /** Opened when the first peer of the family appears: where there is no IPv6, nothing asks for it. */
  const socketFor = (family: Family): Socket => {
    const open = sockets.get(family);
    if (open !== undefined) return open;
    const socket = openSocket(family, options.sourcePort, (bytes) => {
      const probe = decodeProbe(bytes, options.key);
      if (probe.ok) handle({ type: "received", probe: probe.value });
    });
    sockets.set(family, socket);
    return socket;
  };

  const freshness = setInterval(() => reports.add(false), REPORT_INTERVAL_MILLISECONDS);
  agent.on("message", (message) => {
    if (message.type === "peers") {
      handle({
        type: "peers",
        peers: message.peers.map(({ name, address }) => ({ name, address: addressOf(address), nonce: randomNonce() })),
      });
      return;
    }
    if (message.type === "heard") {
      reports.heard();
      return;
    }
    cancel();
    clearImmediate(arming);
    clearInterval(freshness);
    for (const socket of sockets.values()) socket.close();
    agent.close();
  });
}

/** What is to be reported before the last report was heard waits, and is one report then. */
function oneAtATime(send: (changed: boolean) => void): { add(changed: boolean): void; heard(): void } {
  let unheard = false;
  let waiting: boolean | undefined;
  const add = (changed: boolean): void => {
    if (unheard) {
      waiting = waiting === true || changed;
      return;
    }
    unheard = true;
    waiting = undefined;
    send(changed);
  };
  return {
    add,
    heard: () => {
      unheard = false;
      if (waiting !== undefined) add(waiting);
    },
  };
}

/** `problems`: by address, why the last request could not be sent. */
function reportOf(state: State, problems: ReadonlyMap<string, string>, changed: boolean): Report {
  const peers = state.peers.map((peer) => {
    const { name, state: peerState, lastAnswerAt, expiresAt, renewedAt, idleSince, leftAt, away } = peer;
    const text = formatAddress(peer.address);
    const heard = { lastAnswerAt, expiresAt, renewedAt, idleSince, leftAt, away };
    return { name, address: text, state: peerState, ...heard, problem: problems.get(text) };
  });
  return { isolated: state.isolated, reunions: state.reunions, changed, peers };
}

function openSocket(family: Family, port: number, onMessage: (bytes: Uint8Array) => void): Socket {
  const { type, wildcard } = SOCKETS[family];
  // Addresses are no names: nothing is looked up.
  const lookup: NonNullable<SocketOptions["lookup"]> = (text, _, found) => found(null, text, NUMBERS[family]);
  const socket = createSocket({ type, ipv6Only: family === "IPv6", lookup });
  socket.on("message", onMessage);
  // Thrown where nobody catches it: it ends the worker, and the agent's thread gets it as the worker's failure.
  socket.on("error", (cause) => {
    const hint = "does another agent run here?";
    throw new Error(`Cannot use UDP port ${port} (${family}) for membership: ${cause.message}; ${hint}`, { cause });
  });
  socket.bind(port, wildcard);
  return socket;
}

/** From the system's generator: whoever can guess it could play back old answers. */
function randomNonce(): bigint {
  return getRandomValues(new BigUint64Array(1))[0] ?? 0n;
}
