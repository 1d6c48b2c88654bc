import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Node } from "../../src/actors/node/Node.ts"
import * as NatReport from "../../src/nat/NatReport.ts"
import type * as NatBox from "../../src/testing/NatBox.ts"
import * as SimNet from "../../src/testing/SimNet.ts"
import { PATIENCE_MS } from "./Patience.ts"

/** The beacon of the simulation has one address, so what depends on it alone cannot be told from what depends on nothing. */
const EXPECTED: Readonly<Record<NatBox.Kind | "open", readonly [string, string, string]>> = {
  open: ["open", "NotPortDependent", "NotPortDependent"],
  fullCone: ["full or restricted cone", "NotPortDependent", "NotPortDependent"],
  restrictedCone: ["full or restricted cone", "NotPortDependent", "NotPortDependent"],
  portRestrictedCone: ["port-restricted cone", "NotPortDependent", "AddressAndPortDependent"],
  symmetric: ["symmetric", "AddressAndPortDependent", "AddressAndPortDependent"],
  sequential: ["symmetric", "AddressAndPortDependent", "AddressAndPortDependent"]
}

describe("a node looks at its translator, in the simulator", { timeout: PATIENCE_MS }, () => {
  it.effect("every kind, through the tunnel's own socket and while it is used", () =>
    SimNet.run({ seed: 61 }, (net) =>
      Effect.gen(function* () {
        for (const [kind, expected] of Object.entries(EXPECTED)) {
          const nat = kind === "open" ? {} : { nat: kind as NatBox.Kind }
          const node = yield* net.node(kind.toLowerCase(), nat)
          const [{ report }, status] = yield* node.run(
            Effect.flatMap(Node, (service) => Effect.all([service.nat, service.status]))
          )
          assert.isDefined(report)
          assert.deepStrictEqual([NatReport.kindOf(report), report.mapping, report.filtering], [...expected])
          assert.deepStrictEqual(report.mapped, status.mapped)
        }
      })
    )
  )

  it.effect("whoever asks while it looks gets the same answer", () =>
    SimNet.run({ seed: 62 }, (net) =>
      Effect.gen(function* () {
        const node = yield* net.node("asked", { nat: "symmetric" })
        const look = Effect.flatMap(Node, (service) => service.nat)
        const [one, two] = yield* node.run(Effect.all([look, look], { concurrency: 2 }))
        assert.strictEqual(one.report, two.report)
      })
    )
  )
})
