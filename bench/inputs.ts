/** Manifests that nobody writes by hand, given to a whole controller: until every Service has its address, how long was nobody else's turn? */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { QUIET_MS, startController, waitForServices } from "./controller.ts";
import { forgetLoopDelay, readLoopDelay, type LoopDelay } from "./loop-delays.ts";
import { memoryOf } from "./memory.ts";

export interface InputResult {
  readonly megabytes: number;
  readonly milliseconds: number;
  readonly loopDelay: LoopDelay;
  readonly peakMegabytes: number;
}

interface Input {
  readonly name: string;
  readonly services: number;
  readonly text: () => string;
}

const YAML_SERVICES = 38_000;

export const INPUTS: readonly Input[] = [
  {
    name: "a pool of 100,000 single addresses, listed downwards",
    services: 1,
    text: () => {
      const addresses = Array.from({ length: 100_000 }, (_, i) => `  - 10.${dotted(2 * (100_000 - i))}/32\n`).join("");
      return pool(addresses) + service(0);
    },
  },
  { name: "all of IPv6 as one range", services: 1, text: () => pool(`  - "::/0"\n`) + service(0, "[IPv6]") },
  {
    name: "10 MB of YAML, 38,000 Services",
    services: YAML_SERVICES,
    text: () => pool(`  - 10.0.0.0/8\n`) + Array.from({ length: YAML_SERVICES }, (_, i) => service(i)).join(""),
  },
];

export async function measureInput({ text, services }: Input): Promise<InputResult> {
  const folder = mkdtempSync(join(tmpdir(), "fl-bench-"));
  mkdirSync(join(folder, "manifests"));
  const manifest = text();
  writeFileSync(join(folder, "manifests", "all.yaml"), manifest);
  const start = performance.now();
  const controller = startController(folder);
  try {
    await waitForServices(controller, folder, services);
    const milliseconds = performance.now() - start;
    await sleep(QUIET_MS);
    const { peak: peakMegabytes } = memoryOf(controller.pid ?? 0);
    return { megabytes: manifest.length / 1e6, milliseconds, loopDelay: readLoopDelay(folder), peakMegabytes };
  } finally {
    controller.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
    forgetLoopDelay(folder);
  }
}

function dotted(number: number): string {
  return `${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
}

function pool(addresses: string): string {
  return `apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: { name: pool, namespace: metallb-system }
spec:
  addresses:
${addresses}`;
}

function service(number: number, families = "[IPv4]"): string {
  return `---
apiVersion: v1
kind: Service
metadata:
  name: service-${number}
  namespace: team-${number % 50}
  labels: { app: shop, part: "${number}" }
  annotations:
    example.com/note: as people write them
spec:
  type: LoadBalancer
  ipFamilies: ${families}
  selector: { app: shop }
  ports: [{ name: http, port: 80, targetPort: 8080, protocol: TCP }]
`;
}
