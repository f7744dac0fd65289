/**
 * The numbers that the README quotes: `npm run bench` measures everything, `npm run bench -- xdp` one part.
 * Medians; what is compared is measured in turns within one run, so that ratios mean something on a busy machine too.
 */
import Table from "cli-table3";
import { Command, InvalidArgumentError } from "commander";
import { measureXdp } from "./xdp.ts";

/** No line between rows. */
const NO_RULES = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" };

const program = new Command("bench")
  .description("Benchmarks of Fairlead; needs root")
  .option("--rounds <n>", "rounds of each measurement", positive, 7);

program
  .command("xdp", { isDefault: false })
  .description("nanoseconds a packet in XDP, by BPF_PROG_TEST_RUN")
  .option("--repeats <n>", "packets a round", positive, 500_000)
  .action((options: { repeats: number }) => printXdp(options.repeats));

program.action(() => {
  printXdp(500_000);
});

await program.parseAsync();

function printXdp(repeats: number): void {
  const rows = [...measureXdp({ rounds: rounds(), repeats })];
  print(
    "Nanoseconds a packet in XDP: median (least-most)",
    ["packets", "Services", "flows", "ns", "aim", "to minimal NAT"],
    rows.map((row) => [row.packets, row.services, row.flows ?? "", row.nanoseconds, row.aim, row.toMinimal]),
  );
}

function rounds(): number {
  return program.opts<{ rounds: number }>().rounds;
}

function print(title: string, head: string[], rows: (string | number)[][]): void {
  const table = new Table({ head, style: { head: [], border: [] }, chars: NO_RULES });
  table.push(...rows);
  console.log(`${title}\n${table.toString()}\n`);
}

function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("It must be a whole number above zero");
  return value;
}
