/** What planning writes down: the plan itself, and the draft that plan.ts and groups.ts fill together. */
import type { Problem } from "../net/problem.ts";
import type { BackendChange } from "./backends.ts";
import type { FrontendKey, FrontendRecord } from "./encode.ts";
import type { MaglevBackend } from "./maglev.ts";
import type { Tables } from "./tables.ts";

/** Each field is one step; they are applied from the first to the last. */
export interface Plan {
  readonly backends: readonly BackendChange[];
  readonly slots: readonly { readonly base: number; readonly ids: readonly number[] }[];
  readonly maglev: readonly {
    readonly base: number;
    readonly size: number;
    readonly backends: readonly MaglevBackend[];
  }[];
  readonly filterBits: readonly number[];
  readonly frontends: readonly FrontendRecord[];
  readonly frontendsGone: readonly FrontendKey[];
  readonly filterBitsGone: readonly number[];
  readonly backendsGone: readonly number[];
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

/** A plan while it is made. */
export interface Draft {
  readonly tables: Tables;
  readonly plan: Mutable<Plan>;
  readonly seed: number;
  readonly now: number;
  /** Of the Service being planned. */
  problems: Problem[];
}

export interface PlanOptions {
  /** As in the datapath's `maglev_seed`. */
  readonly seed: number;
  /** Milliseconds of any clock that does not go back. */
  readonly now: number;
  /** Not everything wanted is known yet: add and change, but take nothing away because it is not wanted. */
  readonly keep?: boolean;
}

/** How many rows a plan writes. */
export function planSize(plan: Plan): number {
  const steps: readonly (readonly unknown[])[] = Object.values<readonly unknown[]>({ ...plan });
  return steps.reduce((sum, step) => sum + step.length, 0);
}

export function emptyPlan(): Draft["plan"] {
  return {
    backends: [],
    slots: [],
    maglev: [],
    filterBits: [],
    frontends: [],
    frontendsGone: [],
    filterBitsGone: [],
    backendsGone: [],
  };
}

/** Notes why something wanted is not served. */
export function refuse(draft: Draft, name: string, message: string): undefined {
  draft.problems.push({ subject: `Service ${name}`, message });
  return undefined;
}
