/**
 * `npm test`: every suite, one after the other; `npm test -- unit kernel`: only these. A suite that is marked so runs only
 * when it is named.
 * A suite that skips a test, or in which fewer tests ran than tools/test-counts.json asks for, has failed: a test that
 * quietly stopped running looks exactly like one that passes. `--raise` writes the counts of this run as the new floor.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";
import { SUITES, type Suite } from "./suites.ts";

interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly complaints: readonly string[];
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const FLOORS = new URL("test-counts.json", import.meta.url);

async function main(words: readonly string[]): Promise<number> {
  const names = words.filter((word) => word !== "--raise");
  const unknown = names.filter((name) => !SUITES.some((suite) => suite.name === name));
  if (unknown.length > 0) {
    console.error(`Unknown suite ${unknown.join(", ")}: there are ${SUITES.map((suite) => suite.name).join(", ")}`);
    return 2;
  }
  process.chdir(ROOT);
  const floors = JSON.parse(readFileSync(FLOORS, "utf8")) as Record<string, number>;
  const chosen = SUITES.filter((suite) => (names.length === 0 ? suite.named !== true : names.includes(suite.name)));
  const results: Counts[] = [];
  for (const suite of chosen) {
    const result = await runSuite(suite, floors[suite.name] ?? 1);
    results.push(result);
    if (words.includes("--raise")) floors[suite.name] = result.passed + result.failed;
  }
  if (words.includes("--raise")) writeFileSync(FLOORS, `${JSON.stringify(floors, undefined, 2)}\n`);

  for (const complaint of results.flatMap((result) => result.complaints)) console.log(complaint);
  const passed = results.reduce((sum, result) => sum + result.passed, 0);
  const failed = results.reduce((sum, result) => sum + result.failed + result.complaints.length, 0);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

async function runSuite(suite: Suite, floor: number): Promise<Counts> {
  const files = globSync([...suite.files]).toSorted();
  console.log(`\n=== ${suite.name}: ${suite.about} (${files.length} files)\n`);
  if (files.length === 0) return { passed: 0, failed: 0, complaints: [`${suite.name}: no test files`] };
  const counts = { tests: 0, passed: 0, failed: 0, skipped: 0, todo: 0, cancelled: 0 };
  const stream = run({ files, concurrency: suite.concurrency, timeout: suite.timeoutMinutes * 60_000 });
  // Every file is followed by its own summary; the one without a file is the sum.
  stream.on("test:summary", (summary) => {
    if (summary.file === undefined) Object.assign(counts, summary.counts);
  });
  for await (const text of stream.compose(spec) as AsyncIterable<string>) process.stdout.write(text);
  return { passed: counts.passed, failed: counts.failed + counts.cancelled, complaints: complaintsAbout() };

  function complaintsAbout(): readonly string[] {
    const complaints: string[] = [];
    const ran = counts.passed + counts.failed;
    if (ran < floor)
      complaints.push(`${suite.name}: ${ran} tests ran, at least ${floor} are expected (tools/test-counts.json)`);
    if (counts.skipped > 0) complaints.push(`${suite.name}: ${counts.skipped} tests were skipped; none may be`);
    if (counts.todo > 0) complaints.push(`${suite.name}: ${counts.todo} tests are marked todo; none may be`);
    return complaints;
  }
}

process.exitCode = await main(process.argv.slice(2));
