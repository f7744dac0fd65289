/**
 * How long addresses take to be found: whole decisions from nothing, so the numbers hold parsing the Services, the search
 * and the book-keeping. No kernel, no files.
 */
import type { Objects } from "../src/pool/decision.ts";
import { Assigner } from "../src/pool/assigner.ts";
import { ipAddressPoolSchema, type IPAddressPool } from "../src/pool/objects.ts";
import { serviceSchema, type Service } from "../src/service/objects.ts";

export interface PoolInput {
  readonly name: string;
  readonly services: number;
  /** The aim for one Service, in microseconds. */
  readonly aim?: number;
  readonly objects: () => Objects;
}

export interface PoolResult {
  readonly assigned: number;
  readonly milliseconds: number;
  /** Of the processor, which says more than the clock where others work too. */
  readonly processorMilliseconds: number;
  /** Of the processor. */
  readonly microsecondsEach: number;
  /** The longest the program could not do anything else. */
  readonly longestStepMilliseconds: number;
}

const NARROW = { policy: "SingleStack", families: ["IPv4"] } as const;
const WIDE = { policy: "RequireDualStack", families: ["IPv4", "IPv6"] } as const;

/** Everything a Service can be slow for. */
export const POOL_INPUTS: readonly PoolInput[] = [
  input("a /8", 10_000, { pools: [["10.0.0.0/8"]] }, 100),
  input("a /64", 10_000, { pools: [["fd00::/64"]], families: ["IPv6"] }, 100),
  input("a /8 and a /64, dual stack", 10_000, { pools: [["10.0.0.0/8", "fd00::/64"]], ...WIDE }, 100),
  input("a /8", 100_000, { pools: [["10.0.0.0/8"]] }, 20),
  input("a /64", 100_000, { pools: [["fd00::/64"]], families: ["IPv6"] }, 20),
  input("a /8 and a /64, dual stack", 100_000, { pools: [["10.0.0.0/8", "fd00::/64"]], ...WIDE }, 20),
  input("a /8 without .0 and .255", 100_000, { pools: [["10.0.0.0/8"]], avoidBuggyIPs: true }, 20),
  input("one sharing key, one port: no address can be shared", 100_000, {
    pools: [["10.0.0.0/8"]],
    annotations: () => ({ "metallb.io/allow-shared-ip": "key" }),
  }),
  input("one sharing key, a port each: all on a few addresses", 100_000, {
    pools: [["10.0.0.0/8"]],
    annotations: () => ({ "metallb.io/allow-shared-ip": "key" }),
    port: (number) => 1 + (number % 65_535),
  }),
  input("one sharing key, ports 80 and 443 in turn", 100_000, {
    pools: [["10.0.0.0/8"]],
    annotations: () => ({ "metallb.io/allow-shared-ip": "key" }),
    port: (number) => (number < 50_000 ? 80 : 443),
  }),
  input("1,000 pools of 100 addresses, all filled", 100_000, {
    pools: Array.from({ length: 1000 }, (_, i) => [`10.${i >> 8}.${i & 255}.0-10.${i >> 8}.${i & 255}.99`]),
  }),
  input("1,000 pools, each asked for by name", 100_000, {
    pools: Array.from({ length: 1000 }, (_, i) => [`10.${i >> 8}.${i & 255}.0/24`]),
    annotations: (number) => ({ "metallb.io/address-pool": `pool-${number % 1000}` }),
  }),
  input("a pool of 20,000 single addresses", 20_000, {
    pools: [Array.from({ length: 20_000 }, (_, i) => `10.0.${i >> 7}.${(i & 127) * 2}/32`)],
  }),
  input("an exhausted pool", 100_000, { pools: [["10.0.0.0/24"]] }),
  input("every address asked for, from the last to the first", 100_000, {
    pools: [["10.0.0.0/8"]],
    annotations: (number) => ({ "metallb.io/loadBalancerIPs": dotted(0x0a_02_00_00 - number) }),
  }),
];

/** One decision about Services that have nothing yet. */
export function measurePool({ services, objects }: PoolInput): PoolResult {
  const steps = new Assigner().deciding(objects(), 0);
  const processor = process.cpuUsage();
  const started = performance.now();
  let longest = 0;
  for (let before = started; ;) {
    const step = steps.next();
    const now = performance.now();
    longest = Math.max(longest, now - before);
    before = now;
    if (step.done !== true) continue;
    const assigned = [...step.value.assignments.values()].filter(({ addresses }) => addresses.length > 0).length;
    const { user, system } = process.cpuUsage(processor);
    return {
      assigned,
      milliseconds: now - started,
      processorMilliseconds: (user + system) / 1000,
      microsecondsEach: (user + system) / services,
      longestStepMilliseconds: longest,
    };
  }
}

interface Shape {
  /** The addresses of each pool. */
  readonly pools: readonly (readonly string[])[];
  readonly avoidBuggyIPs?: boolean;
  readonly policy?: string;
  readonly families?: readonly string[];
  readonly annotations?: (number: number) => Readonly<Record<string, string>>;
  readonly port?: (number: number) => number;
}

function input(name: string, services: number, shape: Shape, aim?: number): PoolInput {
  return { name, services, ...(aim === undefined ? {} : { aim }), objects: () => objectsOf(services, shape) };
}

function objectsOf(count: number, shape: Shape): Objects {
  const template = service(shape);
  const services = Array.from({ length: count }, (_, number) => numbered(template, number, shape));
  const pools = shape.pools.map((addresses, number): [string, IPAddressPool] => {
    const metadata = { namespace: "metallb-system", name: `pool-${number}` };
    const spec = { addresses, avoidBuggyIPs: shape.avoidBuggyIPs ?? false };
    return [`metallb-system/pool-${number}`, ipAddressPoolSchema.parse({ metadata, spec })];
  });
  return {
    services: new Map(services.map((s) => [`${s.metadata.namespace}/${s.metadata.name}`, s])),
    namespaces: new Map(),
    ipAddressPools: new Map(pools),
    complete: true,
    reserved: new Map(),
  };
}

function service(shape: Shape): Service {
  const spec = {
    type: "LoadBalancer",
    ipFamilyPolicy: shape.policy ?? NARROW.policy,
    ipFamilies: shape.families ?? NARROW.families,
    ports: [{ port: 80 }],
  };
  return serviceSchema.parse({ metadata: { namespace: "bench", name: "service" }, spec });
}

/** A copy, because what validating the objects costs is not of interest here. */
function numbered(template: Service, number: number, shape: Shape): Service {
  const { metadata, spec } = template;
  const name = `service-${String(number).padStart(6, "0")}`;
  const ports = spec.ports.map((port) => ({ ...port, port: shape.port?.(number) ?? port.port }));
  const annotations = shape.annotations?.(number) ?? {};
  return { ...template, metadata: { ...metadata, name, annotations }, spec: { ...spec, ports } };
}

function dotted(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}
