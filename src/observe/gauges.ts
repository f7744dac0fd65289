/** Metrics whose rows are asked for anew at every scrape: a row that is no longer there is gone. */
import { Counter, Gauge, type Registry } from "prom-client";

export interface GaugeRow {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

type Rows = () => readonly GaugeRow[] | Promise<readonly GaugeRow[]>;

export function observe(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  rows: Rows,
): void {
  void new Gauge({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    async collect() {
      const found = await rows();
      this.reset();
      for (const { labels, value } of found) this.set({ ...labels }, value);
    },
  });
}

/** As {@link observe}, for numbers that only grow and are counted elsewhere. */
export function observeTotal(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly string[],
  rows: Rows,
): void {
  void new Counter({
    name,
    help,
    labelNames: [...labelNames],
    registers: [registry],
    async collect() {
      const found = await rows();
      this.reset();
      for (const { labels, value } of found) this.inc({ ...labels }, value);
    },
  });
}
