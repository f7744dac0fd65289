/** Packets on a device of the lab, as pcap on standard output or as text. */
import { spawn } from "node:child_process";
import { memberPlan } from "./lab.ts";
import type { Lab } from "./lab.ts";
import { LabError } from "./lab-error.ts";
import { enterNamespace } from "./programs.ts";

/** The tcpdump command that writes pcap to a file, `-` for standard output; unbuffered, so that a reader sees each packet at once. */
export function captureCommand(
  lab: Lab,
  member: string,
  options: { readonly device?: string; readonly filter?: readonly string[]; readonly file?: string },
): readonly string[] {
  const plan = memberPlan(lab, member);
  // A segment's bridge carries everything that any of its ports does.
  const device = options.device ?? (plan.kind === "segment" ? "br0" : (plan.devices[0] ?? "any"));
  const known = [...plan.devices, "any", "lo", "br0", "cni0"];
  if (!known.includes(device))
    throw new LabError(`${member} has no device "${device}" (there are: ${plan.devices.join(", ")}, any)`);
  return enterNamespace(plan.namespace, [
    "tcpdump",
    "-n",
    "-w",
    options.file ?? "-",
    "-U",
    "--immediate-mode",
    "-i",
    device,
    ...(options.filter ?? []),
  ]);
}

/** Runs a command of the lab with our own input and output; its exit status. */
export async function runAttached(
  command: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<number> {
  const [file = "", ...rest] = command;
  const child = spawn(file, rest, { stdio: "inherit", env: { ...process.env, ...environment } });
  // Ctrl-C reaches the child as well, and it is the child's to end with it.
  const ignore = (): void => undefined;
  process.on("SIGINT", ignore);
  const forward = (): void => void child.kill("SIGTERM");
  process.on("SIGTERM", forward);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (status, signal) => resolve(status ?? (signal === "SIGINT" ? 130 : 143)));
    });
  } finally {
    process.off("SIGINT", ignore);
    process.off("SIGTERM", forward);
  }
}
