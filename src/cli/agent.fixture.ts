/** For tests: the CLI run in this process, against a real HTTP server on a unix socket that serves given documents. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type RequestListener } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ApiDocuments, MonitorEvent } from "../observe/status.ts";
import { runCli } from "./program.ts";
import type { World } from "./world.ts";

export interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Surroundings {
  /** As `kubectl fairlead`. */
  readonly cluster?: boolean;
  readonly env?: Readonly<Record<string, string>>;
  readonly runFolder?: string;
  readonly isTTY?: boolean;
  readonly stop?: AbortSignal;
  /** Default 200: the agents of most tests answer at once or never. */
  readonly answerTimeoutMilliseconds?: number;
  /** Called with everything written so far. */
  readonly onOutput?: (text: string) => void;
}

/** The moment at which every test runs. */
const NOW = new Date("2026-11-21T12:00:00Z");

/** Runs one command line, given as typed in a shell without quotes. */
export async function fairlead(line: string, around: Surroundings = {}): Promise<Run> {
  let stdout = "";
  let stderr = "";
  const isTTY = around.isTTY ?? false;
  const write = (content: string | Uint8Array): void => {
    stdout += typeof content === "string" ? content : Buffer.from(content).toString("latin1");
    around.onOutput?.(stdout);
  };
  const world: World = {
    program: around.cluster === true ? "kubectl fairlead" : "fairlead",
    reach: around.cluster === true ? "cluster" : "machine",
    stdout: { isTTY, write },
    stderr: { isTTY, write: (text) => void (stderr += String(text)) },
    env: around.env ?? {},
    runFolder: around.runFolder ?? "/nonexistent/fairlead",
    answerTimeoutMilliseconds: around.answerTimeoutMilliseconds ?? 200,
    stop: around.stop ?? new AbortController().signal,
    now: () => NOW,
    exitCode: 0,
  };
  const code = await runCli(line === "" ? [] : line.split(" "), world);
  return { code, stdout, stderr };
}

export interface FakeAgent extends AsyncDisposable {
  readonly socket: string;
  /** The folder the socket lies in. */
  readonly folder: string;
  /** Paths and queries as they were asked for. */
  readonly asked: readonly string[];
}

/** Serves these documents; every other path answers 404 as the agent does. */
export function serveDocuments(documents: Partial<ApiDocuments>): Promise<FakeAgent> {
  const byPath = new Map<string, unknown>(Object.entries(documents));
  return serve((request, response) => {
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const found = byPath.get(path);
    response.statusCode = found === undefined ? 404 : 200;
    response.end(JSON.stringify(found ?? { error: `Nothing at ${JSON.stringify(path)}` }));
  });
}

/** Streams these events, then stays silent, or hangs up. */
export function serveEvents(events: readonly MonitorEvent[], afterwards: "silent" | "hangUp"): Promise<FakeAgent> {
  return serve((_, response) => {
    response.write(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
    if (afterwards === "hangUp") response.end();
  });
}

/** Answers every request as the listener says. */
export async function serve(listener: RequestListener): Promise<FakeAgent> {
  const folder = await mkdtemp(join(tmpdir(), "fl-cli-"));
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    listener(request, response);
  });
  const socket = join(folder, "worker1.sock");
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    socket,
    folder,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
