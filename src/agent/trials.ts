/** Does a backend take a connection? It is opened from this node, and closed without a word: only when somebody asks for an explanation. */
import { connect } from "node:net";
import type { TrialFacts } from "../observe/explain/facts.ts";

const PATIENCE_MILLISECONDS = 1000;

export type Trying = (address: string, port: number) => Promise<TrialFacts["outcome"]>;

/** Never rejects. */
export const tryConnections: Trying = (host, port) =>
  new Promise((resolve) => {
    const socket = connect({ host, port, autoSelectFamily: false });
    const end = (outcome: TrialFacts["outcome"]): void => {
      socket.destroy();
      resolve(outcome);
    };
    socket.setTimeout(PATIENCE_MILLISECONDS, () => end("silent"));
    socket.once("connect", () => end("accepted"));
    socket.once("error", (error: NodeJS.ErrnoException) =>
      end(error.code === "ECONNREFUSED" ? "refused" : { error: error.message }),
    );
  });
