/** `fairlead bgp pcap`: what goes over BGP sessions, into a file for Wireshark or a bug report, until Ctrl-C. */
import { open, type FileHandle } from "node:fs/promises";
import { Command } from "commander";
import { pcapPieces } from "./agent-api.ts";
import { findOneAgent } from "./agents.ts";
import { parseCount, withExample, withReach, type CommonOptions } from "./options.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

interface PcapOptions extends CommonOptions {
  readonly peer?: string;
  readonly seconds: number;
}

export function pcapCommand(world: World): Command {
  const example = "fairlead bgp pcap router.pcap --peer router --seconds 60\nfairlead bgp pcap - | tcpdump -nn -v -r -";
  const command = new Command("pcap")
    .description("capture the messages of BGP sessions into a file; passwords are never in it")
    .argument("<file>", "where to write; -: standard output")
    .option("--peer <name>", "of one BGPPeer only")
    .option("--seconds <n>", "end after so long; 0: go on until Ctrl-C", parseCount, 0);
  return withExample(world, withReach(world, command), example).action((file: string, options: PcapOptions) =>
    capture(world, file, options),
  );
}

async function capture(world: World, file: string, options: PcapOptions): Promise<void> {
  if (file === "-" && world.stdout.isTTY)
    throw new CommandFailure(
      EXIT.usage,
      "Cannot write a capture to a terminal: name a file, or pipe it into tcpdump -r -",
    );
  const { peer, seconds } = options;
  const agent = await findOneAgent(world, options);
  const stop = seconds === 0 ? world.stop : AbortSignal.any([world.stop, AbortSignal.timeout(seconds * 1000)]);
  const pieces = pcapPieces(agent, peer, stop);
  if (file === "-") {
    for await (const piece of pieces) world.stdout.write(piece);
    return;
  }
  let written = 0;
  // Only when the agent has answered: a capture of an earlier time is not given up for an error.
  let target: FileHandle | undefined;
  try {
    for await (const piece of pieces) {
      target ??= await openFile(file);
      await target.appendFile(piece);
      written += piece.length;
    }
  } finally {
    await target?.close();
  }
  world.stderr.write(`Wrote ${written} bytes to ${file}\n`);
}

async function openFile(file: string): Promise<FileHandle> {
  try {
    return await open(file, "w");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CommandFailure(EXIT.problem, `Cannot write the capture to ${file}: ${reason}`, { cause });
  }
}
