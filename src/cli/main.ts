/** The program behind `bin/fairlead`. */
import { runCli } from "./program.ts";
import { processWorld } from "./world.ts";

const code = await runCli(process.argv.slice(2), processWorld({ program: "fairlead", reach: "machine" }));
// A long-running command may have set its own: it knows better than "no failure".
if (code !== 0) process.exitCode = code;
