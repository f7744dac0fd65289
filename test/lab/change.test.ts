/** Objects that change under way. */
import { labSuite } from "./harness.ts";
import { testChanges } from "./suites/change.ts";

labSuite("objects that change", "l2", {}, testChanges);
