/**
 * What a PromQL expression is about: which metrics it names, which labels it expects of them, and which labels its result has. For alerts and
 * dashboards, where a label that does not exist is no error but an empty panel.
 */
import { parser } from "@prometheus-io/lezer-promql";

type Node = ReturnType<typeof parser.parse>["topNode"];
type Labels = ReadonlySet<string>;

/** The labels of a metric; undefined: there is none of this name. */
export type LabelsOf = (metric: string) => Labels | undefined;

export interface Meaning {
  readonly metrics: readonly string[];
  /** Of the result. */
  readonly labels: Labels;
  /** What cannot be, each in words. */
  readonly problems: readonly string[];
}

const NONE: Labels = new Set();

export function meaningOf(expression: string, labelsOf: LabelsOf): Meaning {
  const metrics: string[] = [];
  const problems: string[] = [];
  const tree = parser.parse(expression);
  tree.iterate({
    enter: ({ type, from }) => void (type.isError && problems.push(`not PromQL at character ${from}: ${expression}`)),
  });
  const labels = resultOf(tree.topNode);
  return { metrics, labels, problems };

  function resultOf(node: Node): Labels {
    if (node.name === "VectorSelector") return ofMetric(node);
    if (node.name === "AggregateExpr") return ofAggregation(node);
    if (node.name === "BinaryExpr") return ofOperation(node);
    const results = childrenOf(node).map(resultOf);
    if (node.name === "FunctionCall" && textOf(node.getChild("FunctionIdentifier")) === "absent") return NONE;
    return results.find(({ size }) => size > 0) ?? NONE;
  }

  function ofMetric(node: Node): Labels {
    const metric = textOf(node.getChild("Identifier"));
    metrics.push(metric);
    const known = labelsOf(metric);
    if (known === undefined) problems.push(`there is no metric ${metric}`);
    expect(namesIn(node.getChild("LabelMatchers")), known ?? NONE, metric);
    return known ?? NONE;
  }

  function ofAggregation(node: Node): Labels {
    const body = node.getChild("FunctionCallBody");
    const inner = body === null ? NONE : resultOf(body);
    const modifier = node.getChild("AggregateModifier");
    if (modifier === null) return /^(?:topk|bottomk)$/.test(textOf(node.getChild("AggregateOp"))) ? inner : NONE;
    const named = namesIn(modifier);
    expect(named, inner, textOf(body));
    return modifier.getChild("By") === null
      ? new Set([...inner].filter((label) => !named.includes(label)))
      : new Set(named);
  }

  /** A number has no labels, and takes none away. */
  function ofOperation(node: Node): Labels {
    const [left = NONE, right = NONE] = childrenOf(node).filter(isExpression).map(resultOf);
    const matching = node.getChild("MatchingModifierClause");
    if (matching === null || matching.getChild("On") === null) return left.size === 0 ? right : left;
    const named = namesIn(matching);
    for (const side of [left, right]) expect(named, side, textOf(node));
    return node.getChild("And") === null ? new Set(named) : left;
  }

  function expect(named: readonly string[], labels: Labels, where: string): void {
    for (const name of named) if (!labels.has(name)) problems.push(`${where} has no label ${name}`);
  }

  function namesIn(node: Node | null): readonly string[] {
    if (node === null) return [];
    return childrenOf(node).flatMap((child) => (child.name === "LabelName" ? [textOf(child)] : namesIn(child)));
  }

  function textOf(node: Node | null): string {
    return node === null ? "" : expression.slice(node.from, node.to);
  }
}

function childrenOf(node: Node): readonly Node[] {
  const children: Node[] = [];
  for (let child = node.firstChild; child !== null; child = child.nextSibling) children.push(child);
  return children;
}

const isExpression = ({ name }: Node): boolean => /(?:Expr|Call|Selector|Literal)$/.test(name);
