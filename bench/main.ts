/**
 * The numbers that the README quotes: `npm run bench` measures everything (some minutes), `npm run bench -- xdp` one part.
 * Medians; what is compared is measured in turns within one run, so that ratios mean something on a busy machine too.
 */
import { cpus, release } from "node:os";
import { Command, InvalidArgumentError } from "commander";
import { removeLeftovers } from "./leftovers.ts";
import { printPool, printProgramming, printTraffic, printXdp } from "./print-datapath.ts";
import { printKubernetes, printTakeover } from "./print-kubernetes.ts";
import { printElection, printMembership } from "./print-nodes.ts";
import { printAgent, printController, printInputs, printLargeAgent } from "./print-programs.ts";
import { printBfd, printBgp, printTold } from "./print-protocols.ts";
import { LARGE, type Options } from "./sizes.ts";

const PARTS = {
  xdp: { description: "nanoseconds a packet in XDP, by BPF_PROG_TEST_RUN", run: printXdp },
  program: {
    description: "from objects to maps: 10,000 Services of 10 endpoints, then single changes",
    run: printProgramming,
  },
  pool: { description: "addresses for 10,000 and 100,000 Services, from nothing", run: printPool },
  election: {
    description: "who announces 10,000 addresses among 500 nodes, beside all elections with every name",
    run: ({ rounds }) => printElection(LARGE, rounds),
  },
  membership: { description: "what it costs a node to probe 19, 99 and 499 others", run: printMembership },
  agent: { description: "a whole agent with that cluster: start, memory, an edit of a manifest", run: printAgent },
  "large-agent": {
    description: "for how long nobody else has a turn in an agent with that cluster and 500 nodes: changes, questions",
    run: printLargeAgent,
  },
  controller: {
    description:
      "a whole controller with 100,000 Services and 1,000 pools: how long, and for how long nobody else had a turn",
    run: printController,
  },
  inputs: {
    description: "manifests nobody writes by hand: a pool of 100,000 entries, all of IPv6, 10 MB of YAML",
    run: printInputs,
  },
  kubernetes: {
    description: "a real API server: an agent with 10,000 Services and 500 nodes, event to map, Service to first byte",
    run: printKubernetes,
  },
  takeover: {
    description: "a real API server: from the end of the acting controller until another has given an address",
    run: printTakeover,
  },
  told: { description: "what telling a BGP peer 100,000 routes costs", run: printTold },
  bgp: { description: "100,000 routes to FRR, beside GoBGP", run: printBgp },
  bfd: { description: "what 100 BFD sessions at 50 ms cost", run: printBfd },
  traffic: { description: "connections and throughput beside routing, iptables and nftables", run: printTraffic },
} as const satisfies Record<string, { description: string; run: (options: Options) => Promise<void> }>;

const NAME_WIDTH = Math.max(...Object.keys(PARTS).map((name) => name.length));

await main();

async function main(): Promise<void> {
  const command = new Command("bench")
    .description(
      `Benchmarks of Fairlead; they need root.\n${Object.entries(PARTS)
        .map(([name, part]) => `  ${name.padEnd(NAME_WIDTH)} ${part.description}`)
        .join("\n")}`,
    )
    .argument("[parts...]", "which of them (default: all)")
    .option("--rounds <n>", "rounds of each measurement", positiveInteger, 7)
    .option("--seconds <n>", "of each traffic measurement", positiveNumber, 1)
    .option("--services <list>", "sizes of the rule sets, e.g. 1,1000", numbers, [1, 1000, 5000])
    .parse();
  const asked = command.args.length > 0 ? command.args : Object.keys(PARTS);
  const unknown = asked.find((name) => !Object.hasOwn(PARTS, name));
  if (unknown !== undefined) command.error(`Unknown part "${unknown}": ${Object.keys(PARTS).join(", ")}`);
  console.log(
    `${cpus()[0]?.model ?? "unknown CPU"}, ${cpus().length} CPUs, Linux ${release()}, Node.js ${process.version}\n`,
  );
  for (const name of removeLeftovers()) console.log(`Removed ${name}, which a killed benchmark left`);
  for (const [name, part] of Object.entries(PARTS)) if (asked.includes(name)) await part.run(command.opts<Options>());
}

function positiveInteger(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("It must be a whole number above zero");
  return Number(text);
}

function positiveNumber(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError("It must be a number above zero");
  return value;
}

function numbers(text: string): number[] {
  return text.split(",").map(positiveInteger);
}
