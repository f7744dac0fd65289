/** A controller with its manifests and its state in memory: the same decisions as the program, without files and time. */
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { outcome, textsOf } from "../../src/controller/decisions.fixture.ts";
import { plan, planning, type Operation } from "../../src/controller/plan.ts";
import { formatProblem } from "../../src/net/problem.ts";
import { assign } from "../../src/pool/assign.ts";
import type { Decision } from "../../src/pool/decision.ts";
import { Assigner } from "../../src/pool/assigner.ts";
import { keepLastGood, type Reading } from "../../src/source/manifests/files.ts";
import { decodeFile } from "../../src/source/manifests/decoders.ts";
import { Merger, type ManifestEntry } from "../../src/source/manifests/merge.ts";
import type { PoolState, ServiceState } from "../../src/source/manifests/state.ts";
import type { EventWrite, Snapshot } from "../../src/source/source.ts";
import { atOnce } from "../../src/time/slices.ts";

const START = Date.parse("2026-01-01T00:00:00Z");
/** A controller that still writes after so many passes does not converge. */
const PASSES_MAX = 5;

export class World {
  readonly #texts = new Map<string, string>();
  readonly #readings = new Map<string, Reading<ManifestEntry>>();
  readonly #serviceStates = new Map<string, ServiceState>();
  readonly #poolStates = new Map<string, PoolState>();
  #loadBalancerClass: string | undefined;
  #now = START;
  #running = true;
  #killAfter = Infinity;
  #merger = new Merger();
  #assigner: Assigner;
  /** How often a decision was only about what had changed. */
  partial = 0;
  /** Since they were last taken. */
  #events: EventWrite[] = [];
  #writes: string[] = [];
  /** The last that was carried out. */
  #decided: Decision | undefined;

  constructor(loadBalancerClass?: string) {
    this.#loadBalancerClass = loadBalancerClass;
    this.#assigner = new Assigner(loadBalancerClass);
  }

  apply(name: string, text: string): void {
    this.#texts.set(name, text);
    this.#readings.set(name, keepLastGood(decodeFile(text, name), this.#readings.get(name)));
    this.settle();
  }

  delete(name: string): void {
    if (!this.#texts.delete(name)) throw new Error(`Cannot delete ${name}: there is no such file`);
    this.#readings.delete(name);
    this.settle();
  }

  has(name: string): boolean {
    return this.#texts.has(name);
  }

  /** With this `--lb-class`; none: as before. It is killed when it has written so many operations. */
  restart(loadBalancerClass = this.#loadBalancerClass, killedAfter = Infinity): void {
    this.#loadBalancerClass = loadBalancerClass;
    this.#running = true;
    this.#killAfter = killedAfter;
    this.#merger = new Merger();
    this.#assigner = new Assigner(loadBalancerClass);
    this.#readings.clear();
    for (const [name, text] of this.#texts) this.#readings.set(name, decodeFile(text, name));
    this.settle();
  }

  /** Nothing is decided or written until the next restart. */
  stop(): void {
    this.#running = false;
  }

  /** The status of a pool as somebody who is not the controller wrote it. */
  edit(key: string, fields: Partial<PoolState["status"]>): void {
    const before = this.#poolStates.get(key);
    if (before === undefined) throw new Error(`Cannot edit the status of pool ${key}: there is none`);
    this.#poolStates.set(key, { ...before, status: { ...before.status, ...fields } });
    this.settle();
  }

  /** Time passes; the controller does nothing before something is due by itself. */
  wait(milliseconds: number): void {
    this.#now += milliseconds;
    const { again } = this.#decided ?? {};
    this.#writes = [];
    if (again !== undefined && again <= this.#now) this.settle();
  }

  /** Decides and writes until nothing is left to write. */
  settle(): void {
    this.#writes = [];
    if (!this.#running) return;
    let mustBeLast = false;
    for (let pass = 0; ; pass += 1) {
      const snapshot = this.snapshot();
      this.#decided = atOnce(this.#assigner.deciding(snapshot, this.#now));
      const { looked } = this.#decided;
      if (looked !== undefined) this.partial += 1;
      const operations = atOnce(planning(snapshot, this.#decided, new Date(this.#now), looked));
      this.#compare(snapshot, this.#decided, operations);
      for (const operation of operations) {
        if (this.#killAfter === 0) {
          this.stop();
          return;
        }
        this.#killAfter -= 1;
        this.#perform(operation);
      }
      if (snapshot.complete) this.#forgetDeleted(snapshot);
      if (operations.length === 0) return;
      if (pass === PASSES_MAX || mustBeLast)
        throw new Error(`The controller does not converge: ${inspect(operations, { depth: 9 })}`);
      // It does not decide about what it has written itself, unless that gave an address up (src/controller/inputs.ts).
      mustBeLast = !operations.some((operation) => operation.type === "service" && operation.releases.length > 0);
    }
  }

  /** What was decided about the changes alone is what is decided from nothing, and so is what has to be written. */
  #compare(snapshot: Snapshot, decided: Decision, operations: readonly Operation[]): void {
    const anew = assign(snapshot, this.#loadBalancerClass, this.#now);
    assert.deepEqual(outcome(decided), outcome(anew));
    assert.deepEqual(textsOf(operations), textsOf(plan(snapshot, anew, new Date(this.#now))));
  }

  snapshot(): Snapshot {
    const readings = [...this.#readings].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, reading]) => reading);
    return this.#merger.merge({
      files: readings,
      serviceStates: new Map(this.#serviceStates),
      poolStates: new Map(this.#poolStates),
      problems: readings.flatMap((reading) => reading.problems),
      complete: !readings.some((reading) => reading.broken),
    });
  }

  decision(): Decision {
    return assign(this.snapshot(), this.#loadBalancerClass, this.#now);
  }

  problems(): readonly string[] {
    return [...this.snapshot().problems, ...this.decision().problems].map(formatProblem);
  }

  takeEvents(): readonly EventWrite[] {
    const events = this.#events;
    this.#events = [];
    return events;
  }

  /** What the last step wrote: `service default/web`, in order. */
  writes(): readonly string[] {
    return this.#writes;
  }

  #perform(operation: Operation): void {
    switch (operation.type) {
      case "service": {
        const { key, write } = operation;
        const annotations: Record<string, string> = {};
        for (const [name, value] of Object.entries(write.annotations))
          if (value !== undefined) annotations[name] = value;
        const status = { loadBalancer: { ingress: write.ingress }, conditions: write.conditions };
        this.#serviceStates.set(key, { key, digest: "", annotations, status });
        this.#writes.push(`service ${key}`);
        return;
      }
      case "pool": {
        const { key, write } = operation;
        const status = {
          conditions: write.conditions,
          assignedIPv4: Number(write.assignedIPv4),
          assignedIPv6: Number(write.assignedIPv6),
          availableIPv4: Number(write.availableIPv4),
          availableIPv6: Number(write.availableIPv6),
          ...(write.coolDown === undefined ? {} : { coolDown: write.coolDown }),
        };
        this.#poolStates.set(key, { key, digest: "", status });
        this.#writes.push(`pool ${key}`);
        return;
      }
      case "event":
        this.#events.push(operation.write);
        this.#writes.push(`event ${operation.write.regarding.namespace}/${operation.write.regarding.name}`);
    }
  }

  #forgetDeleted(snapshot: Snapshot): void {
    for (const key of this.#serviceStates.keys()) if (!snapshot.services.has(key)) this.#serviceStates.delete(key);
    for (const key of this.#poolStates.keys()) if (!snapshot.ipAddressPools.has(key)) this.#poolStates.delete(key);
  }
}
