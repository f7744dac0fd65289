/**
 * A client that asks again and again and says what happened: one JSON line per request, on stdout. Run in a client's namespace, because
 * a request must leave from there; ends after `count` requests or with SIGTERM.
 *
 * Argument: a {@link RequestPlan}. Every request has a socket, and so a source port, of its own.
 */
import { createSocket } from "node:dgram";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

export interface RequestPlan {
  readonly protocol: "HTTP" | "TCP" | "UDP";
  readonly address: string;
  readonly port: number;
  /** HTTP only; default `/`. */
  readonly path?: string;
  /** Default 1; 0: until SIGTERM. */
  readonly count?: number;
  /** How many at a time; default 1. */
  readonly concurrency?: number;
  /** Instead of `concurrency`: one request every so often, whatever became of those before. Measures gaps. */
  readonly everyMilliseconds?: number;
  /** Default 2000. */
  readonly timeoutMilliseconds?: number;
}

export interface RequestResult {
  /** Milliseconds since 1970, with fractions: when it was sent and when it was answered or given up. */
  readonly sentAt: number;
  readonly doneAt: number;
  readonly ok: boolean;
  /** Also of one that failed, so that a capture can be searched for it; not where there was no socket yet. */
  readonly sourcePort?: number;
  /** What the pod said. */
  readonly pod_name?: string;
  readonly pod_ip?: string;
  readonly host_name?: string;
  readonly client_ip?: string;
  readonly client_port?: number;
  /** `timeout`, or the system's word: ECONNREFUSED, ECONNRESET, EHOSTUNREACH … */
  readonly error?: string;
}

if (import.meta.main) await run(JSON.parse(process.argv[2] ?? "{}") as RequestPlan);

async function run(plan: RequestPlan): Promise<void> {
  let stopping = false;
  process.once("SIGTERM", () => (stopping = true));
  let left = plan.count === 0 ? Number.POSITIVE_INFINITY : (plan.count ?? 1);
  const ask = async (): Promise<void> => {
    process.stdout.write(`${JSON.stringify(await request(plan))}\n`);
  };
  if (plan.everyMilliseconds !== undefined) {
    const asked: Promise<void>[] = [];
    for (let next = performance.now(); !stopping && left > 0; left -= 1) {
      asked.push(ask());
      next += plan.everyMilliseconds;
      await sleep(Math.max(0, next - performance.now()));
    }
    await Promise.all(asked);
    return;
  }
  const keepAsking = async (): Promise<void> => {
    while (!stopping && left > 0) {
      left -= 1;
      await ask();
    }
  };
  await Promise.all(Array.from({ length: plan.concurrency ?? 1 }, keepAsking));
}

async function request(plan: RequestPlan): Promise<RequestResult> {
  const sentAt = performance.timeOrigin + performance.now();
  const outcome = await (plan.protocol === "UDP" ? requestDatagram(plan) : requestStream(plan));
  const doneAt = performance.timeOrigin + performance.now();
  if (outcome.error !== undefined) return { sentAt, doneAt, ok: false, ...outcome };
  return { sentAt, doneAt, ok: true, ...outcome };
}

type Outcome = Omit<RequestResult, "sentAt" | "doneAt" | "ok">;

/** HTTP by hand: one request per connection, read until the first whole JSON object has arrived. */
function requestStream(plan: RequestPlan): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = connect({ host: plan.address, port: plan.port });
    let text = "";
    let sourcePort: number | undefined;
    const finish = (outcome: Outcome): void => {
      clearTimeout(timer);
      resolve(withPort(outcome, sourcePort));
      socket.destroy();
    };
    const timer = setTimeout(() => finish({ error: "timeout" }), plan.timeoutMilliseconds ?? 2000);
    // Asked as soon as the kernel has given it: an error comes when the socket is closed, which knows it no more.
    socket.once("connectionAttempt", () => process.nextTick(() => (sourcePort = socket.localPort)));
    socket.once("connect", () => {
      if (plan.protocol === "HTTP")
        socket.write(`GET ${plan.path ?? "/"} HTTP/1.1\r\nhost: pod\r\nconnection: close\r\n\r\n`);
    });
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      const line = text.split("\n").find((each) => each.startsWith("{") && each.endsWith("}"));
      if (line !== undefined) finish(answer(line));
    });
    socket.once("error", (error: NodeJS.ErrnoException) => finish({ error: error.code ?? error.message }));
    socket.once("end", () => finish({ error: "closedWithoutAnswer" }));
  });
}

function requestDatagram(plan: RequestPlan): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = createSocket(plan.address.includes(":") ? "udp6" : "udp4");
    let sourcePort: number | undefined;
    const finish = (outcome: Outcome): void => {
      clearTimeout(timer);
      resolve(withPort(outcome, sourcePort));
      socket.close();
    };
    const timer = setTimeout(() => finish({ error: "timeout" }), plan.timeoutMilliseconds ?? 2000);
    socket.once("message", (data) => finish(answer(data.toString())));
    socket.once("error", (error: NodeJS.ErrnoException) => finish({ error: error.code ?? error.message }));
    socket.once("connect", () => {
      sourcePort = socket.address().port;
      socket.send("hello");
    });
    // Connected, so that an ICMP error comes back as an error of this socket.
    socket.connect(plan.port, plan.address);
  });
}

function answer(line: string): Outcome {
  try {
    return JSON.parse(line) as Outcome;
  } catch {
    return { error: "badAnswer" };
  }
}

function withPort(outcome: Outcome, sourcePort: number | undefined): Outcome {
  return sourcePort === undefined ? outcome : { ...outcome, sourcePort };
}
