/**
 * Downloads from a pod through a Service and says how it went: one JSON line at the start of data, one at the end.
 * Ends early with SIGTERM.
 * Argument: {"address", "port", "bytes", "bytesPerSecond"}.
 */
import { request } from "node:http";

export interface TransferPlan {
  readonly address: string;
  readonly port: number;
  readonly bytes: number;
  /** The reader pauses to stay below. */
  readonly bytesPerSecond: number;
}

export interface TransferResult {
  readonly received: number;
  /** Between two pieces of data, our own pauses not counted. */
  readonly longestStallMilliseconds: number;
  readonly error?: string;
}

if (import.meta.main) download(JSON.parse(process.argv[2] ?? "{}") as TransferPlan);

function download(plan: TransferPlan): void {
  const start = performance.now();
  let received = 0;
  let last = start;
  let longest = 0;
  const finish = (error?: string): void => {
    const result: TransferResult = {
      received,
      longestStallMilliseconds: longest,
      ...(error === undefined ? {} : { error }),
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
    process.exitCode = 0;
  };
  const asked = request({ host: plan.address, port: plan.port, path: `/bytes?n=${plan.bytes}` }, (response) => {
    process.stdout.write("started\n");
    response.on("data", (chunk: Buffer) => {
      received += chunk.length;
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
      const ahead = (received / plan.bytesPerSecond) * 1000 - (last - start);
      if (ahead < 5) return;
      response.pause();
      setTimeout(() => {
        last = performance.now();
        response.resume();
      }, ahead);
    });
    response.once("end", () => finish(response.complete ? undefined : "incomplete"));
    response.once("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  });
  asked.once("error", (error: NodeJS.ErrnoException) => finish(error.code ?? error.message));
  asked.end();
  // Whoever has seen enough: how it went so far, with what is missing by now.
  process.once("SIGTERM", () => {
    longest = Math.max(longest, performance.now() - last);
    finish();
    process.exit();
  });
}
