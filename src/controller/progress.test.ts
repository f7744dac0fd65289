import assert from "node:assert/strict";
import { test } from "node:test";
import { Progress } from "./progress.ts";

test("a controller is ready when it has read its objects, and serves the webhook if it is to", () => {
  for (const webhook of [undefined, {}]) {
    const progress = new Progress({ webhook });
    assert.match(progress.waitingFor() ?? "", /objects/);
    progress.objectsRead = true;
    if (webhook !== undefined) {
      assert.match(progress.waitingFor() ?? "", /webhook/);
      progress.webhookServes = true;
    }
    assert.equal(progress.waitingFor(), undefined);
  }
});
