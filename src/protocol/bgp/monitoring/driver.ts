/**
 * The way to a BMP collector: one TCP connection, made again and again. A new one begins with everything that is so; a collector that
 * reads too slowly is cut off and begins anew. Whatever it does, sessions do not notice.
 */
import { connect, type Socket } from "node:net";
import { systemClock, type Clock } from "../../../time/clock.ts";
import { later } from "../../../time/instant.ts";
import type { Random } from "../../../time/jitter.ts";
import { initiation, termination } from "../bmp.ts";
import { MonitoredSessions } from "../monitored.ts";
import type { Speaker } from "../speaker.ts";

export interface MonitoringOptions {
  /** None of its sessions has begun. */
  readonly speaker: Pick<Speaker, "observe" | "told" | "view">;
  readonly collector: { readonly host: string; readonly port: number };
  readonly sysName: string;
  readonly sysDescr: string;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface MonitoringView {
  /** HOST:PORT */
  readonly collector: string;
  readonly connected: boolean;
  /** Times the collector was told everything. */
  readonly dumps: number;
  /** Times it was cut off because it read too slowly. */
  readonly overflows: number;
  /** Why it is not connected, or last was not. */
  readonly lastReason?: string;
}

export interface Monitoring {
  view(): MonitoringView;
  /** Says so to the collector, and waits a moment for what is on its way. */
  stop(): Promise<void>;
}

/** What may wait for the collector beside the tables it was told first, in bytes. */
const BACKLOG_MAX = 8 << 20;
const PAUSE_SECONDS_MAX = 30;
/** A connection that lived so long was no failure. */
const STEADY_MILLISECONDS = 60_000;
const FLUSH_MILLISECONDS = 1000;
const STATISTICS_MILLISECONDS = 60_000;

export function startMonitoring(options: MonitoringOptions): Monitoring {
  return new MonitoringDriver(options);
}

class MonitoringDriver implements Monitoring {
  readonly #options: MonitoringOptions;
  readonly #clock: Clock;
  readonly #sessions = new MonitoredSessions();
  readonly #unobserve: () => void;
  #socket: Socket | undefined;
  #connected = false;
  #limit = BACKLOG_MAX;
  #failures = 0;
  #dumps = 0;
  #overflows = 0;
  #lastReason: string | undefined;
  #cancel = (): void => {};
  #cancelStatistics = (): void => {};

  constructor(options: MonitoringOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#unobserve = options.speaker.observe((observed) => this.#send(this.#sessions.observe(observed, Date.now())));
    this.#connect();
    this.#scheduleStatistics();
  }

  view(): MonitoringView {
    const { host, port } = this.#options.collector;
    return {
      collector: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
      connected: this.#connected,
      dumps: this.#dumps,
      overflows: this.#overflows,
      ...(this.#lastReason === undefined ? {} : { lastReason: this.#lastReason }),
    };
  }

  async stop(): Promise<void> {
    this.#unobserve();
    this.#cancel();
    this.#cancelStatistics();
    const socket = this.#socket;
    this.#socket = undefined;
    if (socket === undefined || !this.#connected) {
      socket?.destroy();
      return;
    }
    this.#connected = false;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => socket.destroy(), FLUSH_MILLISECONDS);
      socket.once("close", () => {
        clearTimeout(timer);
        resolve();
      });
      socket.end(termination());
    });
  }

  #connect(): void {
    const socket = connect(this.#options.collector);
    this.#socket = socket;
    let reason = "the collector closed the connection";
    let since: number | undefined;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 30_000);
    socket.on("connect", () => {
      since = this.#clock.now();
      this.#begin(socket);
    });
    // It has nothing to say, but its end is only seen by who reads.
    socket.resume();
    socket.on("error", (error) => (reason = error.message));
    socket.on("close", () => {
      if (socket !== this.#socket) return;
      this.#connected = false;
      this.#lastReason = reason;
      const wasSteady = since !== undefined && this.#clock.now() - since > STEADY_MILLISECONDS;
      this.#failures = wasSteady ? 1 : this.#failures + 1;
      this.#retry();
    });
  }

  #retry(): void {
    const { random = Math.random } = this.#options;
    const seconds = Math.min(2 ** Math.min(this.#failures - 1, 20), PAUSE_SECONDS_MAX);
    this.#cancel = this.#clock.at(later(this.#clock.now(), seconds * 1000 * (1 - random() / 4)), () => this.#connect());
  }

  #begin(socket: Socket): void {
    const { speaker, sysName, sysDescr } = this.#options;
    this.#connected = true;
    this.#dumps += 1;
    // The tables may be larger than what may wait otherwise.
    this.#limit = Infinity;
    socket.write(initiation(sysName, sysDescr));
    const slices = this.#sessions.dump((name) => speaker.told(name), Date.now);
    const next = (): void => {
      if (socket !== this.#socket || !this.#connected) return;
      const { done, value } = slices.next();
      if (done === true) {
        this.#limit = socket.writableLength + BACKLOG_MAX;
        return;
      }
      for (const message of value) socket.write(message);
      setImmediate(next);
    };
    next();
  }

  #scheduleStatistics(): void {
    this.#cancelStatistics = this.#clock.at(later(this.#clock.now(), STATISTICS_MILLISECONDS), () => {
      this.#send(this.#sessions.statistics(this.#options.speaker.view(), Date.now()));
      this.#scheduleStatistics();
    });
  }

  #send(messages: readonly Uint8Array[]): void {
    const socket = this.#socket;
    if (socket === undefined || !this.#connected) return;
    for (const message of messages) socket.write(message);
    if (socket.writableLength <= this.#limit) return;
    this.#overflows += 1;
    this.#connected = false;
    socket.destroy(new Error("the collector reads too slowly"));
  }
}
