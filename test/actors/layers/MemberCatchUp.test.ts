import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as MemberCatchUp from "../../../src/actors/layers/MemberCatchUp.ts"
import { type Member, Roster } from "../../../src/actors/membership/Roster.ts"
import type { Admissions, NetworkRow } from "../../../src/actors/trust/Admissions.ts"
import type { Trust } from "../../../src/actors/trust/Trust.ts"

/** The trust list of one membership, as far as this is about it, and what was changed in it. */
const list = (keys: ReadonlyArray<string>, networks: ReadonlyArray<readonly [name: string, text: string]>) => {
  const changes: Array<string> = []
  const change = (what: string) => Effect.sync(() => void changes.push(what))
  const admissions: Partial<Admissions> = {
    listedKeys: Effect.succeed(keys.map((fingerprint) => ({ fingerprint, note: "", listedAtSeconds: 1 }))),
    listKey: (fingerprint) => change(`list ${fingerprint}`),
    unlistKey: (fingerprint) => Effect.as(change(`unlist ${fingerprint}`), true),
    networks: Effect.succeed(networks.map(([name, text]) => ({ name, text, list: "" }) as NetworkRow)),
    joinNetwork: (text) => Effect.as(change(`join ${text}`), {} as NetworkRow),
    leaveNetwork: (name) => Effect.as(change(`leave ${name}`), true)
  }
  const trusted: Trust["Service"]["trusted"] = Effect.succeed([])
  return { changes, trust: { admissions: admissions as Admissions, trusted } as Trust["Service"] }
}

const member = (slot: number, up: Trust["Service"] | undefined): Member =>
  ({
    card: { alias: `m${slot}`, slot, registry: "", beacon: "" },
    shelf: {
      recall: Effect.void,
      trusted: Effect.succeed([]),
      revoke: () => Effect.void,
      revoked: []
    } as Member["shelf"],
    up: up && { trust: up }
  }) as Member

const caughtUp = Effect.fnUntraced(function* (home: ReturnType<typeof list>, late: ReturnType<typeof list>) {
  const roster = new Roster()
  const self = member(1, undefined)
  roster.add(member(0, home.trust))
  roster.add(self)
  yield* MemberCatchUp.all(roster, self, late.trust)
  return late.changes
})

describe("MemberCatchUp", () => {
  it.effect("takes what changed while the membership was not up", () =>
    Effect.gen(function* () {
      const home = list(["A", "B"], [["ops", "ops 2"]])

      const late = list(
        ["B", "C"],
        [
          ["ops", "ops 1"],
          ["lab", "lab 1"]
        ]
      )
      assert.deepStrictEqual(yield* caughtUp(home, late), ["list A", "unlist C", "leave lab", "join ops 2"])
    })
  )

  it.effect("changes nothing where nothing has changed, so that no start is taken for a person's decision", () =>
    Effect.gen(function* () {
      const home = list(["A"], [["ops", "ops 1"]])

      assert.deepStrictEqual(yield* caughtUp(home, list(["A"], [["ops", "ops 1"]])), [])
    })
  )
})
