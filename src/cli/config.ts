/** `fairlead config`: what can be said about configuration without a cluster or an agent. */
import { Command } from "commander";
import { checkCommand } from "./config-check.ts";
import { convertCommand } from "./config-convert.ts";
import type { World } from "./world.ts";

export function configCommand(world: World): Command {
  const example =
    "fairlead config check manifests/\n  fairlead config convert metallb-config.yaml > manifests/metallb.yaml";
  return new Command("config")
    .addCommand(checkCommand(world))
    .addCommand(convertCommand(world))
    .addHelpText("after", `\nExample:\n  ${example}`);
}
