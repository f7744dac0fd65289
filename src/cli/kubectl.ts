/** The program behind `bin/kubectl-fairlead`, which kubectl starts for `kubectl fairlead`. */
import { runCli } from "./program.ts";
import { processWorld } from "./world.ts";

const code = await runCli(process.argv.slice(2), processWorld({ program: "kubectl fairlead", reach: "cluster" }));
if (code !== 0) process.exitCode = code;
