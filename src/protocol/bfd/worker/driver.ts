/**
 * The BFD worker: all sessions between UDP sockets and the clock, in a thread of its own. A peer that asks for 50 ms × 3 would
 * find a node down whose agent computes for 150 ms.
 *
 *     agent ── sessions ──► worker ── control packets, each session from its own port ──► peer:3784, :4784
 *           ◄── changes ──        ◄── one socket for a family and port, filtered by TTL ──
 */
import { createHash, getRandomValues } from "node:crypto";
import { readFileSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { runThreadBeforeOthers } from "../../../kernel/thread-priority.ts";
import { systemClock } from "../../../time/clock.ts";
import { earliest, later, type Instant } from "../../../time/instant.ts";
import type { BfdSessionConfig } from "../config.ts";
import type { Entry } from "../entry.ts";
import type { FromWorker, StopMode, ToWorker, WorkerOptions } from "../messages.ts";
import { nextDeadline, Sessions } from "../sessions.ts";
import type { ParkedSession } from "../view.ts";
import { Echoes } from "./echoes/driver.ts";
import { Sockets } from "./sockets/driver.ts";

interface Agent {
  postMessage(message: FromWorker): void;
  on(event: "message", listener: (message: ToWorker) => void): unknown;
  close(): void;
}

/** How long a stop waits for the peers to confirm, and how often it looks. */
const PARK_MILLISECONDS_MAX = 1500;
const PARK_LOOK_MILLISECONDS = 10;
/** After a port could not be had: whoever has it may have ended. */
const LISTEN_AGAIN_MILLISECONDS = 5000;

function run(options: WorkerOptions, agent: Agent): void {
  agent.postMessage({ type: "started", priority: runThreadBeforeOthers() });
  const worker = new BfdWorker(options, (message) => agent.postMessage(message));
  agent.on("message", (message) => {
    switch (message.type) {
      case "sessions":
        worker.configure(message.sessions);
        return;
      case "details":
        worker.tellDetails();
        return;
      case "stop":
        worker.stop(message.mode, () => agent.close());
    }
  });
}

/**
 * Echo packets of IPv4 are addressed to their sender (RFC 5881 §4), so it is the kernel that returns them, if it forwards at
 * all. Offered without, they would be lost and take the session down again and again.
 */
function forwardsIpv4(): boolean {
  return readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim() === "1";
}
const NO_ECHO = "No echo is offered: with net.ipv4.ip_forward = 0 the kernel would return none";

function offersIpv4Echo({ peer, multihop, profile }: BfdSessionConfig): boolean {
  return peer.family === "IPv4" && !multihop && profile.echoReceiveIntervalMilliseconds !== undefined;
}

function offeringNone(config: BfdSessionConfig): BfdSessionConfig {
  const { echoReceiveIntervalMilliseconds: _, ...profile } = config.profile;
  return { ...config, profile };
}

class BfdWorker {
  readonly #tell: (message: FromWorker) => void;
  readonly #sessions: Sessions;
  readonly #sockets: Sockets;
  readonly #echoes: Echoes;
  readonly #timers = new Map<Entry, { readonly moment: Instant; readonly cancel: () => void }>();
  /** Names of sessions whose echo the kernel would not return. */
  #echoless: ReadonlySet<string> = new Set();
  #listenAgain = (): void => {};
  #telling = false;

  constructor({ parked }: WorkerOptions, tell: (message: FromWorker) => void) {
    this.#tell = tell;
    this.#sockets = new Sockets((datagram) => {
      const entry = this.#sessions.receive(datagram, systemClock.now());
      if (entry !== undefined) this.#arm(entry);
    });
    this.#echoes = new Echoes((packet) => {
      const entry = this.#sessions.receiveEcho(packet, systemClock.now());
      if (entry !== undefined) this.#arm(entry);
    });
    this.#sessions = new Sessions(
      {
        random: Math.random,
        hash: (algorithm, bytes) => createHash(algorithm).update(bytes).digest(),
        newDiscriminator: () => getRandomValues(new Uint32Array(1))[0] ?? 0,
        send: (entry, bytes) => {
          const problem = this.#sockets.send(entry, bytes);
          if (problem === entry.sendProblem) return;
          entry.sendProblem = problem;
          this.#changed();
        },
        newCookie: () => getRandomValues(new BigUint64Array(1))[0] ?? 0n,
        openEcho: (entry) => this.#echoes.open(entry),
        sendEcho: (entry, packet) => this.#echoes.send(entry, packet),
        closeEcho: (entry) => this.#echoes.close(entry),
        changed: () => this.#changed(),
      },
      parked,
    );
  }

  configure(configs: readonly BfdSessionConfig[]): void {
    const forwards = forwardsIpv4();
    this.#echoless = new Set(configs.filter((config) => !forwards && offersIpv4Echo(config)).map(({ name }) => name));
    const possible = configs.map((config) => (this.#echoless.has(config.name) ? offeringNone(config) : config));
    const removed = this.#sessions.configure(possible, systemClock.now());
    for (const entry of removed) {
      this.#timers.get(entry)?.cancel();
      this.#timers.delete(entry);
      this.#sockets.closeSender(entry);
    }
    this.#listen();
    for (const entry of this.#sessions.entries) this.#arm(entry);
    this.#changed();
  }

  tellDetails(): void {
    this.#tell({ type: "details", sessions: this.#sessions.details() });
  }

  stop(mode: StopMode, done: () => void): void {
    const finish = (parked: readonly ParkedSession[]): void => {
      for (const { cancel } of this.#timers.values()) cancel();
      this.#timers.clear();
      this.#listenAgain();
      this.#sockets.close();
      this.#echoes.closeAll();
      this.#tell({ type: "stopped", parked });
      done();
    };
    if (mode.type === "leave") this.configure([]);
    if (mode.type === "restart") this.#park(mode.holdMilliseconds, finish);
    else finish([]);
  }

  #park(holdMilliseconds: number, finish: (parked: readonly ParkedSession[]) => void): void {
    const giveUpAt = later(systemClock.now(), PARK_MILLISECONDS_MAX);
    this.#sessions.park(holdMilliseconds, systemClock.now());
    for (const entry of this.#sessions.entries) this.#arm(entry);
    const look = (): void => {
      const now = systemClock.now();
      const { complete, parked } = this.#sessions.parkedSessions(holdMilliseconds, now);
      if (complete || now >= giveUpAt) finish(parked);
      else systemClock.at(later(now, PARK_LOOK_MILLISECONDS), look);
    };
    look();
  }

  #listen(): void {
    this.#listenAgain();
    this.#listenAgain = (): void => {};
    const problems = this.#sockets.listen([...this.#sessions.entries]);
    for (const [entry, socketProblem] of problems) {
      const problem = socketProblem ?? (this.#echoless.has(entry.config.name) ? NO_ECHO : undefined);
      if (problem !== entry.listenProblem) this.#changed();
      entry.listenProblem = problem;
    }
    if (problems.every(([, problem]) => problem === undefined)) return;
    const again = later(systemClock.now(), LISTEN_AGAIN_MILLISECONDS);
    this.#listenAgain = systemClock.at(again, () => this.#listen());
  }

  /** Wakes at the earlier of what is armed and what is due: packets push deadlines back many times before one is reached. */
  #arm(entry: Entry): void {
    const moment = nextDeadline(entry);
    const armed = this.#timers.get(entry);
    if (moment === undefined || (armed !== undefined && armed.moment <= moment)) return;
    armed?.cancel();
    this.#timers.set(entry, { moment, cancel: systemClock.at(moment, () => this.#wake(entry)) });
  }

  #wake(entry: Entry): void {
    this.#timers.delete(entry);
    const detectAt = earliest([entry.session.detectAt, entry.echo.running?.detectAt]);
    // If this thread was late, the packets that would prove the peer alive wait in the socket: read them first.
    if (detectAt !== undefined && detectAt <= systemClock.now()) setImmediate(() => this.#tick(entry));
    else this.#tick(entry);
  }

  #tick(entry: Entry): void {
    if (!this.#sessions.has(entry)) return;
    this.#sessions.handle(entry, { type: "clock" }, systemClock.now());
    this.#arm(entry);
  }

  /** Once for all that happens in one turn of the loop. */
  #changed(): void {
    if (this.#telling) return;
    this.#telling = true;
    queueMicrotask(() => {
      this.#telling = false;
      this.#tell({ type: "changed", sessions: this.#sessions.views(systemClock.now()) });
    });
  }
}

const port = parentPort;
if (port === null) throw new Error("The BFD worker runs only as a worker thread of an agent");
// The starting thread is ours and types its side the same.
run(workerData as WorkerOptions, port);
