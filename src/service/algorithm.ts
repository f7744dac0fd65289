/** How a Service's backends are chosen for new flows: by annotation, else Maglev. */
import type { Problem } from "../net/problem.ts";
import type { Service } from "./objects.ts";

const ALGORITHMS = ["maglev", "random"] as const;

export type Algorithm = (typeof ALGORITHMS)[number];

/** Ours first: where both are set, ours wins. */
const ANNOTATIONS = ["fairlead.io/algorithm", "service.cilium.io/lb-algorithm"];

/** An unknown value is a problem of its own and counts as not set. */
export function algorithmOf(service: Service, subject: string, problems: Problem[]): Algorithm {
  for (const annotation of ANNOTATIONS) {
    const { annotations } = service.metadata;
    const value = Object.hasOwn(annotations, annotation) ? annotations[annotation] : undefined;
    if (value === undefined) continue;
    const algorithm = ALGORITHMS.find((known) => known === value);
    if (algorithm !== undefined) return algorithm;
    problems.push({
      subject,
      path: `metadata.annotations[${annotation}]`,
      message: `unknown algorithm ${JSON.stringify(value)}, using maglev; write one of: ${ALGORITHMS.join(", ")}`,
    });
  }
  return "maglev";
}
