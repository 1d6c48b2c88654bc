import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SimNet } from "effect-pilot/testing"
import * as delegation from "../../../examples/teams/delegation.ts"
import * as monitoring from "../../../examples/teams/monitoring.ts"
import * as pipeline from "../../../examples/teams/pipeline.ts"
import * as reports from "../../../examples/teams/reports.ts"
import * as swarm from "../../../examples/teams/swarm.ts"

describe("examples of several agents, on virtual time", () => {
  it.effect("reports: rows stay with the database agent, which is away at first", () =>
    Effect.map(SimNet.run({ seed: 6101 }, reports.play), (lines) =>
      assert.deepStrictEqual(lines, ["Sales: 2 sales, 1230 in Q4, up 23%"])
    )
  )

  it.effect("pipeline: the machine in the middle dies, and each page has its line", () =>
    Effect.map(SimNet.run({ seed: 6102 }, pipeline.play), (lines) =>
      assert.deepStrictEqual(lines, [
        "http://a.example/ 4 words, the longest acknowledgements",
        "http://b.example/ 3 words, the longest tunnels",
        "http://gone.example/ failed: http://gone.example/: 404"
      ])
    )
  )

  it.effect("monitoring: responders hear what they asked for, also after they were away", () =>
    Effect.map(SimNet.run({ seed: 6103 }, monitoring.play), (lines) =>
      assert.sameMembers(
        [...lines],
        ["pages anomaly.cpu web-1 0.97", "pages anomaly.disk db-1 0.95", "scales anomaly.disk db-1 0.95"]
      )
    )
  )

  it.effect("delegation: calls are lent, counted, and refused to others; the credential stays", () =>
    Effect.map(SimNet.run({ seed: 6104 }, delegation.play), (lines) => {
      assert.deepStrictEqual(lines, [...["Bern: 4 °C", "Lugano: 6 °C", "borrower has used its 2 calls"], "not allowed"])
    })
  )

  it.effect("swarm: twenty agents learn whom to ask, by their nodes' own ledgers", () =>
    Effect.map(SimNet.run({ seed: 6105 }, swarm.play), (lines) => {
      assert.strictEqual(lines[0], "round 1: 7 of 20 tasks failed")
      assert.deepStrictEqual(lines.slice(2, 6), [
        "round 3: 0 of 20 tasks failed",
        "round 4: 0 of 20 tasks failed",
        "round 5: 0 of 20 tasks failed",
        "round 6: 0 of 20 tasks failed"
      ])
      assert.strictEqual(
        lines[6],
        "what agent-2 has learnt: agent-3 done 0, failed 1; agent-4 done 5, failed 0; agent-5 unknown"
      )
    })
  )
})
