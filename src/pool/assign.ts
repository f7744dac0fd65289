/**
 * Which address a Service gets: a pure function of the objects. What Services hold according to their status is kept first,
 * then wishes are met, the most particular first, until nothing moves. Running it on its own result changes nothing.
 *
 * The rules are MetalLB's, with some that are better on purpose (docs/compare.md): above all, a wish that cannot be met keeps
 * the working address and says why (MetalLB drops it first), and pools of equal rank are tried in a stable order (there: at random).
 */
import { atOnce } from "../time/slices.ts";
import { Assigner } from "./assigner.ts";
import type { Decision, Objects } from "./decision.ts";

/** From nothing. `now` in milliseconds since 1970: only released addresses that rest depend on it. */
export function assign(objects: Objects, loadBalancerClass?: string, now: number = 0): Decision {
  return atOnce(new Assigner(loadBalancerClass).deciding(objects, now));
}
