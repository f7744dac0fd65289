/** Who answers for an address, as heard on the client's wire: every ARP reply and neighbor advertisement for it. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { memberPlan } from "../../lab/lab.ts";
import { hostOfMac } from "../../lab/observe.ts";
import { enterNamespace } from "../../lab/programs.ts";
import type { TestLab } from "./harness.ts";

export interface Answer {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly host: string;
  /** An announcement that nobody asked for, sent to all. */
  readonly gratuitous: boolean;
}

/** 1795257969.471061 02:fa:1e:00:01:01 > 02:fa:1e:00:00:01, ethertype …: Reply 192.168.10.0 is-at … */
const LINE =
  /^(?<at>\d+\.\d+) (?<from>[0-9a-f:]{17}) > (?<to>[0-9a-f:]{17}),.*(Reply (?<v4>[0-9.]+) is-at|neighbor advertisement.*tgt is (?<v6>[0-9a-f:]+))/;

/**
 * Asks from the client again and again who has the address, every 50 ms, until the body is done; all answers heard meanwhile, in order.
 * At least one question must have been answered.
 */
export async function answersDuring(
  lab: TestLab,
  address: string,
  body: () => Promise<void>,
): Promise<readonly Answer[]> {
  const { namespace } = memberPlan(lab.lab, lab.client);
  const start = (command: readonly string[]) => {
    const [file = "", ...rest] = enterNamespace(namespace, command);
    return spawn(file, rest, { stdio: ["ignore", "pipe", "pipe"] });
  };
  const listener = start([
    "tcpdump",
    "-l",
    "-n",
    "-e",
    "-tt",
    "--immediate-mode",
    "-i",
    "eth0",
    "(arp and arp[6:2] == 2) or (icmp6 and ip6[40] == 136)",
  ]);
  let text = "";
  listener.stdout.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  await new Promise<void>((resolve) => listener.stderr.once("data", () => resolve()));
  const asker = start([
    "bash",
    "-c",
    `while :; do ip neigh flush to ${address} dev eth0; echo >/dev/udp/${address}/9; sleep 0.05; done`,
  ]);
  try {
    await body();
  } finally {
    asker.kill("SIGKILL");
    await sleep(100); // What is on the wire is still heard.
    listener.kill("SIGTERM");
    await new Promise((resolve) => listener.once("close", resolve));
  }
  const answers = text.split("\n").flatMap((line) => parseAnswer(lab, address, line));
  assert.ok(
    answers.some((each) => !each.gratuitous),
    `nobody answered for ${address}`,
  );
  return answers;
}

function parseAnswer(lab: TestLab, address: string, line: string): Answer[] {
  const found = LINE.exec(line)?.groups;
  if (found === undefined || (found["v4"] ?? found["v6"]) !== address) return [];
  const host = hostOfMac(lab.lab, found["from"] ?? "") ?? `stranger ${found["from"]}`;
  return [{ at: Number(found["at"]) * 1000, host, gratuitous: /^(ff:ff|33:33)/.test(found["to"] ?? "") }];
}

/** The hosts that answered, each as often as it took over: a, a, b, b → a, b; a, b, a → a, b, a. */
export function sequence(answers: readonly Answer[]): readonly string[] {
  return answers.map((each) => each.host).filter((host, index, all) => host !== all[index - 1]);
}
