import assert from "node:assert/strict";
import { nextStatus, Status } from "./status.ts";

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK, DEVICE_NEEDS_RESET, FAILED } = Status;
const driven = ACKNOWLEDGE | DRIVER;
const negotiated = driven | FEATURES_OK;
const running = negotiated | DRIVER_OK;
const yes = () => true;

Deno.test("a driver goes up step by step", () => {
  assert.equal(nextStatus(0, ACKNOWLEDGE, yes), ACKNOWLEDGE);
  assert.equal(nextStatus(0, driven, yes), driven);
  assert.equal(nextStatus(ACKNOWLEDGE, driven, yes), driven);
  assert.equal(nextStatus(driven, negotiated, yes), negotiated);
  assert.equal(nextStatus(negotiated, running, yes), running);
});

Deno.test("features that are not acceptable leave FEATURES_OK clear", () => {
  assert.equal(nextStatus(driven, negotiated, () => false), driven);
});

Deno.test("no other step leads anywhere, from any status to any", () => {
  const steps = new Set([
    `0 ${ACKNOWLEDGE}`,
    `0 ${driven}`,
    `${ACKNOWLEDGE} ${driven}`,
    `${driven} ${negotiated}`,
    `${negotiated} ${running}`,
  ]);
  for (const status of [0, ACKNOWLEDGE, driven, negotiated, running]) {
    for (let written = 1; written < 256; written++) {
      if ((written & FAILED) !== 0 || steps.has(`${status} ${written}`)) continue;
      assert.equal(nextStatus(status, written, yes), status);
    }
  }
});

Deno.test("FAILED may come at any time and stays, and so does DEVICE_NEEDS_RESET", () => {
  for (const status of [0, ACKNOWLEDGE, driven, negotiated, running]) {
    for (let written = 1; written < 256; written++) {
      const failed = status | FAILED;
      assert.equal(nextStatus(status, written | FAILED, yes), failed);
      assert.equal(nextStatus(failed, written, yes), failed);
      const broken = status | DEVICE_NEEDS_RESET;
      assert.equal(nextStatus(broken, written, yes), broken | (written & FAILED));
    }
  }
});
