/**
 * Communities as BGPAdvertisements and Community objects write them, and the aliases between the two. Everything
 * MetalLB reads; beyond it well-known names (`no-export`) and extended communities (`rt:64512:1`).
 */
import { canonicalCommunities, parseCommunity, type Community as Value } from "../../protocol/bgp/community.ts";
import { problemsAbout, type Problem } from "../../net/problem.ts";
import { objectKey } from "../../service/objects.ts";
import { quote, type Finding } from "./findings.ts";
import type { Community } from "./objects.ts";
import { firstCome } from "./precedence.ts";

export type Aliases = ReadonlyMap<string, Alias>;

export interface Alias {
  readonly value: Value;
  /** The Community object it is from. */
  readonly key: string;
}

/** Alias names are unique over all objects: whoever came later is not heard. A value that turns bad keeps its last good one. */
export function parseAliases(
  objects: ReadonlyMap<string, Community>,
  before: Aliases = new Map(),
): { readonly aliases: Aliases; readonly problems: readonly Problem[] } {
  const aliases = new Map<string, Alias>();
  const claimed = new Map<string, string>();
  const problems: Problem[] = [];
  const incumbents = new Set([...before.values()].map(({ key }) => key));
  for (const object of firstCome(objects, incumbents)) {
    const key = objectKey(object);
    const findings: Finding[] = [];
    for (const [index, { name, value }] of object.spec.communities.entries()) {
      const path = `spec.communities[${index}]`;
      const owner = claimed.get(name);
      if (name === "") findings.push({ path: `${path}.name`, message: "the alias has no name" });
      if (owner !== undefined)
        findings.push({
          path: `${path}.name`,
          message: `duplicate definition of community ${quote(name)}: ${owner} has it too, and counts`,
        });
      const parsed = communityOf(value);
      if (typeof parsed === "string") findings.push({ path: `${path}.value`, message: parsed });
      if (name === "" || owner !== undefined) continue;
      claimed.set(name, `${path} of ${key}`);
      const last = before.get(name);
      if (typeof parsed !== "string") aliases.set(name, { value: parsed, key });
      else if (last?.key === key) aliases.set(name, last);
    }
    problems.push(...problemsAbout(`Community ${key}`, findings));
  }
  return { aliases, problems };
}

/** The communities of an advertisement: each entry an alias or, if there is none of that name, a literal. */
export function resolveCommunities(
  entries: readonly string[],
  aliases: Aliases,
): { readonly communities: readonly Value[]; readonly findings: readonly Finding[] } {
  const findings: Finding[] = [];
  const values = entries.flatMap((entry, index) => {
    const alias = aliases.get(entry);
    if (alias !== undefined) return [alias.value];
    const parsed = communityOf(entry);
    if (typeof parsed !== "string") return [parsed];
    const hint = entry.includes(":") ? "" : `, and no Community object defines an alias of that name`;
    findings.push({ path: `spec.communities[${index}]`, message: `${parsed}${hint}` });
    return [];
  });
  return { communities: canonicalCommunities(values), findings };
}

/** The value, or what is wrong in words that begin as MetalLB's do. */
function communityOf(text: string): Value | string {
  const parsed = parseCommunity(text);
  if (parsed.ok) return parsed.value;
  const parts = text.split(":");
  // What it begins with is said here in MetalLB's words, with the text bounded.
  const reason = parsed.message.replace(`invalid community ${JSON.stringify(text)}: `, "");
  if (parts.length === 4 && parts[0] !== "large")
    return `invalid community value: expected community to be of format large:A:B:C, found ${quote(text)}`;
  if (parts.length === 2 || parts.length === 4)
    return `invalid community value: invalid section in ${quote(text)}: ${reason}`;
  return `invalid community format: ${quote(text)}: ${reason}`;
}
