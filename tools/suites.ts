/** What `npm test` runs, in this order: the quick first. */
export interface Suite {
  readonly name: string;
  readonly about: string;
  /** Patterns from the root. */
  readonly files: readonly string[];
  /** Files at a time: those that change the machine they run on go one by one. */
  readonly concurrency: number;
  /** Runs only when it is named: it needs more than `npm test` may ask for. */
  readonly named?: true;
  /** For a file, so that a hanging one ends the run instead of stopping it. */
  readonly timeoutMinutes: number;
}

export const SUITES: readonly Suite[] = [
  {
    name: "unit",
    about: "values, decisions, codecs and programs with fakes",
    files: ["src/!(kernel)/**/*.test.ts", "lab/**/*.test.ts", "bench/*.test.ts", "tools/*.test.ts"],
    concurrency: 2,
    timeoutMinutes: 5,
  },
  {
    name: "script",
    about: "Kubernetes YAML in, tables out",
    files: ["test/script/**/*.test.ts"],
    concurrency: 2,
    timeoutMinutes: 5,
  },
  {
    name: "kernel",
    about: "maps, links and packets in this kernel",
    files: ["src/kernel/**/*.test.ts", "test/kernel/**/*.test.ts"],
    concurrency: 1,
    timeoutMinutes: 10,
  },
  {
    name: "lab",
    about: "real programs and real sockets in network namespaces",
    files: ["test/lab/**/*.test.ts"],
    concurrency: 1,
    timeoutMinutes: 20,
  },
  {
    name: "kubernetes",
    about: "a real API server",
    files: ["test/kubernetes/!(migrate-helm|migrate-frr|cert-manager).test.ts"],
    concurrency: 1,
    timeoutMinutes: 10,
    named: true,
  },
  {
    name: "migration",
    about: "MetalLB's own chart handed over in a real cluster, every command as printed; its older mode frr",
    files: ["test/kubernetes/migrate-{helm,frr}.test.ts"],
    concurrency: 1,
    timeoutMinutes: 15,
    named: true,
  },
  {
    name: "cert-manager",
    about: "the webhook with certificates of cert-manager's own controllers",
    files: ["test/kubernetes/cert-manager.test.ts"],
    concurrency: 1,
    timeoutMinutes: 5,
    named: true,
  },
];
