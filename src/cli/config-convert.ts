/** `fairlead config convert`: the ConfigMap of old MetalLBs into custom resources. Exits with 1 when something was lost or is wrong. */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { convertConfiguration } from "../source/configmap/convert.ts";
import { CommandFailure, EXIT, type World } from "./world.ts";

export function convertCommand(world: World): Command {
  const example =
    "fairlead config convert metallb-config.yaml > manifests/metallb.yaml\n  fairlead config check manifests/metallb.yaml";
  return new Command("convert")
    .description("turn MetalLB's old ConfigMap (v0.12 and before) into custom resources, on standard output")
    .argument("<file>", "a manifest with the ConfigMap in it, or what its key `config` holds")
    .addHelpText(
      "after",
      `\nExample:\n  ${example}\n\nExits with 0 when everything was converted, 1 when something was not (reported on standard error), 2 on usage.`,
    )
    .action((file: string) => {
      const { text, complaints } = convertConfiguration(read(file));
      world.stdout.write(text);
      for (const { path, message } of complaints) world.stderr.write(`${path === "" ? file : path}: ${message}\n`);
      if (complaints.length > 0) world.exitCode = EXIT.problem;
    });
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const reason = REASONS[code ?? ""] ?? message;
    throw new CommandFailure(EXIT.usage, `Cannot read ${JSON.stringify(file)}: ${reason}`, { cause });
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a folder; name the file with the ConfigMap",
  EACCES: "you may not read it",
};
