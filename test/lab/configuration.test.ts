/** What each program says about the configuration. */
import { labSuite } from "./harness.ts";
import { testConfigurationStates } from "./suites/configuration.ts";

labSuite("the ConfigurationState", "l2", { capture: false }, testConfigurationStates);
