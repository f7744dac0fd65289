/** Who announces an address, and where. */
import { join } from "node:path";
import { labSuite } from "./harness.ts";
import { testSelection } from "./suites/selection.ts";

const SCENE = join(import.meta.dirname, "scenes/selection.yaml");

labSuite("an L2Advertisement", SCENE, { capture: false }, (it) => testSelection(it, { app: "web" }));
