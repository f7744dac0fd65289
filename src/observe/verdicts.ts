/** Names of the datapath's numbers, as operators meet them: in metrics, in the API, in the monitor. */
import { hook, verdict } from "../datapath/abi.generated.ts";

const VERDICTS = new Map<number, string>(
  Object.entries(verdict).flatMap(([name, number]) =>
    name === "VERDICT_COUNT" ? [] : [[number, name.replace(/^VERDICT_/, "").toLowerCase()] as const],
  ),
);
const HOOKS = new Map<number, string>(
  Object.entries(hook).map(([name, number]) => [number, name.replace(/^HOOK_/, "").toLowerCase()] as const),
);

/** `forwarded`, `drop_no_route`, …; a number that a newer datapath knows stays a number. */
export function verdictName(number: number): string {
  return VERDICTS.get(number) ?? `verdict_${number}`;
}

/** `xdp`, `netdev_ingress`, `netdev_egress`, `pod`. */
export function hookName(number: number): string {
  return HOOKS.get(number) ?? `hook_${number}`;
}
