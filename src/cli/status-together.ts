/** The agents of a cluster on one screen: a row each, then what is wrong, each thing once with the nodes that say so. */
import { formatProblem } from "../net/problem.ts";
import type { HazardRow, StatusDocument } from "../observe/status.ts";
import type { Answers } from "./agents.ts";
import { renderTable, type Column, type Paint } from "./table.ts";
import { duration } from "./words.ts";

type Failures = Answers<unknown>["failures"];

export function drawTogether(all: readonly StatusDocument[], failures: Failures, now: Date, paint: Paint): string {
  const rows: readonly Row[] = [...all, ...failures.map(({ node }) => ({ node }))];
  const sorted = rows.toSorted((a, b) => (a.node < b.node ? -1 : 1));
  const problems = told(all.map(({ node, problems }) => [node, problems.map(formatProblem)]));
  const ofLevel = (level: HazardRow["level"]): readonly (readonly [string, readonly string[]])[] =>
    all.map(({ node, hazards }) => [node, hazards.filter((each) => each.level === level).map(hazardText)]);
  // Problems of any node before the advice of another.
  const hazards = told([...ofLevel("problem"), ...ofLevel("advice")]);
  const unserved = told(
    all.map(({ node, unserved: { first } }) => [node, first.map(({ service, reason }) => `${service}: ${reason}`)]),
  );
  const more = Math.max(0, ...all.map(({ unserved: { count, first } }) => count - first.length));
  const rest = more > 0 ? `  and ${more} more; \`kubectl fairlead services\` lists all\n` : "";
  return [
    renderTable(columnsAt(now), sorted, paint),
    section("Services nobody answers for", unserved, rest),
    section("Hazards of nodes", hazards, ""),
    section("Problems", problems, ""),
  ]
    .filter((part) => part !== "")
    .join("\n");

  function section(title: string, lines: ReadonlyMap<string, readonly string[]>, after: string): string {
    if (lines.size === 0) return "";
    const texts = [...lines].map(([text, nodes]) => `  ${text}${whoSays(nodes, all.length)}\n`);
    return `${paint("bold", title)}\n${texts.join("")}${after}`;
  }
}

function hazardText({ check, level, subject, message, todo }: HazardRow): string {
  return `${check}${level === "advice" ? " (advice)" : ""} ${subject}: ${message}; ${todo}`;
}

/** Text → the nodes that say it, in the order it was first said. */
function told(all: readonly (readonly [node: string, texts: readonly string[]])[]): ReadonlyMap<string, string[]> {
  const nodes = new Map<string, string[]>();
  for (const [node, texts] of all) for (const text of texts) nodes.set(text, [...(nodes.get(text) ?? []), node]);
  return nodes;
}

function whoSays(nodes: readonly string[], all: number): string {
  return nodes.length === all && all > 1 ? "" : ` (${nodes.join(", ")})`;
}

/** Without more than its name: it did not answer. */
type Row = StatusDocument | { readonly node: string };

function columnsAt(now: Date): readonly Column<Row>[] {
  const known =
    (cell: (row: StatusDocument, paint: Paint) => string): Column<Row>["cell"] =>
    (row, paint) =>
      "version" in row ? cell(row, paint) : "";
  return [
    { title: "NODE", cell: ({ node }) => node },
    { title: "AGENT", cell: known(({ version }) => version) },
    { title: "STATE", cell: (row, paint) => ("version" in row ? stateText(row, paint) : paint("red", "no answer")) },
    { title: "UP", align: "right", cell: known((row) => duration((now.getTime() - Date.parse(row.startedAt)) / 1000)) },
    { title: "PEERS", align: "right", cell: known(({ membership }) => String(membership.peers)) },
    { title: "SERVICES", align: "right", cell: known(({ counts }) => String(counts.services)) },
    { title: "ANNOUNCED", align: "right", cell: known(({ counts }) => String(counts.announced)) },
    { title: "DEVICES", cell: known(({ devices }) => devices.map(({ name, xdp }) => `${name}: ${xdp}`).join("\n")) },
    {
      title: "PROBLEMS",
      align: "right",
      cell: known(({ problems, hazards }) => {
        return String(problems.length + hazards.filter(({ level }) => level === "problem").length);
      }),
    },
  ];
}

function stateText({ ready, membership, stamp, drain }: StatusDocument, paint: Paint): string {
  const words = [
    ...(ready ? [] : [paint("yellow", "not ready")]),
    ...(membership.isolated ? [paint("red", "isolated")] : []),
    ...(stamp.validUntilSeconds <= 0 ? [paint("red", "stamp run out")] : []),
    ...(drain === undefined ? [] : [paint("yellow", "drained")]),
  ];
  return words.length === 0 ? paint("green", "ready") : words.join(", ");
}
