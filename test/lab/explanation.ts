/** What helps to understand a test that failed in a lab: its topology, the end of every log, cables that were full, the last packets on the wire. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { captureCommand } from "../../lab/capture.ts";
import { drawScene } from "../../lab/draw.ts";
import { memberPlan, tailOfLog, type Lab } from "../../lab/lab.ts";
import { runIn } from "../../lab/network.ts";
import { startProgram } from "../../lab/programs.ts";

const devices = z.array(z.object({ ifname: z.string(), stats64: z.object({ tx: z.object({ dropped: z.number() }) }) }));

const CAPTURE = "capture.pcap";

/** Everything on the first segment goes to two files of a few megabytes, one after the other, until the lab is taken down. */
export async function startCapture(lab: Lab): Promise<void> {
  const [segment] = lab.scene.segments;
  if (segment === undefined) return;
  const command = captureCommand(lab, segment, { file: join(lab.paths.root, CAPTURE) });
  // The options come before the filter: capture() ends with the device when there is none.
  await startProgram(lab.paths.programs, {
    host: "_test",
    program: "capture",
    namespace: undefined,
    command: [...command, "-C", "8", "-W", "2", "-s", "160", "-Z", "root"],
    log: lab.paths.log("_test", "capture"),
  });
}

/** `client`: a host of the lab on which packets are printed. */
export async function explanation(lab: Lab, client: string): Promise<readonly string[]> {
  return [
    drawScene(lab.scene).join("\n"),
    ...(await endsOfLogs(lab)),
    await fullCables(lab),
    await lastPackets(lab, client),
  ];
}

async function endsOfLogs(lab: Lab): Promise<readonly string[]> {
  const files = (await readdir(lab.paths.logs)).toSorted();
  const shown = files.map(async (file) => {
    const [host = "", program = ""] = file.split(".");
    return `── ${file}\n${await tailOfLog(lab, host, program, 30)}`;
  });
  return Promise.all(shown);
}

/** Where a cable had no room for packets: of those that are missing there, no program of ours knows. */
async function fullCables(lab: Lab): Promise<string> {
  const texts = await Promise.all(
    lab.plan.namespaces.map(async ({ member, namespace }) => {
      const { stdout } = await runIn(namespace, ["ip", "-stats", "-json", "link"]);
      return devices
        .parse(JSON.parse(stdout === "" ? "[]" : stdout))
        .filter(({ stats64 }) => stats64.tx.dropped > 0)
        .map(({ ifname, stats64 }) => `${member} ${ifname}: ${stats64.tx.dropped}`);
    }),
  );
  return ["── packets dropped because a cable was full or unplugged", ...texts.flat()].join("\n");
}

/** Without the probes of the membership. */
async function lastPackets(lab: Lab, client: string): Promise<string> {
  const files = (await readdir(lab.paths.root)).filter((file) => file.startsWith(CAPTURE)).toSorted();
  const { namespace } = memberPlan(lab, client);
  const texts = await Promise.all(
    files.map((file) =>
      runIn(namespace, ["tcpdump", "-n", "-e", "-r", join(lab.paths.root, file), "not", "udp", "port", "7956"]),
    ),
  );
  const lines = texts.flatMap((each) => each.stdout.trimEnd().split("\n")).toSorted();
  return `── the last packets on ${lab.scene.segments[0] ?? ""}\n${lines.slice(-60).join("\n")}`;
}
