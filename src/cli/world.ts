/**
 * Everything a command may touch. Commands get it as a parameter, so tests run them in this process against a real
 * server and read what they print; only {@link processWorld} knows about `process`.
 */

/** Where a command writes. */
export interface Output {
  readonly isTTY: boolean;
  write(content: string | Uint8Array): void;
}

export interface World {
  /** How the program is called: `fairlead`, `kubectl fairlead`. */
  readonly program: string;
  /** Whose agents commands talk to. */
  readonly reach: "machine" | "cluster";
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where agents put their sockets. */
  readonly runFolder: string;
  /** How long an agent may stay silent before it counts as not reachable. */
  readonly answerTimeoutMilliseconds: number;
  /** Aborted by Ctrl-C and SIGTERM: commands that run until then end as if they were done. */
  readonly stop: AbortSignal;
  /** Wall clock. */
  now(): Date;
  /** What the program will exit with; a command sets it to {@link EXIT}.problem when it found one. */
  exitCode: number;
}

/** Exit statuses, the same for every command. */
export const EXIT = { ok: 0, problem: 1, usage: 2, unreachable: 3 } as const;

/** An expected end of a command: printed as one message without a stack. */
export class CommandFailure extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "CommandFailure";
    this.exitCode = exitCode;
  }
}

export function processWorld({ program, reach }: Pick<World, "program" | "reach">): World {
  const stop = new AbortController();
  const abort = (): void => stop.abort();
  return {
    program,
    reach,
    stdout: outputOf(process.stdout, abort),
    stderr: outputOf(process.stderr, abort),
    env: process.env,
    runFolder: "/run/fairlead",
    answerTimeoutMilliseconds: 10_000,
    get stop() {
      // Only a command that asks for it changes what Ctrl-C does: the agent and the lab have handlers of their own.
      for (const signal of ["SIGINT", "SIGTERM"] as const) {
        if (!process.listeners(signal).includes(abort)) process.once(signal, abort);
      }
      return stop.signal;
    },
    now: () => new Date(),
    exitCode: EXIT.ok,
  };
}

function outputOf(stream: NodeJS.WriteStream, whenClosed: () => void): Output {
  // A pipe whose reader has had enough (`| head`) is a normal end, not a crash.
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    whenClosed();
  });
  return { isTTY: stream.isTTY, write: (content) => void stream.write(content) };
}
