/** A run that brings a lab up, says so, and waits to be killed. Argument: the lab's name. */
import { setInterval } from "node:timers";
import { bringUp } from "../../lab/lab.ts";
import { loadScene } from "./harness.ts";

await bringUp({
  name: process.argv[2] ?? "",
  scene: await loadScene("l2"),
  agents: false,
  owner: "self",
  report: () => undefined,
});
process.stdout.write("up\n");
setInterval(() => undefined, 1000);
