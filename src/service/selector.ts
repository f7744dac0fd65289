/** Label selectors of Kubernetes: all requirements must hold; an empty selector matches everything. */
import { z } from "zod";

const SET_OPERATORS = ["In", "NotIn"];

const requirementSchema = z
  .object({
    key: z.string().min(1, "a match expression needs a key"),
    operator: z.enum(["In", "NotIn", "Exists", "DoesNotExist"]),
    values: z.array(z.string()).default([]),
  })
  .superRefine((requirement, context) => {
    const takesValues = SET_OPERATORS.includes(requirement.operator);
    if (takesValues === requirement.values.length > 0) return;
    const found = takesValues ? "found none" : `found ${requirement.values.length}`;
    const wanted = takesValues ? "at least one value" : "no values";
    context.addIssue({
      code: "custom",
      path: ["values"],
      message: `operator ${requirement.operator} takes ${wanted}, ${found}`,
    });
  });

/** metav1.LabelSelector, validated as the API server does. */
export const labelSelectorSchema = z
  .object({
    matchLabels: z
      .record(z.string(), z.string())
      .default({})
      .describe("Labels an object must have, with these values."),
    matchExpressions: z
      .array(requirementSchema)
      .default([])
      .describe("Requirements an object's labels must meet, all of them."),
  })
  .meta({ "x-kubernetes-map-type": "atomic" });

export interface LabelSelector {
  readonly matchLabels?: Labels;
  readonly matchExpressions?: readonly Requirement[];
}

type Labels = Readonly<Record<string, string>>;

interface Requirement {
  readonly key: string;
  readonly operator: "In" | "NotIn" | "Exists" | "DoesNotExist";
  readonly values?: readonly string[];
}

/** Whether an object with these labels is selected. */
export function matches(selector: LabelSelector, labels: Labels): boolean {
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
    if (label(labels, key) !== value) return false;
  }
  return (selector.matchExpressions ?? []).every((requirement) => holds(requirement, label(labels, requirement.key)));
}

/** The selectors of a list are alternatives. An empty list matches nothing: what it means is the caller's rule. */
export function matchesAny(selectors: readonly LabelSelector[], labels: Labels): boolean {
  return selectors.some((selector) => matches(selector, labels));
}

/**
 * Everything a list of selectors says twice, as MetalLB refuses it: a value in an expression, an expression in a selector,
 * a selector in the list. Order does not matter. Paths begin with `path`.
 */
export function duplicatesInSelectors(
  selectors: readonly LabelSelector[],
  path: string,
): readonly { readonly path: string; readonly message: string }[] {
  const again = (at: string, what: string, text: string): { path: string; message: string } => ({
    path: at,
    message: `duplicate definition of ${what} ${JSON.stringify(text)}; remove one`,
  });
  const within = selectors.flatMap(({ matchExpressions = [] }, index) => {
    const expressions = `${path}[${index}].matchExpressions`;
    const values = matchExpressions.flatMap((expression, e) =>
      repeated(expression.values ?? []).map((v) =>
        again(`${expressions}[${e}].values[${v}]`, "match expression value", expression.values?.[v] ?? ""),
      ),
    );
    const texts = matchExpressions.map(formatRequirement);
    return [
      ...values,
      ...repeated(texts).map((e) => again(`${expressions}[${e}]`, "match expression", texts[e] ?? "")),
    ];
  });
  const texts = selectors.map(formatSelector);
  return [...within, ...repeated(texts).map((i) => again(`${path}[${i}]`, "selector", texts[i] ?? ""))];
}

/** Indexes of what was there before. */
function repeated(texts: readonly string[]): readonly number[] {
  const seen = new Set<string>();
  return texts.flatMap((text, index) => {
    if (seen.has(text)) return [index];
    seen.add(text);
    return [];
  });
}

/** Canonical text, in the style of kubectl: `app=web,tier in (a,b),!legacy`. */
export function formatSelector(selector: LabelSelector): string {
  const labels = Object.entries(selector.matchLabels ?? {}).map(([key, value]) => `${key}=${value}`);
  const expressions = (selector.matchExpressions ?? []).map(formatRequirement);
  return [...labels.toSorted(), ...expressions.toSorted()].join(",");
}

function formatRequirement(requirement: Requirement): string {
  const values = `(${(requirement.values ?? []).toSorted().join(",")})`;
  switch (requirement.operator) {
    case "In":
      return `${requirement.key} in ${values}`;
    case "NotIn":
      return `${requirement.key} notin ${values}`;
    case "Exists":
      return requirement.key;
    case "DoesNotExist":
      return `!${requirement.key}`;
  }
}

function holds(requirement: Requirement, value: string | undefined): boolean {
  switch (requirement.operator) {
    case "In":
      return value !== undefined && (requirement.values ?? []).includes(value);
    case "NotIn":
      // As in Kubernetes: an object without the label is "not in".
      return value === undefined || !(requirement.values ?? []).includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
  }
}

/** Labels come from users: a label called "constructor" must not be found on an object that has none. */
function label(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}
