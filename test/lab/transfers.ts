/** Downloads from the client of a lab, watched from outside. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { memberPlan } from "../../lab/lab.ts";
import { enterNamespace } from "../../lab/programs.ts";
import type { TestLab } from "./harness.ts";
import type { TransferPlan, TransferResult } from "./transfer.ts";

export interface Transfer {
  readonly started: Promise<void>;
  readonly done: Promise<TransferResult>;
  isRunning(): boolean;
  /** Ends it; what it was like so far. */
  stop(): Promise<TransferResult>;
}

export function startTransfer(lab: TestLab, plan: TransferPlan): Transfer {
  const [file = "", ...rest] = enterNamespace(memberPlan(lab.lab, lab.client).namespace, [
    process.execPath,
    join(import.meta.dirname, "transfer.ts"),
    JSON.stringify(plan),
  ]);
  const child = spawn(file, rest, { stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  const started = new Promise<void>((resolve) => {
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      resolve();
    });
  });
  const done = new Promise<TransferResult>((resolve, reject) => {
    child.once("close", () => {
      const line = text.split("\n").find((each) => each.startsWith("{"));
      if (line === undefined) reject(new Error(`The transfer said nothing: ${text}`));
      else resolve(JSON.parse(line) as TransferResult);
    });
  });
  // A test that fails says why it did, not that this was ended with its lab.
  done.catch(() => undefined);
  const stop = (): Promise<TransferResult> => {
    child.kill("SIGTERM");
    return done;
  };
  return { started, done, isRunning: () => !text.includes("{"), stop };
}
